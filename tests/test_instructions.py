"""What a query costs in instructions does not grow unnoticed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

BENCHMARKS: Final = Path(__file__).parent.parent / "benchmarks"
COUNT: Final = "import json, instructions as i; print(json.dumps(i.over_floor(i.counted(i.GUARDED))))"
MISSING: Final = "import instructions; print(instructions.missing())"


def in_benchmarks(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=BENCHMARKS, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.slow
def test_a_query_takes_no_more_instructions_than_the_figures_in_the_repository_say():
    """Where fewer are needed now, or more for a good reason: `python benchmarks/instructions.py --refresh`."""
    missing = in_benchmarks(MISSING)
    if missing:
        pytest.skip(missing)
    committed = json.loads((BENCHMARKS / "instructions.json").read_text())
    found = json.loads(in_benchmarks(COUNT))
    assert found.keys() == committed.keys()
    grown = {name: (committed[name], found[name]) for name in found if found[name] > committed[name] * 1.05}
    assert not grown, f"over by hand, committed and found: {grown}"
