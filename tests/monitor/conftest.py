"""A monitor with its API in this process, and what asks it over a real socket."""

import contextlib
import http.client
import json
import socket
import time

import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor


class Api:
    """Asks the API of one monitor."""

    def __init__(self, monitor):
        self.monitor = monitor

    @property
    def port(self):
        return self.monitor.port

    @property
    def token(self):
        return self.monitor.token

    def ask(self, path, method="GET", body=None, host="127.0.0.1", **headers):
        """The status, the headers, and the body: as JSON where it is, else as bytes."""
        connection = http.client.HTTPConnection(host, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            text = response.read()
        is_json = response.headers.get("Content-Type") == "application/json"
        return response.status, response.headers, json.loads(text) if is_json and text else text

    def sampled(self, times=3):
        """Wait until the monitor has taken further samples: what was done before is in the last of them."""
        for _ in range(times):
            before = self.monitor.sample()
            deadline = time.monotonic() + 60
            while self.monitor.sample() is before and time.monotonic() < deadline:
                time.sleep(0.01)

    def act(self, path, body=None, **headers):
        """POST JSON, with the token where no other key is given."""
        given = {"X_Monitoring_Key": self.token, "Content_Type": "application/json", **headers}
        given = {name: text for name, text in given.items() if text is not None}
        return self.ask(path, "POST", json.dumps(body or {}), **given)

    def raw(self, text, seconds=10.0):
        """Send bytes, and read all that comes until the other side closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(text)
            return everything(connection)


def everything(connection):
    pieces = []
    with contextlib.suppress(ConnectionResetError, TimeoutError):
        while piece := connection.recv(65_536):
            pieces.append(piece)
    return b"".join(pieces)


class Events:
    """Reads a stream of events."""

    def __init__(self, port, path="/api/events", **headers):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
        self.response = self.connection.getresponse()

    def lines(self):
        """The lines of the next block, until an empty one; nothing where the stream is over."""
        found = []
        while line := self.response.readline():
            if line == b"\n":
                return found
            found.append(line.decode().removesuffix("\n"))
        return found

    def next(self, *names):
        """The name and the value of the next event, of these names if any are given."""
        while block := self.lines():
            fields = dict(line.split(": ", 1) for line in block if ": " in line)
            if "event" in fields and (not names or fields["event"] in names):
                return fields["event"], json.loads(fields["data"])
        return None

    def close(self):
        self.connection.close()
        self.response.close()


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    """A folder of announcements of the test's own."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def serve(runtime):
    """Starts a monitor, and gives what asks its API; all are stopped in the end."""
    DuckDBInstrumentor().instrument()
    made = []

    def start(**options):
        monitor = Monitor(**{"interval_ms": 100, "port": 0, **options})
        monitor.start()
        made.append(monitor)
        while monitor.status()["metrics"]["timestamp"] is None:
            time.sleep(0.01)
        return Api(monitor)

    yield start
    for monitor in made:
        monitor.stop()
    DuckDBInstrumentor().uninstrument()


@pytest.fixture
def events():
    """Opens streams of events, which are closed in the end."""
    opened = []

    def read(api, path="/api/events", **headers):
        opened.append(Events(api.port, path, **headers))
        return opened[-1]

    yield read
    for one in opened:
        one.close()
