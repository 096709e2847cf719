"""Values of the data and passwords are nowhere: not in spans, events, logs, the journal, the status or a repr."""

import base64
import logging
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from clickhouse_standin import Fault, Kind
from otel_duckdb.sync import Limits, Retry, Sync, SyncConfigError, Table, Target, load
from otel_duckdb.sync.messages import server_words
from otel_duckdb.sync.signals import SyncSignals

SECRET = "hunter2secret"
MAIL = "alice@example.com"


class Told:
    """All that a sync told to anyone."""

    def __init__(self, caplog):
        self._spans = InMemorySpanExporter()
        tracers = TracerProvider(shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self.signals = SyncSignals(tracers, MeterProvider(shutdown_on_exit=False))
        self._log = caplog
        caplog.set_level(logging.DEBUG, "otel_duckdb")

    def text(self, buffer, one):
        states = buffer.execute("SELECT state FROM otel_duckdb_sync.tables").fetchall()
        spans = [span.to_json() for span in self._spans.get_finished_spans()]
        assert spans
        return "\n".join([*spans, self._log.text, str(states), str(one.status()), repr(one.config), str(one.reports)])


@pytest.fixture
def told(caplog):
    return Told(caplog)


def test_a_key_that_is_not_unique_is_told_without_its_values(buffer, target, told):
    buffer.execute("CREATE TABLE people (mail VARCHAR, v INTEGER)")
    buffer.execute(f"INSERT INTO people VALUES ('{MAIL}', 1), ('{MAIL}', 2)")
    with Sync(buffer, [Table(name="people", key=["mail"])], target, signals=told.signals) as one:
        assert one.run_once()[0].error is not None
        assert MAIL not in told.text(buffer, one)


def test_what_the_server_quotes_of_the_data_is_left_out(buffer, sync, target, query, told):
    query(f"CREATE DATABASE {target.database}")
    query(
        "CREATE TABLE {}.people (mail Nullable(String), _sync_source UInt64, _sync_batch UInt64, "
        "CONSTRAINT c CHECK mail = 'x') ENGINE = MergeTree ORDER BY tuple() "
        "SETTINGS non_replicated_deduplication_window = 10"
    )
    buffer.execute(f"CREATE TABLE people AS SELECT '{MAIL}' AS mail")
    with Sync(buffer, ["people"], target, signals=told.signals) as one:
        error = one.run_once()[0].error
        assert "VIOLATED_CONSTRAINT" in str(error)
        assert MAIL not in told.text(buffer, one)


@pytest.mark.parametrize("host", [f"bob:{SECRET}@127.0.0.1", "127.0.0.1"])
def test_a_password_is_told_nowhere(buffer, told, host):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS a")
    given = {} if "@" in host else {"username": "bob", "password": SECRET}
    target = Target(host=host, port=9, timeout=1.0, **given)
    assert (target.host, target.username, target.secret()) == ("127.0.0.1", "bob", SECRET)
    with Sync(buffer, ["ticks"], target, retry=Retry(attempts=2, initial_delay=0.01), signals=told.signals) as one:
        assert one.run_once()[0].error is not None
        assert SECRET not in told.text(buffer, one)


@pytest.mark.parametrize(
    "line",
    [
        "password = 20261125",
        f'password_environment = "{SECRET}"',
        f'password = ["{SECRET}"]',
        f'password = "{SECRET}"\npassword_environment = "X"',
        f'host = "http://bob:{SECRET}@h"',
        f'host = "bob:{SECRET}@h"\npassword = "other"',
    ],
)
def test_a_wrong_password_option_is_told_without_the_password(tmp_path, line):
    path = tmp_path / "sync.toml"
    host = "" if "host =" in line else 'host = "h"\n'
    path.write_text(f'database = "x.db"\n[target]\n{host}{line}\n[[tables]]\nname = "t"\n')
    with pytest.raises(SyncConfigError) as caught:
        load(path).target.secret()
    assert SECRET not in str(caught.value)
    assert "20261125" not in str(caught.value)


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_a_password_in_a_file_that_others_can_read_is_warned_of(tmp_path, caplog, mode, warned):
    path = Path(tmp_path / "sync.toml")
    path.write_text(f'database = "x.db"\n[target]\nhost = "h"\npassword = "{SECRET}"\n[[tables]]\nname = "t"\n')
    path.chmod(mode)
    load(path)
    assert ("others of this machine can read it" in caplog.text) is warned


@pytest.mark.parametrize(
    ("host", "secure", "warned"),
    [
        ("ch.example", False, True),
        ("ch.example", True, False),
        ("127.0.0.1", False, False),
        ("localhost", False, False),
    ],
)
def test_a_password_without_tls_to_another_host_is_warned_of(buffer, caplog, host, secure, warned):
    with Sync(buffer, ["ticks"], Target(host=host, secure=secure, password=SECRET)):
        assert ("without TLS" in caplog.text) is warned
    assert SECRET not in caplog.text


def test_control_characters_of_a_server_reach_no_log_and_no_journal(buffer, server, served, told):
    buffer.execute('CREATE TABLE "a\x1b[31m" AS SELECT range AS a FROM range(10)')
    table = Table(name="a\x1b[31m", target="ticks")
    with Sync(buffer, [table], served, batch=Limits(rows=5), retry=Retry(attempts=1), signals=told.signals) as one:
        with server.fault(Fault(Kind.ERROR, "^INSERT INTO", code=60)):
            error = one.run_once()[0].error
        assert "\x1b" not in str(error)
        assert "\x1b" not in one.status()[0].failure


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (
            "Code: 27. DB::Exception: Cannot parse input: expected ',' before: 'alice@example.com' (CANNOT_PARSE)",
            "Code: 27",
        ),
        ("Code: 6. DB::Exception: Cannot parse string 'alice@example.com' as Int32 (CANNOT_PARSE_TEXT)", "Int32"),
        (
            "Code: 252. DB::Exception: Too many parts (300) (TOO_MANY_PARTS) (version 24.8.1 (official)) (for url http://h:8)",
            "Code: 252: Too many parts (?) (TOO_MANY_PARTS)",
        ),
        ("Code: 53. DB::Exception: Type mismatch, value: alice@example.com (TYPE_MISMATCH)", "TYPE_MISMATCH"),
    ],
)
def test_the_cause_and_the_name_of_a_servers_error_stay(text, kept):
    told = server_words(text)
    assert MAIL not in told
    assert kept in told
    assert told.count("(") == told.count(")")


class Echo(BaseHTTPRequestHandler):
    """Answers what is posted with an error that quotes its headers, as a proxy in front of a ClickHouse may."""

    def do_POST(self):
        body = " ".join(f"{name} = {value}" for name, value in self.headers.items()).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Be silent."""


def test_a_server_that_echoes_the_password_gets_it_into_nothing(buffer, told):
    buffer.execute("CREATE TABLE ticks AS SELECT 1 AS id")
    with HTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        target = Target(host="127.0.0.1", port=server.server_port, username="me", password=SECRET)
        with Sync(buffer, ["ticks"], target, signals=told.signals) as one:
            error = str(one.run_once()[0].error)
            all_of_it = told.text(buffer, one) + error
        server.shutdown()
    assert "403" in error
    assert SECRET not in all_of_it
    assert base64.b64encode(f"me:{SECRET}".encode()).decode() not in all_of_it
