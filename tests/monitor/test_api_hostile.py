"""The API under attack: what is malformed, smuggled, slow, too much or cut off harms nobody and nothing."""

import contextlib
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from otel_duckdb.monitor import Monitor, client, discovery

HOST = b"Host: localhost\r\n"
STATUS = b"GET /api/status HTTP/1.1\r\n" + HOST + b"\r\n"


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer else None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Where a body ends is told in two ways: a proxy may take the one, and we the other.
        (
            b"POST /api/cleanup HTTP/1.1\r\n"
            + HOST
            + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        (
            b"POST /api/cleanup HTTP/1.1\r\n"
            + HOST
            + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            400,
        ),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n", 501),
        (b"POST /api/cleanup HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: +4\r\n\r\nabcd", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", None),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: 0x4\r\n\r\nabcd", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length : 4\r\n\r\nabcd", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n", 400),
        # What is no request.
        (b"GET /api/status HTTP/1.1\r\n" + HOST + b" folded: x\r\n\r\n", None),
        (b"GET  /api/status HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /api/\x00status HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /api/status\r\n\r\n", 400),
        (b"GET /api/status HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"GET /api/status HTTP/0.9\r\n" + HOST + b"\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
        (b"GET /api/status HTTP/1.1\r\nHost: localhost\x00.evil\r\n\r\n", None),
        (b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /api/status HTTP/1.1\r\nHost: user@localhost\r\n\r\n", 421),
        (b"GET /api/status HTTP/1.1\r\nHost: localhost/evil\r\n\r\n", 421),
        # Paths and methods that there are not.
        (b"GET /api/%00status HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /views/..%2f..%2f__init__.py HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /api/../api/status HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET //api/status HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /api/status/ HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET http://evil.example/api/status HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET \xff\xfe HTTP/1.1\r\n" + HOST + b"\r\n", None),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 401),
        (b"CONNECT localhost:22 HTTP/1.1\r\n" + HOST + b"\r\n", 401),
        (b"TRACE /api/status HTTP/1.1\r\n" + HOST + b"\r\n", 401),
        (b"get /api/status HTTP/1.1\r\n" + HOST + b"\r\n", 401),
        (b"GET\x00 /api/status HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        # Queries.
        (b"GET /api/metrics?" + b"name=x&" * 1000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /api/metrics?" + b"x" * 8_100 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /api/metrics?" + b"x" * 8_200 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
        (b"GET /api/metrics?start=1e999&end=-1e999 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /api/metrics?start=0&end=1&step=1e-300 HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /api/report?hours=" + b"9" * 5000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /api/statements?limit=\xd9\xa3 HTTP/1.1\r\n" + HOST + b"\r\n", None),
        # Well, though old, or with ends of lines that the standard lets pass.
        (b"GET /api/status HTTP/1.1\nHost: localhost\n\n", 200),
        (b"GET /api/status HTTP/1.0\r\n" + HOST + b"\r\n", 200),
        (b"GET /api/status HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n", 200),
        (b"HEAD /api/status HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    ],
)
def test_what_is_odd_is_refused_or_closed_and_the_next_is_answered(serve, text, expected):
    api = serve()
    answer = api.raw(text)
    if expected is None:
        assert status(answer) in (None, 400, 404, 413, 421, 431, 505)
    else:
        assert status(answer) == expected
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert status(api.raw(STATUS)) == 200


def test_a_second_request_in_the_same_bytes_is_never_answered_nor_does_it_take_the_first_answer_back(serve):
    api = serve()
    smuggled = b"POST /api/cleanup HTTP/1.1\r\n" + HOST + f"X-Monitoring-Key: {api.token}\r\n\r\n".encode()
    for text in (STATUS * 2, STATUS + smuggled, STATUS * 500):
        answer = api.raw(text)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert status(answer) == 200
        assert answer.count(b"HTTP/1.1 ") == 1
        assert f"content-length: {len(body)}".encode() in head.lower()
        assert b"connection: close" in head.lower()


def test_who_has_sent_all_and_closes_that_half_is_answered(serve):
    api = serve()
    for path in (b"/api/status", b"/api/report"):
        with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
            connection.sendall(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            connection.shutdown(socket.SHUT_WR)
            pieces = []
            while piece := connection.recv(65_536):
                pieces.append(piece)
        assert status(b"".join(pieces)) == 200


def test_who_goes_away_or_talks_on_while_a_slow_answer_is_made_costs_no_processor(serve, monkeypatch):
    api = serve(interval_ms=60_000)
    released = threading.Event()
    monkeypatch.setattr(api.monitor, "make_report", lambda _: {"waited": released.wait(20)})
    held = [socket.create_connection(("127.0.0.1", api.port)) for _ in range(4)]
    try:
        for number, connection in enumerate(held):
            connection.sendall(b"GET /api/report HTTP/1.1\r\n" + HOST + b"\r\n" + b"x" * 1000 * number)
            if number % 2:
                connection.shutdown(socket.SHUT_WR)
        held[0].close()
        time.sleep(0.2)
        spent = time.process_time()
        time.sleep(1.0)
        assert time.process_time() - spent < 0.3
    finally:
        released.set()
        for connection in held:
            connection.close()
    assert status(api.raw(STATUS)) == 200


@pytest.mark.slow
@pytest.mark.parametrize("drips", [True, False])
def test_a_body_that_comes_slowly_is_closed_in_time(serve, monkeypatch, drips):
    limits = sys.modules["otel_duckdb.monitor.api.server"]._LIMITS
    monkeypatch.setattr("otel_duckdb.monitor.api.server._LIMITS", type(limits)(request_seconds=0.5, body_bytes=65_536))
    api = serve()
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: 60000\r\n\r\n{")
        for _ in range(30 if drips else 0):
            with contextlib.suppress(OSError):
                connection.sendall(b" ")
            time.sleep(0.05)
        answer = b""
        with contextlib.suppress(OSError):
            answer = connection.recv(1000)
    assert time.monotonic() - began < 15
    assert status(answer) in (None, 408)


def test_a_body_within_its_bound_that_is_no_json_of_sense_is_refused(serve):
    api = serve()
    for body in (
        b"[" * 65_000,
        b'{"a":' * 10_000,
        b"\xff" * 100,
        b"NaN",
        b'{"seconds": 1e400}',
        b'{"id": ' + b"9" * 5000 + b"}",
    ):
        for path in ("/api/silences", "/api/cancel", "/api/alertmanager", "/api/cleanup"):
            shown = {"X_Monitoring_Key": api.token, "Content_Type": "application/json"}
            code, _, told = api.ask(path, "POST", body, **shown)
            assert (code, list(told)) in ((400, ["error"]), (403, ["error"]), (200, ["results"])), (path, body[:20])


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "%2e%2e", "checkpoint;drop table t", "checkpoint' OR 1=1", "\u00e9", "x" * 3000]
)
def test_no_name_in_an_address_becomes_a_path_a_command_or_sql(serve, name):
    api = serve(actions=("checkpoint",))
    head = f"POST /api/actions/{name} HTTP/1.1\r\nHost: localhost\r\nX-Monitoring-Key: {api.token}\r\n"
    text = f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
    assert status(api.raw(text.encode())) in (400, 404)


HOLD = """
import resource, socket, sys
wanted, port = int(sys.argv[1]), int(sys.argv[2])
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, wanted + 100), hard))
held = []
for number in range(wanted):
    try:
        one = socket.create_connection(("127.0.0.1", port), timeout=30)
        one.sendall(b"GET /api/status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: keep-alive\\r\\n")
        one.sendall(b"\\r\\n" * (number % 2))
        held.append(one)
    except OSError:
        pass
    if number == min(wanted - 1, 200):
        print("held", flush=True)
print(len(held), flush=True)
sys.stdin.readline()
"""


def opened():
    """How many descriptors this process has open; 0 where that is not told."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.slow
def test_thousands_of_connections_that_would_stay_open_neither_stay_nor_hinder_others(serve):
    api = serve()
    wanted = int(os.environ.get("OTEL_DUCKDB_TEST_CONNECTIONS", "200"))
    descriptors = opened()
    command = [sys.executable, "-c", HOLD, str(wanted), str(api.port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as crowd:
        crowd.stdout.readline()
        waits = []
        for _ in range(5):
            began = time.monotonic()
            assert status(api.raw(STATUS, 30)) in (200, 429)
            waits.append(time.monotonic() - began)
        assert sorted(waits)[2] < 5
        assert opened() - descriptors < 64 + 20
        crowd.kill()
    assert status(api.raw(STATUS, 30)) in (200, 429)


def test_many_readers_at_once_are_all_answered(serve):
    api = serve()
    codes = []

    def ask(path):
        codes.append(api.ask(path, X_Monitoring_Key=api.token)[0])

    paths = ["/api/status", "/api/running", "/api/metrics?name=process.uptime", "/api/statements", "/main.js"] * 8
    threads = [threading.Thread(target=ask, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert codes == [200] * len(paths)


def test_two_monitors_of_one_process_do_not_disturb_each_other(serve):
    one, other = serve(), serve()
    assert one.port != other.port
    assert one.ask("/api/status")[2]["monitor"]["port"] == one.port
    assert other.ask("/api/status", X_Monitoring_Key=one.token)[0] == 401  # it is a wrong key there
    one.monitor.stop()
    assert other.ask("/api/status")[0] == 200


def test_a_monitor_that_is_stopped_and_started_serves_again_with_another_token(serve):
    api = serve()
    tokens = set()
    for _ in range(5):
        tokens.add(api.token)
        assert api.ask("/api/status")[0] == 200
        api.monitor.stop()
        assert api.port is None
        assert api.token is None
        api.monitor.start()
    assert len(tokens) == 5


def test_a_reader_of_events_who_speaks_http_1_0_is_told_of_them_until_the_connection_ends(serve):
    api = serve()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as connection:
        connection.sendall(b"GET /api/events HTTP/1.0\r\n" + HOST + b"\r\n")
        text = b""
        while text.count(b"event: sample\n") < 3:
            text += connection.recv(65_536)
        head, _, body = text.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body.startswith(b"retry: 3000\n\nevent: sample\n")


@pytest.mark.skipif(not socket.has_ipv6, reason="there is no IPv6 here")
def test_an_address_of_ipv6_is_served_found_and_written_in_brackets(serve):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 on this machine")
    api = serve(host="::1")
    assert api.monitor.address == f"http://[::1]:{api.port}/"
    assert api.ask("/api/status", host="::1")[0] == 200
    [found] = discovery.running()
    assert client.ask(found, "/healthz") == {"status": "ok"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_child_serves_on_a_port_of_its_own_and_leaves_its_parents_alone(serve):
    api = serve()
    with socket.create_connection(("127.0.0.1", api.port), timeout=10) as half:
        half.sendall(b"GET /api/status HTTP/1.1\r\n")
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                deadline = time.monotonic() + 10
                while api.monitor.port in (None, api.port) and time.monotonic() < deadline and api.monitor.port is None:
                    time.sleep(0.01)
                os.write(write, f"{api.monitor.port} {api.monitor.token}".encode())
                time.sleep(60)
            finally:
                os._exit(0)
        try:
            port, token = os.read(read, 1000).decode().split()
            assert int(port) != api.port
            assert token != api.token
            half.sendall(HOST + b"\r\n")
            assert half.recv(20).startswith(b"HTTP/1.1 200")
            assert status(api.raw(STATUS)) == 200
        finally:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            os.close(read)
            os.close(write)


def test_a_monitor_stops_while_an_action_runs_and_readers_ask(monkeypatch, runtime):
    monitor = Monitor(interval_ms=100, port=0)
    entered = threading.Event()

    def clean_up(**_):
        entered.set()
        time.sleep(20)
        return []

    monkeypatch.setattr(monitor, "clean_up", clean_up)
    monitor.start()
    head = f"POST /api/cleanup HTTP/1.1\r\nHost: localhost\r\nX-Monitoring-Key: {monitor.token}\r\n"
    with socket.create_connection(("127.0.0.1", monitor.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        assert entered.wait(10)
        began = time.monotonic()
        monitor.stop()
        assert time.monotonic() - began < 8


def test_memory_does_not_grow_with_what_strangers_send(serve):
    api = serve()

    def attack():
        for number in range(60):
            api.raw(b"POST /api/cleanup HTTP/1.1\r\n" + HOST + b"Content-Length: 65536\r\n\r\n" + bytes(65_536))
            api.ask("/api/status", X_Monitoring_Key=f"wrong {number}", Host=f"evil{number}.example")

    attack()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    attack()
    attack()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
