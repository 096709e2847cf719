"""`otel-duckdb monitor` as a service of systemd with `Type=notify`."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from otel_duckdb.commands._systemd import ServiceManager

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="there is no systemd")


@pytest.fixture(params=["path", "abstract"])
def notified(request, tmp_path):
    """A socket that systemd would listen on, and its name as the variable has it."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("Linux alone has abstract names")
    name = str(tmp_path / "notify") if request.param == "path" else f"\0otel-duckdb-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(30)
        yield listening, name.replace("\0", "@")


def test_a_service_says_when_it_is_ready_that_it_lives_and_when_it_stops(notified, tmp_path):
    listening, name = notified
    path = tmp_path / "shop.duckdb"
    duckdb.connect(path).close()
    process = subprocess.Popen(
        [sys.executable, "-m", "otel_duckdb.cli", "monitor", str(path), "--interval", "3600", "--no-web"],
        env={**os.environ, "NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"},
        stdout=subprocess.DEVNULL,
    )
    told = [listening.recv(4096).decode() for _ in range(4)]
    process.send_signal(signal.SIGTERM)
    while not told[-1].startswith("STOPPING=1"):
        told.append(listening.recv(4096).decode())
    assert process.wait(30) == 0
    assert told[0].startswith("READY=1\nSTATUS=")
    assert told[1].startswith("WATCHDOG=1\nSTATUS=")
    assert told[2] == told[1]


@pytest.mark.parametrize("address", ["", "vsock:2:1", "/no/such/socket", "relative"])
def test_where_nobody_listens_nothing_happens(address):
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    manager.ready("healthy")
    manager.alive("healthy")
    manager.stopping()


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "2000000"}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": str(os.getpid())}, 2.0),
        ({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_asked_for_by_its_variables(variables, seconds):
    assert ServiceManager(variables).watchdog_seconds == seconds


def test_the_units_of_the_examples_start_what_there_is():
    folder = Path(__file__).parents[2] / "examples" / "systemd"
    text = (folder / "otel-duckdb-monitor.service").read_text()
    assert "Type=notify" in text
    assert "WatchdogSec=" in text
    assert "NotifyAccess=main" in text
