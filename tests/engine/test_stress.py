"""The short form of the stress test; `make soak` runs the long one."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_databases_are_read_while_eight_threads_open_close_and_drop_them():
    stress = Path(__file__).with_name("stress.py")
    run = subprocess.run([sys.executable, stress, "2"], capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
