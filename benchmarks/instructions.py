"""Instructions a query, counted by valgrind's callgrind, which a busy machine does not disturb.

`python benchmarks/instructions.py` prints them; `--refresh` writes `instructions.json`, which a test of `make test-all`
holds the code to; `--profile NAME` prints what one variant spends them on.

DuckDB's own instructions vary by one in a hundred from run to run, with where its memory happens to lie. What is over
the plain query is therefore told as a share of what the same telemetry by hand is over it, counted in the same run:
that ratio stays within one in a hundred, and hardly depends on the version of anything.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor
from variants import variants

from otel_duckdb.monitor.traces import traces

FIGURES = Path(__file__).with_name("instructions.json")
TOOLS = ("valgrind", "vgdb")
GUARDED = ("plain", "floor", "otel-duckdb", "floor, sampled out", "otel-duckdb, sampled out")
QUERIES = 60
ROUNDS = 3
_WARM = 40
_TOTAL = re.compile(r"^totals: (\d+)", re.MULTILINE)


def over_floor(found: dict[str, int]) -> dict[str, float]:
    """What otel-duckdb adds to the plain query, over what the same telemetry by hand adds."""
    plain = found["plain"]
    pairs = (("floor", "otel-duckdb"), ("floor, sampled out", "otel-duckdb, sampled out"))
    return {ours: round((found[ours] - plain) / (found[floor] - plain), 3) for floor, ours in pairs}


def missing() -> str:
    """Why nothing can be counted here, or an empty text."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found; both come with valgrind" if absent else ""


def counted(names: tuple[str, ...] = (), keep: Path | None = None) -> dict[str, int]:
    """Instructions a query of each variant, of all where none is named; callgrind's files stay in `keep`."""
    with tempfile.TemporaryDirectory() as folder:
        out = (keep or Path(folder)) / "callgrind"
        program = [sys.executable, __file__, "--inside", *names]
        # Other threads, such as the SDK's, have counts of their own.
        options = ["--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={out}"]
        command = ["valgrind", *options, *program]
        ran = subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise RuntimeError(f"valgrind ended with {ran.returncode}: {ran.stderr[-2000:]}")
        order = json.loads(ran.stdout.splitlines()[-1])
        totals = [total_of(out.with_name(f"callgrind.{number}-01")) for number in range(1, len(order) + 2)]
    asking = totals[0]
    found: dict[str, list[int]] = {}
    for name, total in zip(order, totals[1:], strict=True):
        found.setdefault(name, []).append((total - asking) // QUERIES)
    return {name: int(statistics.median(counts)) for name, counts in found.items()}


def total_of(file: Path) -> int:
    """What callgrind counted in all, as its file says."""
    found = _TOTAL.search(file.read_text())
    if found is None:
        raise RuntimeError(f"{file} tells no total")
    return int(found[1])


def _ask(*words: str) -> None:
    """Have valgrind do something; this process turns its wheels meanwhile, for a waiting one is not heard."""
    command = ["vgdb", f"--pid={os.getpid()}", *words]
    asked = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while asked.poll() is None:
        pass
    if asked.returncode:
        raise RuntimeError(f"vgdb {words} ended with {asked.returncode}")


def _inside(names: list[str]) -> None:
    """Run the variants under valgrind: each warm first, then counted."""
    # The spans are thrown away at their end: a batch processor would export in the middle of some queries.
    # Every query is slow under valgrind, and the monitor keeps slow ones apart.
    vars(traces)["_LEAST_SLOW_NS"] = sys.maxsize
    known: dict[str, Any] = {
        name: variant for name, variant in variants(SpanProcessor).items() if not names or name in names
    }
    _ask("instrumentation", "on")
    _ask("zero")
    _ask("dump", "nothing")  # what asking itself costs
    order = list(known)
    turns = [name for turn in range(ROUNDS) for name in (order if turn % 2 else order[::-1])]
    for name in order + turns:  # once to warm up
        with known[name]() as run:
            for number in range(_WARM):
                run(number)
            _ask("zero")
            for number in range(QUERIES):
                run(number)
            _ask("dump")
    print(json.dumps(order + turns))


def main() -> None:
    """Count and print, or write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--refresh", action="store_true")
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    if options.inside:
        _inside(options.names)
        return
    if missing():
        print(f"instructions are not counted: {missing()}")
        return
    if options.profile:
        with tempfile.TemporaryDirectory() as folder:
            print(counted(tuple(options.names), Path(folder)))
            _annotate(Path(folder) / "callgrind.2-01")
        return
    found = counted(GUARDED if options.refresh else tuple(options.names))
    if options.refresh:
        FIGURES.write_text(json.dumps(over_floor(found), indent=2) + "\n")
    print_table(found)


def _annotate(file: Path) -> None:
    command = ["callgrind_annotate", "--threshold=90", str(file)]
    print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def print_table(found: dict[str, int]) -> None:
    """Print the counts, and what is over the plain query."""
    plain = found.get("plain", 0)
    versions = (
        f"DuckDB {version('duckdb')}, Python {platform.python_version()}, OpenTelemetry {version('opentelemetry-sdk')}"
    )
    print(f"{versions}; thousands of instructions a query")
    print(f"{'variant':<34}{'all':>8}{'over plain':>12}")
    for name, count in found.items():
        print(f"{name:<34}{count / 1e3:>8.0f}{(count - plain) / 1e3:>+12.1f}")


if __name__ == "__main__":
    main()
