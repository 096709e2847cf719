"""Who waits for a connection that works for another thread, where that can be known."""

import threading
import time
import weakref
from contextlib import suppress

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.core.location import location
from otel_duckdb.core.operation import Connection, Operation
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.running import Running
from otel_duckdb.statement import parse

LONG = "SELECT count(*) FROM range(100000000000) a, range(1000) b"


@pytest.mark.skipif(not duckdb.__version__.startswith("1."), reason="DuckDB 2 refuses what DuckDB 1 lets wait")
def test_a_thread_that_waits_for_another_on_its_connection_is_seen_to_wait():
    DuckDBInstrumentor().instrument()
    with Monitor(serve=False) as monitor, duckdb.connect() as con:

        def work(text):
            with suppress(duckdb.InterruptException):
                con.execute(text).fetchall()

        threads = []
        for name, text in (("first", LONG), ("second", "SELECT 42 AS second")):
            threads.append(threading.Thread(target=work, args=(text,), name=name))
            threads[-1].start()
            deadline = time.monotonic() + 20
            while len(monitor.running()["operations"]) < len(threads):
                assert time.monotonic() < deadline
        time.sleep(0.1)
        told = {each["thread"]: each for each in monitor.running()["operations"]}
        assert (told["first"]["phase"], told["first"]["waits_for"]) == ("execute", None)
        assert (told["second"]["phase"], told["second"]["waits_for"]) == ("waiting", told["first"]["id"])
        con.interrupt()
        for thread in threads:
            thread.join(30)


class Owner:
    """Stands for DuckDB's object."""


@pytest.fixture
def connection():
    owner = Owner()
    yield Connection(1, weakref.ref(owner), location(":memory:"), None)
    del owner


def begun(running, connection, text, *, busy=0):
    operation = Operation(text, parse(text), connection)
    connection.busy_thread = busy
    operation.thread, operation.came_second = 1, bool(busy)
    running.running.add(operation)
    return operation


def phases(running):
    return {each["text"]: (each["phase"], each["waits_for"]) for each in running.as_json(())["operations"]}


def test_where_the_first_is_over_nobody_can_say_which_of_the_others_works(connection):
    running = Running()
    first = begun(running, connection, "SELECT a")
    begun(running, connection, "SELECT b", busy=7)
    begun(running, connection, "SELECT c", busy=7)
    assert phases(running) == {"SELECT a": ("execute", None), "SELECT b": ("waiting", 1), "SELECT c": ("waiting", 1)}
    first.ended = True
    running.running.discard(first)
    assert phases(running) == {"SELECT b": ("execute or waiting", None), "SELECT c": ("execute or waiting", None)}


def test_one_that_comes_while_another_s_result_is_read_may_wait(connection):
    running = Running()
    reading = begun(running, connection, "SELECT a")
    reading.execute_ns, connection.operation = 5, reading
    begun(running, connection, "SELECT b", busy=7)
    assert phases(running)["SELECT b"] == ("execute or waiting", None)
    assert phases(running)["SELECT a"][0] == "fetching"


def test_operations_on_connections_of_their_own_do_not_wait(connection):
    running = Running()
    begun(running, connection, "SELECT a")
    begun(running, Connection(2, None, location(":memory:"), None), "SELECT b")
    assert set(phases(running).values()) == {("execute", None)}
