"""What `otel-duckdb sync --watch` shows in a terminal, of whatever size."""

import io
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from otel_duckdb.commands._sync_table import LastWord, view
from otel_duckdb.sync import TableStatus

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILURE = "table 'b': ClickHouse at nowhere:8123 does not take it: the connection was refused; does it listen there?"


def before(seconds):
    return (NOW - timedelta(seconds=seconds)).isoformat()


WELL = TableStatus("ticks", "ticks", 1000, 0, 1000, caught_up=before(25))
BEHIND = TableStatus("orders_of_last_year", "o", 9_000_000_000, 4_000_000_000, 5_000_000_000, caught_up=before(7200))
FRESH = TableStatus("fresh", "fresh", 7, 7)
FULL = TableStatus("full", "full", 50, 50, caught_up=before(90), full=True)
FAILING = TableStatus("b\x1b[31m", "b", 3, 3, failing_since=before(60), failure=FAILURE)


def shown(rows, size=(80, 24), word=""):
    out = io.StringIO()
    console = Console(file=out, width=size[0], height=size[1], force_terminal=False)
    console.print(view("sync of market.duckdb to clickhouse.example; Ctrl-C ends", rows, word, size, NOW))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_each_table_tells_how_far_it_is_and_the_unwell_come_first():
    lines = shown([WELL, BEHIND, FRESH, FULL, FAILING])
    assert [line.split()[0] for line in lines[1:7]] == [
        "table",
        "full",
        "b\\x1b[31m",
        "orders_of_last_year",
        "fresh",
        "ticks",
    ]
    assert lines[2].endswith("FULL")
    assert lines[3].endswith("FAILING")
    assert lines[4].split()[1:] == ["5,000", "M", "4,000", "M", "2", "h", "ago"]
    assert lines[5].endswith("not yet")
    assert lines[6].split()[1:] == ["1,000", "0", "yes"]
    assert " ".join(lines[7:]) == f"since 03:03:05 b\\x1b[31m: {FAILURE}"


def test_a_name_that_is_too_long_keeps_its_end():
    lines = shown([replace(WELL, name=f"trades_of_the_exchange_{number}") for number in range(2)], (40, 24))
    assert [line.split()[0] for line in lines[2:]] == ["trade...ge_0", "trade...ge_1"]


@pytest.mark.parametrize("size", [(80, 24), (40, 24), (40, 10), (20, 5)])
@pytest.mark.parametrize("many", [1, 200])
def test_it_fits_any_terminal_in_plain_characters(size, many):
    lines = shown([WELL, BEHIND, FAILING] * many, size, "attempt 2 in 0.2 s " * 20)
    assert all(len(line) <= size[0] for line in lines)
    assert "".join(lines).isascii()
    if size[1] >= 24:
        assert len(lines) <= size[1]


def test_what_does_not_fit_is_counted():
    lines = shown([FRESH] * 200)
    assert lines[-1].startswith("and ")
    hidden = int(lines[-1].split()[1])
    assert hidden + len(lines) - 3 == 200
    assert f"{hidden * 7:,} rows waiting" in lines[-1]


def test_what_is_logged_is_kept_in_one_line_with_its_time():
    word = LastWord()
    word.emit(logging.makeLogRecord({"msg": "attempt %d\nfailed", "args": (2,), "created": NOW.timestamp()}))
    assert word.text == "03:04:05 attempt 2 failed"
    assert shown([WELL], word=word.text)[-1] == word.text
