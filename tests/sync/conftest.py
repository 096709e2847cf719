import itertools
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import clickhouse_connect
import duckdb
import pytest

from clickhouse_standin import StandIn
from otel_duckdb.sync import Retry, Sync, Target

_numbers = itertools.count()
_SERVER = os.environ.get("OTEL_DUCKDB_TEST_CLICKHOUSE")
"""The address of a real server, from `make test-clickhouse`; it takes the place of chDB."""
_LOGIN = {
    "username": os.environ.get("OTEL_DUCKDB_TEST_CLICKHOUSE_USERNAME") or None,
    "password": os.environ.get("OTEL_DUCKDB_TEST_CLICKHOUSE_PASSWORD") or None,
}
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
def ticks(buffer):
    """An empty table `ticks` in the buffer, and a function that inserts rows with numbers into it."""
    buffer.execute("CREATE TABLE ticks (a BIGINT, s VARCHAR)")

    def insert(low, high):
        buffer.execute("INSERT INTO ticks SELECT range, 'n' || range FROM range($1, $2)", [low, high])

    return insert


def _real(database):
    """An empty database of the real server."""
    parts = urlsplit(_SERVER)
    login = {name: value for name, value in _LOGIN.items() if value}
    return Target(host=parts.hostname, port=parts.port, secure=parts.scheme == "https", database=database, **login)


def _name():
    return f"test_{next(_numbers)}" if _SERVER is None else f"otel_duckdb_test_{os.getpid()}_{next(_numbers)}"


def _asking(client, database):
    def run(text):
        return [tuple(row) for row in client.query(text.replace("{}", f"`{database}`")).result_rows]

    return run


def _drop(client, database):
    if _SERVER is not None:
        client.command(f"DROP DATABASE IF EXISTS `{database}` SYNC")
    client.close()


@pytest.fixture
def target(request):
    """An empty database of the embedded chDB, or of the real server."""
    return _real(_name()) if _SERVER else Target(path=request.getfixturevalue("chdb_folder"), database=_name())


@pytest.fixture
def query(request, target):
    if _SERVER:
        client = clickhouse_connect.get_client(
            host=target.host,
            port=target.port or 0,
            secure=target.secure,
            username=target.username,
            password=target.secret(),
        )
    else:
        folder = request.getfixturevalue("chdb_folder")
        client = clickhouse_connect.get_client(interface="chdb", path=folder, database=None)
    yield _asking(client, target.database)
    _drop(client, target.database)


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
        with StandIn(Path(folder) / "clickhouse", log=Path(folder) / "log", upstream=_SERVER) as server:
            yield server


@pytest.fixture
def server(_standin):
    """A ClickHouse over HTTP, that faults can be asked of; they end with the test."""
    yield _standin
    _standin.clear()


@pytest.fixture
def served(server):
    """A target in an empty database of that server."""
    login = {name: value for name, value in _LOGIN.items() if value}
    return Target(host=server.host, port=server.port, database=_name(), timeout=2.0, **login)


@pytest.fixture
def served_query(server, served):
    client = clickhouse_connect.get_client(
        host=server.host, port=server.port, username=served.username, password=served.secret()
    )
    yield _asking(client, served.database)
    _drop(client, served.database)
