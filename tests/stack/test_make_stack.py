"""`make stack` starts everything, says where, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from stack import eventually
from stack.programs import ROOT


@pytest.fixture
def make_stack():
    """Start `scripts/stack`; a test that fails leaves nothing running either."""
    started = []

    def start(**environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [ROOT / "scripts" / "stack"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def printed_addresses(process) -> dict[str, str]:
    addresses = {}
    for line in process.stdout:
        if found := re.match(r"(.+?)\s{2,}(http://\S+|/\S+)$", line):
            addresses[found[1]] = found[2]
        if line.startswith("Stop it"):
            break
    return addresses


def answers(address: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", urlsplit(address).port), timeout=5).close()
    except OSError:
        return False
    return True


def test_it_prints_where_everything_is_and_ctrl_c_ends_it_all(programs, make_stack):
    process = make_stack()
    addresses = printed_addresses(process)
    parts = psutil.Process(process.pid).children(recursive=True)
    logs = addresses.pop("Logs")
    assert len(parts) == 5
    assert [name for name, address in addresses.items() if not answers(address)] == []
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0, process.stderr.read()
    assert [part for part in parts if part.is_running()] == []
    assert not any(answers(address) for address in addresses.values())
    assert not Path(logs).exists()


def test_where_one_part_fails_the_others_are_stopped_and_its_log_is_named(programs, make_stack, tmp_path):
    broken = tmp_path / "jaeger"
    broken.write_text("#!/bin/sh\necho 'no memory today'\nexit 3\n")
    broken.chmod(0o755)
    process = make_stack(PATH=f"{tmp_path}:{os.environ['PATH']}")
    children = []
    while process.poll() is None:
        children.extend(psutil.Process(process.pid).children(recursive=True))
    error = process.stderr.read()
    assert process.returncode == 1
    log = re.search(r"jaeger ended with status 3; see (\S+)", error)[1]
    assert "no memory today" in Path(log).read_text()
    assert [child for child in children if child.is_running()] == []


def test_a_part_that_ends_by_itself_ends_the_rest(programs, make_stack):
    process = make_stack()
    printed_addresses(process)
    parts = psutil.Process(process.pid).children(recursive=True)
    next(part for part in parts if "prometheus.yml" in " ".join(part.cmdline())).kill()
    assert process.wait(60) == 1
    assert "prometheus ended with status -9" in process.stderr.read()
    assert [part for part in parts if part.is_running()] == []


def test_parts_end_even_when_it_is_killed(programs, make_stack):
    process = make_stack()
    printed_addresses(process)
    parts = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    eventually(lambda: [part for part in parts if part.is_running()], lambda left: not left)
