"""The ClickHouse stand-in behaves as a ClickHouse server does, with the faults it is told to have."""

from __future__ import annotations

import gzip
import http.client
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlencode

import clickhouse_connect
import lz4.frame
import pyarrow as pa
import pytest
import zstandard
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from clickhouse_standin import Fault, Kind, StandIn
from clickhouse_standin.statements import split


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory):
    with StandIn(tmp_path_factory.mktemp("clickhouse")) as standin:
        yield standin


@pytest.fixture
def client(clickhouse):
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as connected:
        connected.command("DROP TABLE IF EXISTS trades")
        connected.command("CREATE TABLE trades (id UInt64, symbol String) ENGINE = MergeTree ORDER BY id")
        yield connected


def post(clickhouse, body: bytes, headers: dict[str, str] | None = None, *, chunked: bool = False, **parameters: str):
    connection = http.client.HTTPConnection(clickhouse.host, clickhouse.port, timeout=20)
    content = (body[at : at + 7] for at in range(0, len(body), 7)) if chunked else body
    with closing(connection):
        connection.request("POST", f"/?{urlencode(parameters)}", content, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("X-ClickHouse-Exception-Code"), answer.read()


def ping(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/ping")
    return connection.getresponse().read()


@pytest.mark.parametrize(
    ("request_body", "sql", "data_format", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\n\x02", "INSERT INTO t ", "Native", b"\x01\n\x02"),
        (b"insert into t (a, format) format JSONEachRow {}", "insert into t (a, format) ", "JSONEachRow", b"{}"),
        (
            b"/* FORMAT a */ INSERT INTO `FORMAT b` FORMAT CSV\r\n\n1",
            "/* FORMAT a */ INSERT INTO `FORMAT b` ",
            "CSV",
            b"\n1",
        ),
        (
            b"INSERT INTO t SETTINGS x='FORMAT y' FORMAT Values (1)",
            "INSERT INTO t SETTINGS x='FORMAT y' ",
            "Values",
            b"(1)",
        ),
        (b"INSERT INTO t VALUES (1, 'a') FORMAT", "INSERT INTO t VALUES (1, 'a') FORMAT", None, b""),
        (b"INSERT INTO t SELECT 1 FORMAT Null", "INSERT INTO t SELECT 1 FORMAT Null", None, b""),
        (b"SELECT 1 FORMAT JSON", "SELECT 1 FORMAT JSON", None, b""),
    ],
)
def test_data_begins_behind_the_format_clause_of_an_insert(request_body, sql, data_format, data):
    statement = split(request_body)
    assert (statement.sql, statement.format, statement.data) == (sql, data_format, data)


def test_rows_inserted_by_the_client_are_read_back(client):
    client.insert("trades", [[1, "A"], [2, "FORMAT Native\n"]], column_names=["id", "symbol"])
    client.insert_arrow("trades", pa.table({"id": pa.array([3], pa.uint64()), "symbol": ["C"]}))
    assert client.query("SELECT * FROM trades ORDER BY id").result_rows == [(1, "A"), (2, "FORMAT Native\n"), (3, "C")]
    assert client.query("SELECT symbol FROM trades WHERE id = {id:UInt64}", parameters={"id": 3}).first_row == ("C",)
    assert client.query_arrow("SELECT id FROM trades ORDER BY id LIMIT 0").num_rows == 0


@pytest.mark.parametrize("length", [10, 1_000_000])
def test_parameters_arrive_whatever_their_length(client, length):
    text = "x" * (length - 3) + "\r\n'"
    assert client.query("SELECT length({text:String})", {"text": text}).first_row == (length,)


@pytest.mark.parametrize("compression", ["gzip", "zstd", "lz4"])
def test_a_compressed_insert_arrives(clickhouse, client, compression):
    compress = {"gzip": gzip.compress, "zstd": zstandard.compress, "lz4": lz4.frame.compress}[compression]
    body = compress(b'INSERT INTO trades FORMAT JSONEachRow\n{"id": 1, "symbol": "A"}' + b'\n{"id": 2}' * 9)
    assert post(clickhouse, body, {"Content-Encoding": compression}, chunked=True)[0] == 200
    assert client.command("SELECT count() FROM trades") == 10


def test_an_unknown_encoding_is_refused(clickhouse):
    status, code, body = post(clickhouse, b"SELECT 1", {"Content-Encoding": "snappy"})
    assert (status, code) == (500, "89")
    assert b"'snappy'" in body


def test_a_statement_in_the_address_takes_its_data_from_the_body(clickhouse, client):
    assert post(clickhouse, b"7\tG\n8\tH\n", query="INSERT INTO trades FORMAT TabSeparated", chunked=True)[0] == 200
    assert client.command("SELECT sum(id) FROM trades") == 15


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        (b"SELECT * FROM nowhere", 404, "60"),
        (b"SELECT FROM WHERE", 400, "62"),
        (b"INSERT INTO trades FORMAT Native\n\x01\x02rubbish", 400, "33"),
    ],
)
def test_errors_carry_clickhouse_numbers(clickhouse, client, statement, status, code):
    answer = post(clickhouse, statement)
    assert answer[:2] == (status, code)
    assert f"Code: {code}. DB::Exception".encode() in answer[2]
    assert client.command("SELECT count() FROM trades") == 0


def test_an_unknown_setting_or_database_is_refused(clickhouse):
    assert post(clickhouse, b"SELECT 1", no_such_setting="1")[:2] == (404, "115")
    assert post(clickhouse, b"SELECT 1", database="nowhere")[:2] == (404, "81")


def test_database_and_settings_hold_for_one_request_only(clickhouse, client):
    client.command("CREATE DATABASE IF NOT EXISTS other")
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port, database="other") as other:
        assert other.command("SELECT currentDatabase()") == "other"
    assert post(clickhouse, b"SELECT getSetting('max_threads')", max_threads="3")[2] == b"3\n"
    assert post(clickhouse, b"SELECT currentDatabase(), getSetting('max_threads') = 3")[2] == b"default\t0\n"


def test_a_batch_sent_twice_with_one_token_is_kept_once(clickhouse, client):
    client.command("DROP TABLE IF EXISTS once")
    client.command(
        "CREATE TABLE once (id UInt64) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 9"
    )
    for token in ("a", "a", "b"):
        client.insert("once", [[1]], column_names=["id"], settings={"insert_deduplication_token": token})
    assert client.command("SELECT count() FROM once") == 2


def test_many_clients_insert_and_read_at_once(clickhouse, client):
    def work(number: int) -> int:
        with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as own:
            for row in range(10):
                own.insert("trades", [[number * 10 + row, "x"]], column_names=["id", "symbol"])
            return own.command(f"SELECT count() FROM trades WHERE intDiv(id, 10) = {number}")

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(16))) == [10] * 16
    assert client.command("SELECT count() FROM trades") == 160


def test_an_error_fault_is_met_as_often_as_it_says(clickhouse, client):
    with clickhouse.fault(Fault(Kind.ERROR, "^INSERT INTO `?trades", after=1, times=2, code=252)):
        client.insert("trades", [[1, "A"]], column_names=["id", "symbol"])
        for _ in range(2):
            with pytest.raises(DatabaseError, match="code 252"):
                client.insert("trades", [[2, "B"]], column_names=["id", "symbol"])
        client.insert("trades", [[3, "C"]], column_names=["id", "symbol"])
        assert clickhouse.faults()[0]["met"] == 2
    assert client.query("SELECT id FROM trades ORDER BY id").result_rows == [(1,), (3,)]
    assert clickhouse.faults() == []


def test_a_reset_breaks_a_large_insert_off_and_nothing_is_kept(clickhouse, client):
    body = b"INSERT INTO trades FORMAT JSONEachRow\n" + b'{"id": 1}\n' * 2_000_000
    with clickhouse.fault(Fault(Kind.RESET, "^INSERT")):
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            post(clickhouse, body)
    assert client.command("SELECT count() FROM trades") == 0


def test_after_a_lost_answer_the_rows_are_there_all_the_same(clickhouse, client):
    with clickhouse.fault(Fault(Kind.LOST_ANSWER, "^INSERT", times=1, seconds=0.2)):
        started = time.monotonic()
        with pytest.raises(ConnectionError):
            post(clickhouse, b'INSERT INTO trades FORMAT JSONEachRow\n{"id": 1}')
        assert time.monotonic() - started >= 0.2
    assert client.command("SELECT count() FROM trades") == 1


def test_a_client_that_times_out_before_a_slow_answer_has_inserted(clickhouse, client):
    impatient = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port, send_receive_timeout=1)
    with impatient, clickhouse.fault(Fault(Kind.LOST_ANSWER, "^INSERT", seconds=5)):
        with pytest.raises(OperationalError):
            impatient.insert("trades", [[1, "A"]], column_names=["id", "symbol"])
    assert client.command("SELECT count() FROM trades") == 1


def test_a_slow_statement_is_done_in_the_end(clickhouse, client):
    with clickhouse.fault(Fault(Kind.SLOW, "count", seconds=0.3)):
        started = time.monotonic()
        assert client.command("SELECT count() FROM trades") == 0
        assert time.monotonic() - started >= 0.3


def test_while_it_refuses_nothing_listens_and_afterwards_the_same_port_does(clickhouse, client):
    idle = http.client.HTTPConnection(clickhouse.host, clickhouse.port, timeout=5)
    assert ping(idle) == b"Ok.\n"
    with clickhouse.refusing():
        with pytest.raises(ConnectionRefusedError):
            post(clickhouse, b"SELECT 1")
        with pytest.raises(ConnectionError):
            ping(idle)
    idle.close()
    assert post(clickhouse, b"SELECT 1")[2] == b"1\n"


def test_data_outlives_a_stop_and_a_stop_is_prompt(tmp_path):
    with StandIn(tmp_path) as first:
        post(first, b"CREATE TABLE kept (id UInt8) ENGINE = MergeTree ORDER BY id")
        post(first, b"INSERT INTO kept VALUES (1)")
        started = time.monotonic()
    assert time.monotonic() - started < 5
    with StandIn(tmp_path) as second:
        assert post(second, b"SELECT * FROM kept")[2] == b"1\n"


def test_it_ends_with_the_program_that_started_it(tmp_path):
    program = (
        "import os, sys, pathlib; from clickhouse_standin import StandIn\n"
        "standin = StandIn(pathlib.Path(sys.argv[1])); standin.start(); print(standin.port, flush=True); os._exit(1)"
    )
    import clickhouse_standin  # noqa: PLC0415 - only to find where it is

    home = clickhouse_standin.__file__.rsplit("/", 2)[0]
    ended = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], cwd=home, capture_output=True, text=True, check=False
    )
    port = int(ended.stdout)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
                ping(connection)
        except ConnectionError:
            return
        threading.Event().wait(0.05)
    pytest.fail("the stand-in still serves after its starter has gone")
