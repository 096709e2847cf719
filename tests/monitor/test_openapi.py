"""The description of the API against the API: every route is in it, and every answer is as it says."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import fields
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from otel_duckdb.monitor.api.access import EVENTS
from otel_duckdb.monitor.api.openapi import description
from otel_duckdb.monitor.api.routes import SESSIONS
from otel_duckdb.monitor.audit import EVENTS as AUDITED
from otel_duckdb.monitor.settings import MonitorSettings

PATHS = description()["paths"]
OPERATIONS = [(path, method) for path, methods in PATHS.items() for method in methods]
KINDS = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def faults(value, schema, where="answer"):
    """What of a value is not as its schema says."""
    if "$ref" in schema:
        schema = description()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    kinds = schema.get("type", "object")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(isinstance(value, KINDS[kind]) and (kind == "boolean" or value is not True) for kind in kinds):
        return [f"{where} is {value!r}, no {kinds}"]
    if isinstance(value, str):
        if schema.get("format") == "date-time":
            datetime.fromisoformat(value)
        return [f"{where} is {value!r}"] if value not in schema.get("enum", [value]) else []
    if isinstance(value, list):
        return [fault for each in value for fault in faults(each, schema["items"], f"{where}[]")]
    if not isinstance(value, dict):
        return []
    inner = {name: each for name, each in schema.get("properties", {}).items() if name in value}
    found = [f"{where} has no {name}" for name in schema.get("required", ()) if name not in value]
    return found + [fault for name, each in inner.items() for fault in faults(value[name], each, f"{where}.{name}")]


def test_every_route_is_described_and_nothing_else(serve):
    routes = serve().monitor._api._routes
    read = {*routes._reading.quick, *routes._reading.slow, EVENTS, "/api/traces/{trace_id}", "/api/session"}
    acts = {*routes._acting.quick, *routes._acting.slow, *SESSIONS, "/api/actions/{name}"}
    assert {path for path, method in OPERATIONS if method == "get"} == read | {"/healthz", "/openapi.json"}
    assert {path for path, method in OPERATIONS if method == "post"} == acts


@pytest.fixture
def busy(serve):
    """A monitor that has something of everything to tell."""
    api = serve(
        cancel=True,
        alert_levels={"DuckDBMemoryHigh": {"warning": 0.01}},
        alert_lasting_seconds=0,
        actions=("checkpoint",),
    )
    with duckdb.connect(config={"memory_limit": "1GB"}) as con:
        con.execute("CREATE TABLE t AS SELECT range AS a, hash(range) AS b FROM range(3000000)")
        con.execute("SELECT count(*) FROM t").fetchall()
        with pytest.raises(duckdb.Error):
            con.execute("SELECT nothing FROM t")
        result = con.execute("SELECT a FROM t")
        while not api.ask("/api/alerts")[2]["open"]:
            pass
        api.act("/api/silences", {"name": "x", "seconds": 60})
        yield api
        result.close()


def test_every_answer_is_as_its_description_says(busy):
    [trace, *_] = busy.ask("/api/traces")[2]["traces"]
    bodies = {
        "/api/cancel": {"id": 999},
        "/api/silences": {"seconds": 1},
        "/api/silences/end": {"id": "1"},
        "/api/login": {"key": busy.token},
        "/api/alertmanager": {"version": "4", "groupKey": "{}", "alerts": []},
    }
    for path, method in OPERATIONS:
        if path == EVENTS:
            continue
        address = path.replace("{name}", "checkpoint").replace("{trace_id}", trace["trace_id"])
        if method == "get":
            status, headers, told = busy.ask(f"{address}?tables=true" if path == "/api/storage" else address)
        else:
            status, headers, told = busy.act(address, bodies.get(path, {"dry_run": True}))
        responses = PATHS[path][method]["responses"]
        assert str(status) in responses, path
        content = responses[str(status)]["content"]
        kind = headers["Content-Type"].partition(";")[0]
        assert kind in content, path
        assert (status == 200) == (path != "/api/cancel"), (path, told)
        if kind == "application/json":
            assert faults(told, content[kind]["schema"], path) == []


def test_refusals_are_as_their_description_says_wherever_they_are_made(serve):
    api = serve()
    for text in (
        b"GET /api/status HTTP/1.1\r\nHost: evil\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /api/status?" + b"x" * 9_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /api/cleanup HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: cross-site\r\n\r\n",
    ):
        head, _, body = api.raw(text).partition(b"\r\n\r\n")
        status = head.split()[1].decode()
        assert b"content-type: application/json" in head.lower()
        responses = PATHS["/api/cleanup" if text.startswith(b"POST") else "/api/status"]
        assert status in next(iter(responses.values()))["responses"]
        assert list(json.loads(body)) == ["error"]


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis (group `api`) is missing")
@pytest.mark.parametrize("authorised", [True, False], ids=["with the token", "as a stranger"])
def test_schemathesis_finds_no_fault_of_ours_and_no_answer_that_is_not_described(busy, authorised, tmp_path):
    headers = ["--header", f"X-Monitoring-Key: {busy.token}"] if authorised else []
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{busy.port}/openapi.json"),
        *("--checks", "not_a_server_error,status_code_conformance,content_type_conformance"),
        *("--checks", "response_schema_conformance,response_headers_conformance,unsupported_method"),
        *("--max-examples", "20", "--exclude-path", EVENTS, "--seed", "1", "--generation-database", "none"),
        *("--continue-on-failure", "--request-timeout", "60", *headers),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout[-6000:]


DOCUMENTATION = "".join(
    path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parents[2] / "docs").glob("*.md"))
)


@pytest.mark.parametrize("path", PATHS)
def test_every_address_is_in_the_documentation(path):
    assert path == "/openapi.json" or re.search(rf"`(GET |POST )?{re.escape(path)}[`?]", DOCUMENTATION)


@pytest.mark.parametrize("field", fields(MonitorSettings), ids=lambda field: field.name)
def test_every_option_is_in_the_documentation(field):
    assert f"`{field.metadata['environment']}`" in DOCUMENTATION


@pytest.mark.parametrize("event", AUDITED)
def test_every_event_of_the_audit_trail_is_in_the_documentation(event):
    assert f"| `{event}` | " in DOCUMENTATION
