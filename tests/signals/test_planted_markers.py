"""Some thousand statements, most of which fail, with a marker in every literal: it leaves the process nowhere."""

import contextlib
import logging

import duckdb
import pytest

from planted.database import prepare
from planted.statements import filled, texts

MARKER = "q7hunterq7"
VALUES = {
    "a word": MARKER,
    "quotes": f"O'Brien \"{MARKER}\" '' \\' $$",
    "lines": f"a\n\n{MARKER}\n--\n/* {MARKER}",
    "words of messages": f"x' to INT32\n\nLINE 1: {MARKER}\n  ^\nError: Binder Error: {MARKER} Error: {MARKER}",
    "an address": f"https://{MARKER}:{MARKER}@127.0.0.1:1/{MARKER}.parquet?token={MARKER}",
    "a statement": f'select {MARKER} from {MARKER}; {{"{MARKER}": 1}}',
    "other letters": f"名前 é {MARKER} \t ",
}


class Heard(logging.Handler):
    """Every line that is logged, with its traceback."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter())
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def lines():
    heard = Heard()
    root = logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    yield heard.lines
    root.setLevel(level)
    root.removeHandler(heard)


def everything(telemetry, records, lines):
    """All that was told since the last time, and forgets it."""
    spans = [span.to_json() for span in telemetry.exporter.get_finished_spans()]
    logs = [each.to_json() if hasattr(each, "to_json") else str(each) for each in records.get_finished_logs()]
    said = lines[:]
    telemetry.exporter.clear()
    records.clear()
    lines.clear()
    return [*spans, *logs, *said]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", VALUES)
def test_no_marker_is_told(telemetry, lines, tmp_path, monkeypatch, kind):
    value = VALUES[kind]
    monkeypatch.chdir(tmp_path)
    records = telemetry.log_exporter
    connection = duckdb.connect()
    prepare(connection, value, tmp_path)
    telemetry.instrument(engine_metrics=True, profile="all", slow_threshold_ms=1e-6, repeated_threshold=2)
    ways = (
        lambda text: connection.execute(text).fetchall(),
        lambda text: connection.sql(text).fetchall(),
        lambda text: connection.execute(text).df(),
        lambda text: connection.cursor().execute(text).fetchmany(2),
        lambda text: connection.execute(bound, [value] * bound.count("?")).fetchall(),
    )
    run = failed = 0
    seen = set()
    for turn, text in enumerate(texts()):
        written = filled(text, value, tmp_path)
        bound = filled(text.replace("{v}", "?"), value, tmp_path)
        with telemetry.tracer().start_as_current_span("the program"):
            for way in (ways[turn % 4], ways[turn % 4], ways[4]):
                run += 1
                try:
                    way(written)
                except Exception:
                    failed += 1
        with contextlib.suppress(duckdb.Error):
            connection.rollback()
        told = everything(telemetry, records, lines)
        seen.update(sign for sign in SIGNS if any(sign in one for one in told))
        assert not [one for one in told if MARKER in one], text
    data = telemetry.reader.get_metrics_data()
    assert MARKER not in data.to_json()
    assert telemetry.faults() == 0
    assert run > 2000
    assert failed > 1500
    assert seen == {sign for sign in SIGNS if sign != PLAN or hasattr(connection, "get_profiling_information")}


PLAN = "duckdb.query_plan"
SIGNS = ("exception.stacktrace", "slow query: ", "duckdb.repeated_query", PLAN)
"""What shows that errors, the slow log, N+1 and plans were among what was told."""
