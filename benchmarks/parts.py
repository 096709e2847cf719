"""Where the instructions of one instrumented query go, function by function: `python benchmarks/parts.py`.

Callgrind sees the interpreter, and none of the functions it interprets. So the query is run once for each of them, with
this one function in a callable of C that lets callgrind count while it runs (`_collecting.c`). A line has all that its
function calls; the lines below it, further in, are parts of it. `--sampled-out` counts one whose span is sampled out;
names of functions count these alone.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import variants
from instructions import missing, total_of
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
QUERIES = 40
_WARM = 20
_INTERCEPT = "otel_duckdb.intercept"
_SIGNALS = "otel_duckdb.signals"
PARTS = (
    (0, "variants:query", "execute and fetchall"),
    (1, f"{_INTERCEPT}.connection_methods:ExecuteCall.begin", "before execute"),
    (2, f"{_INTERCEPT}.gate:Gate.connection_to_record", "whose call, and is it recorded"),
    (3, f"{_INTERCEPT}.gate:inside_the_sdk", "the frames, for those of the SDK"),
    (2, f"{_INTERCEPT}.patch_table:given_query", "the operation, its text looked up"),
    (2, "otel_duckdb.core.dispatcher:Dispatcher.begin", "the listeners, and the context"),
    (3, f"{_SIGNALS}.attributes:AttributeCache.started", "names and attributes looked up"),
    (3, f"{_SIGNALS}.spans:Spans.started", "the span begins"),
    (4, "opentelemetry.sdk.trace:Tracer.start_span", "**SDK**"),
    (3, "otel_duckdb.core.dispatcher:Call", "the context attached, the clock read"),
    (1, f"{_INTERCEPT}.connection_methods:ExecuteCall.succeed", "after execute"),
    (2, "otel_duckdb.core.dispatcher:Call.leave", "the clock, the context detached, twice"),
    (1, f"{_INTERCEPT}.connection_methods:FetchCall.begin", "before fetchall"),
    (1, f"{_INTERCEPT}.connection_methods:FetchCall.succeed", "after fetchall"),
    (2, f"{_INTERCEPT}.gate:Gate.end", "the operation is over"),
    (3, "otel_duckdb.core.dispatcher:Dispatcher.end", "the listeners"),
    (4, f"{_SIGNALS}.transactions:Transactions.finished", "the transaction"),
    (4, f"{_SIGNALS}.spans:Spans.record", "the span ends"),
    (5, "opentelemetry.sdk.trace:Span.set_attributes", "**SDK**"),
    (5, "opentelemetry.sdk.trace:Span.end", "**SDK**"),
    (5, "opentelemetry.trace:NonRecordingSpan.end", "**API**"),
    (4, f"{_SIGNALS}.histograms:Histograms.record", "the four histograms"),
    (5, "opentelemetry.sdk.metrics._internal.instrument:Histogram.record", "**SDK**, four times"),
    (4, f"{_SIGNALS}.throughput:Throughput.record", "the rates"),
    (4, f"{_SIGNALS}.slow_queries:SlowQueries.record", "the slow-query log"),
    (4, f"{_SIGNALS}.n_plus_one:NPlusOne.record", "N+1"),
)
"""How far in a line stands, the function, and what it does."""


@contextmanager
def collecting(place: str, make: Any) -> Iterator[None]:
    """Let callgrind count inside this function."""
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    original = vars(owner)[name]
    setattr(owner, name, make(original))
    try:
        yield
    finally:
        setattr(owner, name, original)


def _asked_for(names: list[str]) -> list[tuple[int, str, str]]:
    """The parts of these names, or all."""
    return [part for part in PARTS if not names or part[1].partition(":")[2] in names]


def _inside(folder: str, names: list[str], *, sampled_out: bool) -> None:
    """Run under valgrind: the query once warm and then counted, for each part."""
    sys.path.insert(0, folder)
    _collecting = importlib.import_module("_collecting")  # which the parent compiled
    con = variants.connect()
    providers = variants.Providers(ALWAYS_OFF if sampled_out else ALWAYS_ON, SpanProcessor())

    def count() -> None:
        for number in range(_WARM):
            variants.query(con, number)
        _collecting.zero()
        for number in range(QUERIES):
            variants.query(con, number)
        _collecting.dump()

    with collecting(PARTS[0][1], _collecting.Collecting):
        count()
    for _, place, _ in _asked_for(names):
        with collecting(place, _collecting.Collecting), variants.instrumented(providers, con):
            count()


def counted(names: list[str], *, sampled_out: bool) -> tuple[int, list[int]]:
    """Instructions of the plain query, and of each part of an instrumented one."""
    with tempfile.TemporaryDirectory() as folder:
        include = sysconfig.get_path("include")
        module = Path(folder, "_collecting.so")
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", f"-I{include}", HERE / "_collecting.c", "-o", module], check=True
        )
        out = Path(folder, "callgrind")
        options = ["--tool=callgrind", "--collect-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={out}"]
        program = [sys.executable, __file__, "--inside", folder, *(["--sampled-out"] if sampled_out else []), *names]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        subprocess.run(["valgrind", "--quiet", *options, *program], env=environment, check=True)
        counts = [
            total_of(out.with_name(f"callgrind.{number}-01")) // QUERIES
            for number in range(1, len(_asked_for(names)) + 2)
        ]
    return counts[0], counts[1:]


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--sampled-out", action="store_true")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        _inside(options.inside, options.names, sampled_out=options.sampled_out)
        return
    if missing():
        print(f"instructions are not counted: {missing()}")
        return
    parts = _asked_for(options.names)
    plain, counts = counted(options.names, sampled_out=options.sampled_out)
    if options.json:
        print(
            json.dumps({"plain": plain, **{place: count for (_, place, _), count in zip(parts, counts, strict=True)}})
        )
        return
    print("| thousands of instructions of one query | with all it calls |")
    print("|---|---|")
    print(f"| plain | {plain / 1e3:.1f} |")
    for (depth, place, does), count in zip(parts, counts, strict=True):
        over = f" (over plain {(count - plain) / 1e3:+.1f})" if depth == 0 else ""
        name = place.partition(":")[2]
        print(f"| {'&nbsp;' * 4 * depth}`{name}`: {does} | {count / 1e3:.1f}{over} |")


if __name__ == "__main__":
    main()
