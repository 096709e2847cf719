"""A connect that fails is counted by its class, and raises as it would without us."""

import subprocess
import sys

import duckdb
import pytest

from otel_duckdb import contract

LOCKED = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


def locked(path):
    holder = subprocess.Popen([sys.executable, "-c", LOCKED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline().strip() == b"locked"
    return holder


def failing_connects(tmp_path):
    corrupt = tmp_path / "corrupt.db"
    corrupt.write_bytes(b"no database" * 1000)
    used = duckdb.connect(tmp_path / "used.db")
    yield "IOException", lambda: duckdb.connect(corrupt)
    yield "IOException", lambda: duckdb.connect(tmp_path / "missing" / "a.db")
    yield "IOException", lambda: duckdb.connect(tmp_path / "nothing.db", read_only=True)
    yield "InvalidInputException", lambda: duckdb.connect(config={"nothing": "1"})
    yield "ParserException", lambda: duckdb.connect(config={"memory_limit": "lots"})
    yield "ConnectionException", lambda: duckdb.connect(tmp_path / "used.db", read_only=True)
    used.close()


def test_every_failing_connect_is_counted_by_its_class_and_raises_as_before(instrument, tmp_path):
    expected, messages = {}, []
    for name, connect in failing_connects(tmp_path):
        with pytest.raises(duckdb.Error) as raised:
            connect()
        messages.append(str(raised.value))
        expected[name] = expected.get(name, 0) + 1
        assert type(raised.value).__qualname__ == name
    instrumented = instrument()
    assert instrumented.read(contract.FAILED_CONNECTIONS, error_type="IOException") == 0
    again = []
    for _, connect in failing_connects(tmp_path):
        with pytest.raises(duckdb.Error) as raised:
            connect()
        again.append(str(raised.value))
    assert again == messages
    found = {
        dict(labels)[contract.ERROR_TYPE_LABEL]: point.value
        for labels, point in instrumented.by_labels(contract.FAILED_CONNECTIONS).items()
    }
    assert found == expected


def test_a_file_locked_by_another_process_is_a_failed_connection(instrumented, path):
    holder = locked(path)
    try:
        with pytest.raises(duckdb.IOException, match="Could not set lock"):
            duckdb.connect(path)
    finally:
        holder.communicate()
    assert instrumented.read(contract.FAILED_CONNECTIONS, error_type="IOException") == 1
