"""The examples run on every line of DuckDB, and say what is true of their data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
ANSWERS = (
    "336,776 flights left New York City in 2013.",
    "Frontier Airlines Inc. (20.2 minutes)",
    "Over 2,000 miles: 51,695 flights",
    "{'age': 'new', 'flights': 192846, 'delay': 7.9}",
    "In the air: 93.8 years",
    "BinderException",
)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def observed():
    return run(Path(sys.executable).with_name("otel-duckdb"), "demo", "--json", EXAMPLES / "flights.py")


def test_the_flights_answer_the_same_with_and_without_instrumentation(observed):
    plain = run(sys.executable, "-W", "error", EXAMPLES / "flights.py")
    assert plain.stderr == ""
    assert observed.stderr == plain.stdout
    for answer in ANSWERS:
        assert answer in plain.stdout


def test_every_operation_of_the_flights_is_one_span(observed):
    spans = sorted(json.loads(observed.stdout)["spans"], key=lambda span: span["start"])
    names = [span["name"] for span in spans]
    assert names[:6] == [
        "connect flights",
        *("CREATE TABLE flights SELECT", "CREATE TABLE airlines SELECT", "CREATE TABLE planes SELECT"),
        *("SELECT flights", "SELECT flights airlines"),
    ]
    assert names[-6:] == [
        *("CREATE TABLE report", "BEGIN", "BATCH INSERT report", "UPDATE report", "COMMIT", "SELECT flights")
    ]
    assert len(spans) == 15


def test_rows_batches_and_errors_of_the_flights_are_told(observed):
    spans = json.loads(observed.stdout)["spans"]
    rows = [span["attributes"].get("db.response.returned_rows") for span in spans]
    assert {1, 2, 16, 51_695, 327_346} <= set(rows)
    (batch,) = [span for span in spans if span["name"] == "BATCH INSERT report"]
    assert batch["attributes"]["db.operation.batch.size"] == 16
    (failed,) = [span for span in spans if span["error"] is not None]
    assert failed["attributes"]["error.type"] == "BinderException"
    assert "Lovelace" not in observed.stdout


def test_a_scan_spends_its_time_in_the_fetches(observed):
    spans = json.loads(observed.stdout)["spans"]
    (scan,) = [span for span in spans if span["attributes"].get("db.response.returned_rows") == 327_346]
    assert scan["attributes"]["duckdb.fetch_time_ms"] > scan["attributes"]["duckdb.execute_time_ms"]


def test_every_example_stands_in_the_table_with_what_it_needs():
    rows = [
        line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")
    ]
    assert {row.split("`")[1] for row in rows} == {path.name for path in EXAMPLES.glob("*.py")}


def test_the_buffer_is_synced_to_an_embedded_clickhouse_and_nothing_is_lost_or_comes_twice():
    done = run(sys.executable, EXAMPLES / "trading_buffer.py")
    told = re.search(r"^(\d+) ticks stored, (\d+) acknowledged, (\d+) waiting$", done.stdout, re.MULTILINE)
    stored, acknowledged, waiting = map(int, told.groups())
    assert stored == acknowledged > 0
    assert waiting == 0


def test_the_buffer_needs_nothing_beyond_the_extra_that_the_table_names():
    text = (EXAMPLES / "trading_buffer.py").read_text(encoding="utf-8")
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported - sys.stdlib_module_names <= {"clickhouse_connect", "duckdb", "otel_duckdb", "__future__"}
