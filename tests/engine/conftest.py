"""What tests of databases share: whether anyone still holds a file."""

import subprocess
import sys

import pytest


@pytest.fixture
def opens_elsewhere():
    """Tells whether another process can open the file of a database."""

    def opens(path):
        program = f"import duckdb; duckdb.connect({str(path)!r}).close()"
        return subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).returncode == 0

    return opens
