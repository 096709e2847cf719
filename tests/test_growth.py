"""What is done very often leaves nothing behind; `tools/growth.py` does it oftener."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[1] / "tools"


@pytest.mark.slow
def test_nothing_of_ours_grows():
    environment = {**os.environ, "PYTHONPATH": str(TOOLS)}
    command = [sys.executable, "-m", "growth", "0.1"]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=230)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing grew" in done.stdout
