"""The same random programs, with and without instrumentation, cannot tell which of both they ran under.

`DIFFERENTIAL_SECONDS` sets how long programs are made and run, and `DIFFERENTIAL_SEED` where they start.
"""

from __future__ import annotations

import itertools
import os
import time

import pytest
from opentelemetry import trace

from differential.interpreter import Interpreter
from differential.programs import program

SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "3"))
FIRST_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))


def compare(seed, tmp_path, telemetry):
    steps = program(seed)
    folders = [tmp_path / "with", tmp_path / "without"]
    with_us, without_us = [folder / str(seed) for folder in folders]
    for folder in (with_us, without_us):
        folder.mkdir(parents=True)
    expected = Interpreter(without_us).run(steps)
    telemetry.instrument()
    try:
        found = Interpreter(with_us).run(steps)
    finally:
        telemetry.instrumentor.uninstrument()
    assert not trace.get_current_span().get_span_context().is_valid
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert one == other, f"seed {seed}, step {number} of {steps[max(0, number - 8) : number + 1]}"
    assert telemetry.faults() == 0, f"seed {seed}"
    telemetry.clear()


@pytest.mark.timeout(SECONDS + 120)
def test_random_programs_cannot_tell_whether_they_are_instrumented(tmp_path, telemetry, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    end = time.monotonic() + SECONDS
    for seed in itertools.count(FIRST_SEED):
        compare(seed, tmp_path, telemetry)
        if time.monotonic() > end:
            break
    assert {record.name for record in caplog.records} <= {"otel_duckdb.slow_query"}  # a busy machine is slow
