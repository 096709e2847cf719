"""What is kept of statements, where a program would have to run long to show it."""

import contextlib
import json

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.core.profile import Profile
from otel_duckdb.monitor.ended import Ended, EndedOperations
from otel_duckdb.monitor.statements import Statements
from otel_duckdb.monitor.statements.lately import Lately, Latency
from otel_duckdb.monitor.statements.quantiles import in_buckets, quantile_below


@pytest.fixture
def ended():
    return EndedOperations()


@pytest.fixture
def statements(ended):
    found = Statements(ended)
    ended.followers = (found,)
    return found


def execution(text, peak):
    profile = Profile(sql=text, partial=False, operators=(), peak_memory=peak)
    began = 1_700_000_000_000_000_000
    return Ended(text, "shop", None, None, None, began, 0, 0, 1_000_000, 0, 1, None, None, None, profile)


def test_the_statement_that_needs_the_memory_stands_above_those_that_ran_beside_it(ended, statements):
    ended._waiting += [execution("SELECT report", 100_000_000)] * 3
    ended._waiting += [execution("SELECT small", 101_000_000), *[execution("SELECT small", 1_000_000)] * 99]
    report, small = statements.as_json(sort="memory")["statements"]

    assert (report["text"], small["text"]) == ("SELECT report", "SELECT small")
    assert report["mean_peak_memory_bytes"] == 100_000_000
    assert small["mean_peak_memory_bytes"] == pytest.approx(2_000_000)
    assert small["peak_memory_bytes"] == 101_000_000


def test_the_last_minutes_are_told_by_steps_of_ten_seconds():
    lately = Lately()
    lately.add([1_000_000, 2_000_000], [1_000_000_000_000, 1_009_000_000_000])
    lately.add([4_000_000, 8_000_000], [1_011_000_000_000, 1_005_000_000_000])  # one began before, and ended now

    assert lately.milliseconds(1012.0)[-2:] == [3.0, 12.0]
    assert lately.milliseconds(1031.0)[-4:] == [3.0, 12.0, 0.0, 0.0]
    assert sum(lately.milliseconds(1290.0)) == 15.0
    assert sum(lately.milliseconds(1301.0)) == 12.0
    assert lately.milliseconds(99_999.0) == [0.0] * 30


def test_the_latency_is_that_of_the_last_ten_seconds():
    latency = Latency()
    assert latency.tick(0.0) == {}
    latency.add(in_buckets([1_000_000]))
    before = dict(latency.tick(1.0))
    latency.add(in_buckets([100_000_000]))
    both = dict(latency.tick(6.0))
    after = dict(latency.tick(12.0))

    assert sorted(before.values()) == pytest.approx([1.0] * 3, rel=0.07)
    assert sorted(both.values()) == pytest.approx([1.0, 100.0, 100.0], rel=0.07)
    assert sorted(after.values()) == pytest.approx([100.0] * 3, rel=0.07)
    assert latency.tick(17.0) == {}


def test_long_texts_do_not_wait_to_be_added_up(heard, ended, statements):
    DuckDBInstrumentor()._running.listen(ended)
    connection = duckdb.connect()
    for number in range(3):
        connection.execute(f'select 1 as "n{number}{"x" * 100_000}"').fetchall()
    assert len(ended._waiting) <= 1
    assert all(len(each["text"]) <= 4096 for each in statements.as_json()["statements"])


def test_a_database_whose_name_is_half_a_character_is_told(heard, ended, statements):
    DuckDBInstrumentor()._running.listen(ended)
    with contextlib.suppress(Exception):
        duckdb.connect("/nowhere/half\udcff")
    assert json.dumps(statements.as_json(), ensure_ascii=False).encode()


@pytest.mark.parametrize(("durations", "p50", "p95"), [([53_350_000], 53.35, 53.35), ([10, 53_350_000], 0.0, 53.35)])
def test_a_quantile_that_is_the_longest_duration_is_told_as_it_was(durations, p50, p95):
    counts = in_buckets(durations)
    told = [quantile_below(max(durations), counts, share) / 1e6 for share in (0.5, 0.95)]
    assert told == pytest.approx([p50, p95], abs=1e-4)
