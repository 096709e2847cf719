"""`/api/events`: what happens, told while it does, to a bounded number of readers, none of which holds up another."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time

import duckdb
import pytest

from otel_duckdb.web.exchange import Limits


def test_a_reader_is_told_at_once_and_then_of_each_sample(serve, events):
    reader = events(serve(interval_ms=100))

    assert reader.response.status == 200
    assert reader.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reader.lines() == ["retry: 3000"]
    name, first = reader.next()
    assert name == "sample"
    assert first["metrics"]["memory"].keys() >= {"duckdb_memory_percent", "duckdb_memory_bytes"}
    stamps = [reader.next("sample")[1]["metrics"]["timestamp"] for _ in range(3)]
    assert sorted(set(stamps)) == stamps


def test_a_sample_is_what_the_status_says(serve, events):
    api = serve()
    assert events(api).next("sample")[1].keys() == api.ask("/api/status")[2].keys()


def test_what_runs_is_told_when_it_begins_and_when_it_is_over(serve, events):
    reader = events(serve())
    assert reader.next("running")[1] == {"operations": [], "transactions": [], "pool_requests": []}
    with duckdb.connect() as con:
        result = con.execute("SELECT range FROM range(100000)")
        while not (told := reader.next("running")[1])["operations"]:
            pass
        assert told["operations"][0]["text"] == "SELECT range FROM range(?)"
        result.fetchall()
        while reader.next("running")[1]["operations"]:
            pass


def test_an_alert_is_told_when_it_begins_and_when_it_ends(serve, events):
    def memory(reader):
        while (told := reader.next("alert")[1])["name"] != "DuckDBMemoryHigh":
            pass  # the machine may be busy: that is another alert
        return told

    api = serve(alert_levels={"DuckDBMemoryHigh": {"warning": 0.1}}, alert_lasting_seconds=0, alert_calming_seconds=0.2)
    reader = events(api)
    with duckdb.connect(config={"memory_limit": "100MB"}) as con:
        con.execute("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(3000000)")
        begun = memory(reader)
        assert begun["ended"] is None
        assert memory(events(api))["id"] == begun["id"]  # who comes late sees it too
    while not (told := memory(reader))["ended"]:
        pass
    assert told["id"] == begun["id"]


def test_streams_take_no_thread_and_are_bounded_in_their_number(serve, events):
    api = serve()
    before = {thread.name for thread in threading.enumerate()}
    for _ in range(16):
        assert events(api).next()[0] == "sample"
    assert {thread.name for thread in threading.enumerate()} <= before
    status, headers, told = api.ask("/api/events")
    assert (status, headers["Retry-After"], told["error"]) == (503, "5", "At most 16 streams are open at a time.")
    assert api.ask("/healthz")[0] == 200


def test_a_stream_that_is_closed_gives_its_place_to_another(serve, events):
    api = serve()
    for number in range(40):
        reader = events(api)
        assert reader.response.status == 200, number
        assert reader.next()[0] == "sample"
        reader.close()
        deadline = time.monotonic() + 5
        while api.monitor._api._server.streams > 10 and time.monotonic() < deadline:
            time.sleep(0.01)


def test_a_crowd_of_connections_closes_no_stream(serve, events):
    api = serve()
    reader = events(api)
    held = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(100)]
    try:
        for _ in range(5):
            assert reader.next("sample")[0] == "sample"
    finally:
        for one in held:
            one.close()


def test_a_head_of_the_events_is_over_at_once(serve):
    status, headers, body = serve().ask("/api/events", "HEAD")
    assert (status, headers["Content-Type"], body) == (200, "text/event-stream; charset=utf-8", b"")


def test_a_stop_ends_the_streams_whole_and_does_not_wait_for_their_readers(serve, events):
    api = serve()
    readers = [events(api) for _ in range(3)]
    for reader in readers:
        assert reader.next()[0] == "sample"
    began = time.monotonic()
    api.monitor.stop()
    assert time.monotonic() - began < 8
    for reader in readers:
        while reader.next():  # an answer that was cut off raises IncompleteRead
            pass


def test_who_may_not_read_is_told_nothing(serve, events):
    api = serve(api_key="a key")
    assert events(api).response.status == 401
    assert events(api, Authorization="Bearer a key").next()[0] == "sample"
    assert events(api, Host="evil.example").response.status == 421
    assert events(api, Sec_Fetch_Site="cross-site").response.status == 403


@pytest.fixture
def small(monkeypatch):
    """Lets streams end early."""

    def limit(**limits):
        present = Limits(connections=64, body_bytes=65_536, streams=16, **limits)
        monkeypatch.setattr("otel_duckdb.monitor.api.server._LIMITS", present)

    return limit


def test_a_slow_reader_is_dropped_and_takes_nothing_from_the_others(serve, events, small):
    small(stream_bytes=65_536)
    api = serve()
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.connect(("127.0.0.1", api.port))
    slow.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    quick = events(api)
    assert quick.next()[0] == "sample"
    server = api.monitor._api._server
    deadline = time.monotonic() + 30
    while server.streams < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    while server.streams == 2 and time.monotonic() < deadline:
        server.broadcast(b": " + b"x" * 50_000 + b"\n\n")
        quick.lines()
    assert server.streams == 1
    assert quick.next("sample")[0] == "sample"
    slow.close()


def test_signs_of_life_come_while_nothing_happens_and_a_stream_ends_after_its_time(serve, events, small):
    small(heartbeat_seconds=0.2, stream_seconds=1.0)
    reader = events(serve(interval_ms=60_000))
    began = time.monotonic()
    blocks = []
    while block := reader.lines():
        blocks.append(block)
    assert blocks.count([":"]) >= 3
    assert time.monotonic() - began < 15


def test_a_reader_that_goes_on_sending_is_dropped(serve, small):
    small()
    api = serve()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(OSError):  # noqa: PT011 - reset, or a broken pipe
            connection.sendall(bytes(100_000_000))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_has_no_part_in_its_parents_streams(serve, events):
    api = serve()
    reader = events(api)
    assert reader.next()[0] == "sample"
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    try:
        assert reader.next("sample")[1]["process"]["pid"] == os.getpid()
        api.monitor.stop()
        began = time.monotonic()
        while reader.next():
            pass
        assert time.monotonic() - began < 20  # the child does not hold the connection open
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_the_data_of_an_event_is_one_line_whatever_the_names_are(serve, events, tmp_path):
    api = serve()
    path = str(tmp_path / "a\nevent: forged\ndata: 1\n\n\u2028.db")
    with duckdb.connect(path) as con:
        con.execute("SELECT 1").fetchall()
        reader = events(api)
        seen = {reader.next()[0] for _ in range(6)}
        assert seen <= {"sample", "running", "alert"}
        assert json.dumps(api.ask("/api/status")[2])


PROGRAM = """
import sys, time
from otel_duckdb.monitor import Monitor
monitor = Monitor(port=0, interval_ms=100)
monitor.start()
print(monitor.port, flush=True)
sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_program_ends_though_its_events_are_read_and_an_answer_is_being_made(runtime, events):
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        api = type("Api", (), {"port": int(program.stdout.readline())})
        readers = [events(api) for _ in range(3)]
        assert all(reader.next()[0] == "sample" for reader in readers)
        began = time.monotonic()
        program.communicate("\n", timeout=30)
        assert time.monotonic() - began < 20
    assert program.returncode == 0
    for reader in readers:
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while reader.next():
                pass
