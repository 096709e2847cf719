"""Runs one trial and prints its outcome; ends with 1 where a row is missing or doubled."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb

from sync_killing.trial import Outcome, Trial


def main() -> int:
    """Run the trial that the arguments describe."""
    parser = argparse.ArgumentParser(prog="sync_killing", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how often the sync is killed")
    parser.add_argument("--over", choices=("http", "chdb"), default="http", help="where ClickHouse runs")
    parser.add_argument("--delete", action="store_true", help="let the sync delete what it has stored")
    parser.add_argument("--faults", action="store_true", help="break requests as well; over http only")
    parser.add_argument("--upstream", help="the address of a real server, behind the faults; over http only")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sync-killing-") as folder:
        trial = Trial(
            Path(folder),
            http=options.over == "http",
            delete=options.delete,
            faults=options.faults,
            seed=options.seed,
            upstream=options.upstream,
        )
        outcome = trial.run(options.kills)
        if not outcome.exactly_once:
            print((Path(folder) / "log").read_text(errors="replace")[-4000:], file=sys.stderr)
    rows = sum(row[1] for row in outcome.written)
    wrong = f"written {outcome.written}, stored {outcome.stored}, keys that differ: {_differing(outcome)}"
    verdict = "each row arrived once, none is stale" if outcome.exactly_once else wrong
    print(
        f"DuckDB {duckdb.__version__}: {outcome.kills} kills over {options.over}, {outcome.renames} renames, "
        f"{outcome.emptied} times an emptied target, {rows} rows, {len(outcome.orders)} keys, "
        f"{outcome.seconds:.0f} s: {verdict}"
    )
    return int(not outcome.exactly_once)


def _differing(outcome: Outcome) -> list[tuple[str, ...]]:
    return sorted(set(outcome.orders) ^ set(outcome.orders_stored))[:20]


if __name__ == "__main__":
    sys.exit(main())
