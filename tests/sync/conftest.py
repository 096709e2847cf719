import itertools
import shutil
import tempfile
from pathlib import Path

import clickhouse_connect
import duckdb
import pytest

from clickhouse_standin import StandIn
from otel_duckdb.sync import Retry, Sync, Target

_numbers = itertools.count()
QUICK = Retry(attempts=4, seconds=20, initial_delay=0.01, max_delay=0.05)


@pytest.fixture(scope="session")
def chdb_folder():
    """One engine serves all tests of a process: chDB takes one folder a process. It stays open until the end."""
    folder = Path(tempfile.mkdtemp(prefix="otel-duckdb-chdb-"))
    client = clickhouse_connect.get_client(interface="chdb", path=str(folder))
    yield str(folder)
    client.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def buffer(tmp_path):
    with duckdb.connect(str(tmp_path / "buffer.duckdb")) as connection:
        yield connection


@pytest.fixture
def target(chdb_folder):
    """An empty database of the embedded chDB."""
    return Target(path=chdb_folder, database=f"test_{next(_numbers)}")


@pytest.fixture
def query(chdb_folder, target):
    client = clickhouse_connect.get_client(interface="chdb", path=chdb_folder, database=None)

    def run(text):
        return [tuple(row) for row in client.query(text.replace("{}", f"`{target.database}`")).result_rows]

    yield run
    client.close()


@pytest.fixture
def sync(buffer, target):
    """Makes syncs of the buffer that are closed after the test."""
    made = []

    def make(tables=("ticks",), **options):
        made.append(Sync(buffer, list(tables), **{"target": target, "retry": QUICK, **options}))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def _standin():
    with tempfile.TemporaryDirectory(prefix="otel-duckdb-standin-") as folder:
        with StandIn(Path(folder) / "clickhouse", log=Path(folder) / "log") as server:
            yield server


@pytest.fixture
def server(_standin):
    """A ClickHouse over HTTP, that faults can be asked of; they end with the test."""
    yield _standin
    _standin.clear()


@pytest.fixture
def served(server):
    """A target in an empty database of that server."""
    return Target(host=server.host, port=server.port, database=f"test_{next(_numbers)}", timeout=2.0)


@pytest.fixture
def served_query(server, served):
    client = clickhouse_connect.get_client(host=server.host, port=server.port)

    def run(text):
        return [tuple(row) for row in client.query(text.replace("{}", f"`{served.database}`")).result_rows]

    yield run
    client.close()
