"""The programs that judge what is deployed; with the newest DuckDB only, for nothing here depends on its version."""

import subprocess
from pathlib import Path

import duckdb
import pytest

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tools():
    made = subprocess.run([ROOT / "scripts/prometheus-tools"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())
