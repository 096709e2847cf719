"""The server as strangers see it: slow ones, long ones, many, and pages of other sites."""

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from otel_duckdb.web.exchange import Limits, Response, Slow
from otel_duckdb.web.hosts import Hosts
from otel_duckdb.web.server import Server, listen

DESCRIPTORS = Path("/proc/self/fd")
GET = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def serve():
    """Starts a server, and tells its port."""
    started = []

    def start(answer=lambda _: Response(200, b"fine\n"), **limits):
        server = Server(listen("127.0.0.1", 0), answer, Hosts("127.0.0.1"), Limits(**limits))
        server.start()
        started.append(server)
        return server.port

    yield start
    for server in started:
        server.stop()


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def everything(connection):
    """All that comes until the other side closes."""
    pieces = []
    try:
        while piece := connection.recv(65_536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def ask(port, text=GET):
    with connect(port) as connection:
        connection.sendall(text)
        return everything(connection)


def status(answer):
    return int(answer.split(b" ", 2)[1])


def test_a_request_is_answered_and_the_connection_closed(serve):
    answer = ask(serve())
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"fine\n"
    for header in (b"content-length: 5", b"connection: close", b"x-content-type-options: nosniff"):
        assert header in head.lower()


def test_a_request_may_come_byte_by_byte_and_head_has_no_body(serve):
    port = serve()
    with connect(port) as connection:
        for byte in GET:
            connection.sendall(bytes([byte]))
        assert everything(connection).endswith(b"fine\n")
    assert ask(port, b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").endswith(b"\r\n\r\n")
    assert status(ask(port, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")) == 200


@pytest.mark.parametrize(
    ("request_text", "expected"),
    [
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: 0.0.0.0\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 421),
        (b"GET / HTTP/1.0\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-site\r\n\r\n", 403),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: none\r\n\r\n", 200),
        (b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n", 413),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400),
        (b"not http at all\r\n\r\n", 400),
    ],
)
def test_what_may_not_be_asked_is_refused_and_never_reaches_the_program(serve, request_text, expected):
    asked = []
    port = serve(lambda request: asked.append(request) or Response(200))
    assert status(ask(port, request_text)) == expected
    assert bool(asked) is (expected == 200)
    assert status(ask(port)) == 200


def test_a_body_is_handed_over_up_to_its_bound(serve):
    port = serve(lambda request: Response(200, request.body), body_bytes=10)
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    assert ask(port, head % 10 + b"0123456789").endswith(b"0123456789")
    assert status(ask(port, head % 11 + b"0123456789x")) == 413
    with connect(port) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert status(connection.recv(1000)) == 100
        connection.sendall(b"abc")
        assert everything(connection).endswith(b"abc")


@pytest.mark.parametrize("drips", [True, False])
def test_a_request_that_takes_too_long_is_closed_though_bytes_still_come(serve, drips):
    port = serve(request_seconds=0.5)
    began = time.monotonic()
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(40 if drips else 0):
            try:
                connection.sendall(b"x")
            except OSError:
                break
            time.sleep(0.1)
        answer = everything(connection)
    assert time.monotonic() - began < 4
    assert not answer or status(answer) == 408


def test_a_connection_that_says_nothing_is_closed_without_an_answer(serve):
    with connect(serve(request_seconds=0.3)) as connection:
        assert everything(connection) == b""


def test_a_reader_that_stops_reading_is_closed(serve):
    port = serve(lambda _: Response(200, b"x" * 50_000_000), response_seconds=0.5)
    with connect(port) as connection:
        connection.sendall(GET)
        time.sleep(1.5)
        assert len(everything(connection)) < 50_000_000


def test_many_idle_connections_take_no_thread_and_hinder_no_honest_one(serve):
    port = serve(connections=4)
    before = set(threading.enumerate())
    before_opened = len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0
    held = [connect(port) for _ in range(60)]
    for connection in held:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nX: ")
    try:
        began = time.monotonic()
        assert status(ask(port)) == 200
        assert time.monotonic() - began < 5
        assert set(threading.enumerate()) <= before
        if DESCRIPTORS.exists():
            assert len(list(DESCRIPTORS.iterdir())) < before_opened + 60 + 10
    finally:
        for connection in held:
            connection.close()


EXHAUSTED = """
import os, resource, sys, time
from otel_duckdb.web.exchange import Response
from otel_duckdb.web.hosts import Hosts
from otel_duckdb.web.server import Server, listen
server = Server(listen("127.0.0.1", 0), lambda _: Response(200), Hosts("127.0.0.1"))
server.start()
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    print(server.port, flush=True)
sys.stdin.readline()
spent = time.process_time()
time.sleep(2.5)
spent = time.process_time() - spent
for one in held:
    os.close(one)
print(spent, flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_no_processor_is_used_while_the_program_has_no_descriptor_and_all_is_well_after():
    with subprocess.Popen(
        [sys.executable, "-c", EXHAUSTED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        port = int(program.stdout.readline())
        with connect(port) as connection:
            program.stdin.write("\n")
            program.stdin.flush()
            assert float(program.stdout.readline()) < 0.25
            connection.sendall(GET)
            assert status(everything(connection)) == 200
        _, errors = program.communicate("\n", timeout=20)
    assert errors.count("no connection can be accepted (Too many open files)") == 1


def test_an_answer_that_fails_is_a_500_without_a_word_of_it_and_the_next_is_well(serve, caplog):
    answers = [lambda: 1 / 0, lambda: Response(200, b"", (("bad\nheader", "x"),)), lambda: Response(200)]
    port = serve(lambda _: answers.pop(0)())
    answer = ask(port)
    assert status(answer) == 500
    assert b"division" not in answer
    assert ask(port) == b""
    assert status(ask(port)) == 200
    assert len(caplog.records) == 2


def test_a_stop_does_not_wait_for_a_reader_that_has_stopped_reading(serve):
    server = Server(listen("127.0.0.1", 0), lambda _: Response(200, b"x" * 50_000_000), Hosts("127.0.0.1"))
    server.start()
    with connect(server.port) as stalled:
        stalled.sendall(GET)
        stalled.recv(10)
        began = time.monotonic()
        server.stop(30)
        assert time.monotonic() - began < 5


def test_an_answer_that_is_being_made_is_sent_though_the_server_stops(serve):
    def answer(_):
        return Slow(lambda: (entered.set(), time.sleep(0.3), Response(200, b"made\n"))[-1])

    entered = threading.Event()
    server = Server(listen("127.0.0.1", 0), answer, Hosts("127.0.0.1"))
    server.start()
    with connect(server.port) as connection:
        connection.sendall(GET)
        assert entered.wait(10)
        server.stop()
        assert everything(connection).endswith(b"made\n")


def test_a_stop_ends_the_thread_and_frees_the_port_though_connections_are_open(serve):
    server = Server(listen("127.0.0.1", 0), lambda _: Response(200), Hosts("127.0.0.1"))
    server.start()
    with connect(server.port) as held:
        began = time.monotonic()
        server.stop()
        server.stop()
        assert time.monotonic() - began < 2
        assert everything(held) == b""
    listen("127.0.0.1", server.port).close()
