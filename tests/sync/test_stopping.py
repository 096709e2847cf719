"""A sync ends when it is told to, or when its program ends, whatever the target does; deadlines are kept in whole."""

import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

import duckdb
import pytest

from otel_duckdb.sync import Retry, Sync, Target, TargetUnavailableError
from otel_duckdb.sync.transport import ANSWER_BYTES

PATIENT = Retry(attempts=50, seconds=600)


class Stranger:
    """A server that takes connections, and answers each with what a function yields, or never."""

    def __init__(self, answer=None):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answer = answer
        self._ended = threading.Event()
        self._held = []
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                self._held.append(connection)
                if self._answer is not None:
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with suppress(OSError):
            connection.recv(65536)
            for piece, pause in self._answer():
                connection.sendall(piece)
                if self._ended.wait(pause):
                    return

    def close(self):
        self._ended.set()
        self._listener.close()
        for connection in self._held:
            connection.close()


def dripping():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", 0
    while True:
        yield b"1", 0.2


def dripping_headers():
    yield b"HTTP/1.1 200 OK\r\n", 0
    while True:
        yield b"X-A: b\r\n", 0.2


def endless():
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 0
    while True:
        yield b"100000\r\n" + b"1" * 0x100000 + b"\r\n", 0


@pytest.fixture
def strangers():
    made = []

    def make(answer=None):
        made.append(Stranger(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def ticks(buffer):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")


def test_stopping_takes_one_timeout_however_many_tables_there_are(buffer, strangers):
    names = [f"t{number}" for number in range(40)]
    for name in names:
        buffer.execute(f"CREATE TABLE {name} AS SELECT 1 AS a")
    target = Target(host="127.0.0.1", port=strangers().port, timeout=2)
    with Sync(buffer, names, target, retry=PATIENT) as one:
        one.start(1)
        time.sleep(3)
        begin = time.monotonic()
        assert one.stop()
        assert time.monotonic() - begin < 4


def test_what_is_under_way_can_be_broken_off(buffer, strangers, ticks):
    target = Target(host="127.0.0.1", port=strangers().port, timeout=100)
    with Sync(buffer, ["ticks"], target, retry=PATIENT) as one:
        one.start(1)
        time.sleep(0.5)
        assert not one.stop(0.1)
        begin = time.monotonic()
        one.abort()
        assert one.stop(10)
        assert time.monotonic() - begin < 3


@pytest.mark.parametrize("answer", [dripping, dripping_headers])
def test_a_target_that_drips_does_not_outlast_the_timeout(buffer, strangers, ticks, answer):
    target = Target(host="127.0.0.1", port=strangers(answer).port, timeout=1)
    with Sync(buffer, ["ticks"], target, retry=Retry(attempts=2, seconds=5, initial_delay=0.01)) as one:
        begin = time.monotonic()
        error = one.run_once()[0].error
        assert time.monotonic() - begin < 5
    assert isinstance(error, TargetUnavailableError)
    assert "no whole answer within 1 s" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_target_that_sends_the_rows_elsewhere_is_refused_and_nobody_is_asked_there(buffer, strangers, ticks, status):
    elsewhere = strangers()

    def redirect():
        address = f"http://localhost:{elsewhere.port}/"
        yield f"HTTP/1.1 {status} x\r\nLocation: {address}\r\nContent-Length: 0\r\n\r\n".encode(), 0

    target = Target(host="127.0.0.1", port=strangers(redirect).port, timeout=5)
    with Sync(buffer, ["ticks"], target, retry=Retry(attempts=2, seconds=5, initial_delay=0.01)) as one:
        assert f"HTTP status {status}" in str(one.run_once()[0].error)
    assert elsewhere._held == []


def test_an_answer_without_end_is_not_taken_in(buffer, strangers, ticks):
    assert ANSWER_BYTES < 100 * 2**20
    target = Target(host="127.0.0.1", port=strangers(endless).port, timeout=30)
    with Sync(buffer, ["ticks"], target, retry=Retry(attempts=2, seconds=5, initial_delay=0.01)) as one:
        assert one.run_once()[0].error is not None


PROGRAM = """
import duckdb, sys, time
from otel_duckdb.sync import Sync, Target
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE ticks AS SELECT 1 AS a")
sync = Sync(connection, ["ticks"], Target(host="127.0.0.1", port=int(sys.argv[2]), timeout=60))
sync.start(interval=1.0)
time.sleep(1)
raise SystemExit("ended by itself")
"""


@pytest.mark.parametrize("answer", [None, dripping], ids=["silent", "dripping"])
def test_a_program_that_ends_without_a_word_ends(tmp_path, strangers, answer):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "buffer.duckdb"), str(strangers(answer).port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "ended by itself" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        pytest.param(signal.SIGTERM, None, id="SIGTERM silent"),
        pytest.param(signal.SIGINT, dripping, id="SIGINT dripping"),
        pytest.param(signal.SIGTERM, dripping, id="SIGTERM dripping", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, None, id="SIGINT silent", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_watch_within_seconds(tmp_path, strangers, answer, number):
    with duckdb.connect(str(tmp_path / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    (tmp_path / "sync.toml").write_text(
        'database = "buffer.duckdb"\n[target]\nhost = "127.0.0.1"\n'
        f'port = {strangers(answer).port}\n[[tables]]\nname = "ticks"\n'
    )
    command = [sys.executable, "-m", "otel_duckdb.cli", "sync", "--watch"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "1 tables, 0 rows stored, 1 waiting" in process.stdout.readline()
        begin = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert time.monotonic() - begin < 15
    assert process.returncode == 1
    assert "Traceback" not in err
