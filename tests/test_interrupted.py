"""A signal handler or a finalizer may come at any line of the monitor or the sync, and ask them what it likes."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def run(program, *arguments):
    command = [sys.executable, TESTS / program, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[0])


@pytest.mark.slow
def test_at_each_line_of_the_monitor():
    assert run("monitor/interrupted_at_each_line.py", "3") > 500


@pytest.mark.slow
def test_at_each_line_of_the_sync():
    assert run("sync/interrupted_at_each_line.py") > 500
