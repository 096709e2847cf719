"""The pipeline, run once for all tests of this folder, in the environment of the newest DuckDB only."""

import duckdb
import pytest

from stack import Programs, Stack

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]


@pytest.fixture(scope="session")
def programs():
    """Where the pipeline's programs are; the first run builds them."""
    return Programs.find()


@pytest.fixture(scope="session")
def stack(programs, tmp_path_factory):
    """The running pipeline."""
    with Stack(programs, tmp_path_factory.mktemp("stack")) as running:
        yield running
