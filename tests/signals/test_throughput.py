"""Rates, averages and label limits: exact under many threads, and honest about the time they cover."""

import sys
import threading
import time

import duckdb
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otel_duckdb import DuckDBInstrumentor, contract
from otel_duckdb.signals.throughput import Throughput
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.window import Average


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def throughput(clock):
    return Throughput(clock=clock)


class Observed(dict):
    add = dict.__setitem__


def observed(throughput, metric):
    registered = Observed()
    throughput.register(registered)
    return {next(iter(point.attributes.values())): point.value for point in registered[metric]()}


def test_operations_are_counted_by_type_and_by_table(throughput, clock):
    for _ in range(20):
        throughput.count("SELECT", "trades")
    for _ in range(10):
        throughput.count("INSERT", "ticks")
    throughput.count("SET")
    clock.now += 5
    assert observed(throughput, contract.QUERIES_PER_SECOND) == {"SELECT": 4.0, "INSERT": 2.0, "SET": 0.2}
    assert observed(throughput, contract.SELECT_PER_SECOND) == {"trades": 4.0}
    assert observed(throughput, contract.INSERT_PER_SECOND) == {"ticks": 2.0}
    assert observed(throughput, contract.DELETE_PER_SECOND) == {}


def test_a_rate_is_of_the_last_minute_and_falls_to_zero(throughput, clock):
    throughput.count("SELECT", "trades")
    rates = []
    for _ in range(90):
        clock.now += 1
        rates.append(observed(throughput, contract.SELECT_PER_SECOND)["trades"])
    assert rates[0] == 1.0
    assert rates[9] == pytest.approx(1 / 10)
    assert rates[58] == pytest.approx(1 / 59)
    assert rates[65:] == [0.0] * 25


def test_a_reader_every_minute_sees_all(throughput, clock):
    for _ in range(3):
        clock.now += 1
        throughput.count("SELECT")
        clock.now += 59
        assert observed(throughput, contract.QUERIES_PER_SECOND) == {"SELECT": pytest.approx(1 / 60, rel=0.1)}


@pytest.mark.parametrize("others", [0, 1, 5])
def test_what_a_slow_reader_sees_does_not_depend_on_how_many_others_read(throughput, clock, others):
    seen = []
    for second in range(72):
        if second % 24 == 0:
            for _ in range(2191):
                throughput.count("SELECT")
        clock.now += 1
        for _ in range(others):
            observed(throughput, contract.QUERIES_PER_SECOND)
        if second % 24 == 23:
            seen.append(observed(throughput, contract.QUERIES_PER_SECOND)["SELECT"])
    assert seen == [pytest.approx(2191 / 24), pytest.approx(2191 / 24), pytest.approx(2 * 2191 / 62)]


def test_nobody_reading_keeps_no_more_than_the_window(throughput, clock):
    for _ in range(1000):
        clock.now += 5
        throughput.count("SELECT")
    assert len(throughput._window._slices) <= 14
    assert observed(throughput, contract.QUERIES_PER_SECOND)["SELECT"] == pytest.approx(0.2, rel=0.1)


def test_a_reader_does_not_take_the_counts_from_another(throughput, clock):
    for _ in range(100):
        throughput.count("SELECT")
    clock.now += 5
    first = observed(throughput, contract.QUERIES_PER_SECOND)
    assert observed(throughput, contract.QUERIES_PER_SECOND) == first == {"SELECT": 20.0}


def test_no_count_is_lost_between_threads():
    throughput = Throughput(clock=lambda: 0.0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def work():
        for number in range(20_000):
            throughput.count("SELECT", f"table{number % 50}")

    threads = [threading.Thread(target=work) for _ in range(8)]
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            observed(throughput, contract.SELECT_PER_SECOND)
            time.sleep(0.001)
    finally:
        sys.setswitchinterval(interval)
    assert observed(throughput, contract.QUERIES_PER_SECOND) == {"SELECT": 160_000.0}
    assert sum(observed(throughput, contract.SELECT_PER_SECOND).values()) == 160_000.0


def test_table_names_stop_at_their_limit(throughput, clock):
    limit = CardinalityLimit()
    for number in range(contract.TABLE_NAME_LIMIT + 5):
        throughput.count("SELECT", limit(f"table{number}"))
    clock.now += 1
    rates = observed(throughput, contract.SELECT_PER_SECOND)
    assert len(rates) == contract.TABLE_NAME_LIMIT + 1
    assert rates[contract.OTHER] == 5.0


def test_a_limiter_lets_known_values_through_when_it_is_full():
    limiter = CardinalityLimit(2)
    assert [limiter(value) for value in ("a", "b", "c", "a", "d")] == ["a", "b", "_other", "a", "_other"]


def test_an_average_is_of_the_last_minute_and_is_absent_when_it_is_empty(clock):
    average = Average(clock)
    assert average.read() is None
    average.add(10.0)
    average.add(20.0)
    clock.now += 55
    assert average.read() == average.read() == 15.0
    average.add(100.0)
    average.add(500.0, 9)
    assert average.read() == 52.5
    clock.now += 15
    assert average.read() == 60.0
    clock.now += 60
    assert average.read() is None


WINDOWED = (contract.QUERIES_PER_SECOND, contract.SELECT_PER_SECOND, contract.TRANSACTION_LATENCY)


def read(reader):
    """The points of the windowed gauges that a reader collects now."""
    data = reader.get_metrics_data()
    names = {metric.name for metric in WINDOWED}
    return {
        (metric.name, *sorted(point.attributes.values())): point.value
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name in names
        for point in metric.data.data_points
    }


def test_two_readers_of_one_program_see_the_same_and_the_end_of_one_changes_nothing_for_the_other():
    first, second = InMemoryMetricReader(), InMemoryMetricReader()
    provider = MeterProvider([first, second], shutdown_on_exit=False)
    DuckDBInstrumentor().instrument(meter_provider=provider, engine_metrics=False, profile="off")
    faults = []

    def reading(reader):
        try:
            for _ in range(10):
                read(reader)
        except BaseException as fault:
            faults.append(fault)

    with duckdb.connect() as con:
        con.execute("create table t as select 1 as i")
        for _ in range(7):
            con.execute("from t").fetchall()
        threads = [threading.Thread(target=reading, args=(reader,)) for reader in (first, first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seen = read(second)
        assert read(first).keys() == seen.keys() != set()
        assert min(read(first).values()) > 0 < min(seen.values())
        first.shutdown()
        assert read(second).keys() == seen.keys()
    assert faults == []
    DuckDBInstrumentor().uninstrument()
    assert read(second) == {}
    provider.shutdown()


def test_throughput_is_told_by_type_and_by_table(instrumented):
    with duckdb.connect() as connection:
        connection.execute("create table kept (key integer primary key)")
        for key in range(10):
            connection.execute("insert into kept values (?)", [key])
            connection.execute("select * from kept").fetchall()
        by_type = {
            dict(labels)[contract.QUERY_TYPE]: point.value
            for labels, point in instrumented.by_labels(contract.QUERIES_PER_SECOND).items()
        }
        assert by_type["INSERT"] == by_type["SELECT"] > 0
        for metric in (contract.INSERT_PER_SECOND, contract.SELECT_PER_SECOND):
            ((labels, point),) = instrumented.by_labels(metric).items()
            assert (labels, point.value > 0) == (((contract.TABLE_NAME, "kept"),), True)
