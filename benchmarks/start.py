"""What a start under `opentelemetry-instrument` costs with otel-duckdb over one without: CPU time of the whole process.

`python benchmarks/start.py`, or `make bench`. The program imports DuckDB and runs one query; the SDK exports nothing.
The starts take turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

GOAL_MS = 100
PROGRAM = """
import duckdb
duckdb.connect().execute("SELECT 42").fetchall()
import resource, sys
used = resource.getrusage(resource.RUSAGE_SELF)
print(used.ru_utime + used.ru_stime, len(sys.modules))
"""
QUIET = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
VARIANTS = {
    "DuckDB alone": None,
    "opentelemetry-instrument": {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "duckdb"},
    "opentelemetry-instrument with otel-duckdb": {},
}


def start(variables: dict[str, str] | None) -> tuple[float, int]:
    """Milliseconds of CPU time that one start takes, and the modules it imports."""
    launcher = [] if variables is None else [str(Path(sys.executable).with_name("opentelemetry-instrument"))]
    environment = {**os.environ, **QUIET, **(variables or {})}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [*launcher, sys.executable, "-c", PROGRAM]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    return float(told[0]) * 1000, int(told[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=15)
    options = parser.parse_args()
    found: dict[str, list[tuple[float, int]]] = {name: [] for name in VARIANTS}
    for _ in range(options.starts + 1):
        for name, variables in VARIANTS.items():
            found[name].append(start(variables))
    print(f"a start, ms of CPU time, median and lowest of {options.starts}; modules")
    for name, measured in found.items():
        times = [milliseconds for milliseconds, _ in measured[1:]]
        print(f"{name:<44}{statistics.median(times):>8.0f}{min(times):>8.0f}{measured[-1][1]:>8}")
    with_us, without = (found[name][1:] for name in (*reversed(VARIANTS),)[:2])
    over = statistics.median(ours[0] - theirs[0] for ours, theirs in zip(with_us, without, strict=True))
    lowest = min(with_us)[0] - min(without)[0]
    print(f"with otel-duckdb over without: {over:+.0f} ms, by the lowest {lowest:+.0f} ms; goal {GOAL_MS}\n")


if __name__ == "__main__":
    main()
