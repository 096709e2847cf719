"""The description of the API in OpenAPI 3.1, which `/openapi.json` answers; a test walks the routes along it."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, Final

from otel_duckdb.installation import version
from otel_duckdb.monitor.api.schemas import FLAG, NUMBER, SCHEMAS, TEXT, WHOLE, known
from otel_duckdb.monitor.statements.statistics import SORTS

_REFUSED: Final = {
    "400": "What was given makes no sense.",
    "401": "The key is missing or wrong.",
    "403": "A page of another site asks, or it is not switched on.",
    "405": "Another method is meant.",
    "408": "The request was not complete in time.",
    "413": "The body is too large.",
    "414": "The address is too long.",
    "421": "The monitor is not asked by that name.",
    "429": "Too many requests, or wrong keys, in a minute.",
    "431": "The headers are too long.",
    "501": "The body is encoded in a way that is not known.",
    "503": "Too much is asked at a time.",
    "504": "The answer took too long.",
    "505": "Another version of HTTP is spoken.",
}
_ACTING: Final = {**_REFUSED, "409": "It is over already.", "415": "What acts is sent as JSON."}


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": known(schema)}}


def _refusals(told: dict[str, str]) -> dict[str, Any]:
    return {status: {"description": reason, "content": _json("Error")} for status, reason in told.items()}


def _given(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": about}


def _read(
    about: str, schema: str, *parameters: dict[str, Any], content: dict[str, Any] | None = None, public: bool = False
) -> dict[str, Any]:
    kinds = {**_json(schema), **(content or {})} if schema else content
    operation = {
        "summary": about,
        "parameters": list(parameters),
        "responses": {"200": {"description": "The answer.", "content": kinds}, **_refusals(_REFUSED)},
    }
    return {"get": {**operation, "security": []} if public else operation}


def _act(
    about: str, schema: str, body: dict[str, Any] | None, *parameters: dict[str, Any], public: bool = False
) -> dict[str, Any]:
    schema_of_body = {"type": "object", **({} if body is None else body)}
    operation = {
        "summary": about,
        "parameters": list(parameters),
        "requestBody": {"content": {"application/json": {"schema": schema_of_body}}},
        "responses": {"200": {"description": "What came of it.", "content": _json(schema)}, **_refusals(_ACTING)},
        "security": [] if public else [{"key": []}, {"bearer": []}, {"session": []}],
    }
    return {"post": operation}


def _body(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {"properties": properties, "required": list(required)} if required else {"properties": properties}


_ACTION_BODY: Final = _body(database=TEXT, dry_run=FLAG, argument=TEXT)
_PATHS: Final[dict[str, Any]] = {
    "/healthz": _read("Whether the monitor answers; it tells nothing of the program.", "Health", public=True),
    "/openapi.json": _read(
        "This description.", "", content={"application/json": {"schema": {"type": "object"}}}, public=True
    ),
    "/metrics": _read("The newest sample in Prometheus' text.", "", content={"text/plain": {"schema": TEXT}}),
    "/api/status": _read("The present state.", "Status"),
    "/api/statements": _read(
        "The statistics of the statement shapes.",
        "Statements",
        _given("sort", {"type": "string", "enum": list(SORTS), "default": "total"}, "The largest by this come first."),
        _given("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}, "How many are told."),
        _given("database", TEXT, "Those of one database."),
    ),
    "/api/running": _read("Operations that have not ended, and open transactions.", "Running"),
    "/api/alerts": _read("Open and resolved alerts, and the silences.", "Alerts"),
    "/api/metrics": _read(
        "The history of metrics.",
        "Metrics",
        _given("name", {"type": "array", "items": TEXT}, "A metric; may come several times. None is all."),
        _given("start", NUMBER, "Seconds since 1970; an hour before the end if it is not given."),
        _given("end", NUMBER, "Seconds since 1970; now if it is not given."),
        _given("step", NUMBER, "Seconds between two points; if it is not given there are at most 500."),
        _given("format", {"type": "string", "enum": ["json", "csv"]}, "Else what `Accept` prefers, and JSON."),
        content={"text/csv": {"schema": TEXT}},
    ),
    "/api/traces": _read(
        "The traces that are kept: recent ones, the slowest and those that failed.",
        "Traces",
        _given("min_ms", NUMBER, "Those that took so many milliseconds at least."),
        _given("name", TEXT, "Those with these words in a name or a statement."),
        _given("error", FLAG, "Those that failed, or those that did not."),
        _given("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}, "How many are told."),
        _given("sort", {"type": "string", "enum": ["start", "duration", "duckdb"], "default": "start"}, "The order."),
    ),
    "/api/traces/{trace_id}": _read(
        "One trace with its spans and, where DuckDB profiled them, their operators.",
        "Trace",
        {
            "name": "trace_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "description": "The trace's id.",
        },
    ),
    "/api/actions": _read("The actions there are, and the latest that were done.", "Actions"),
    "/api/about": _read("The options, secrets hidden, and what the monitor costs.", "About"),
    "/api/sync": _read("How far each table is that this process copies.", "Sync"),
    "/api/storage": _read(
        "Files of the live databases, and on demand their tables.",
        "Storage",
        _given("database", TEXT, "One database, by its name in `/api/status`."),
        _given("tables", FLAG, "Whether their tables are looked at, which takes time."),
    ),
    "/api/report": _read(
        "What is known of the last hours.",
        "Report",
        _given("hours", {"type": "number", "exclusiveMinimum": 0, "maximum": 8784, "default": 24}, "How many."),
    ),
    "/api/events": _read(
        "What happens, as server-sent events: `sample` (as `/api/status`), `running` (as `/api/running`) and `alert`.",
        "",
        content={"text/event-stream": {"schema": TEXT}},
    ),
    "/api/session": _read("What the request may do.", "Session", public=True),
    "/api/login": _act("Begin a session, by a cookie.", "Session", _body("key", key=TEXT), public=True),
    "/api/logout": _act("End the session.", "Session", None, public=True),
    "/api/cancel": _act("Interrupt a running operation.", "Cancelled", _body("id", id=WHOLE)),
    "/api/cleanup": _act("Run the clean-up.", "Results", _body(emergency=FLAG, dry_run=FLAG)),
    "/api/actions/{name}": _act(
        "Run one action.",
        "Results",
        _ACTION_BODY,
        {"name": "name", "in": "path", "required": True, "schema": TEXT, "description": "The action's name."},
    ),
    "/api/silences": _act(
        "Silence alerts for a while.", "Silence", _body("seconds", name=TEXT, database=TEXT, seconds=NUMBER)
    ),
    "/api/silences/end": _act("End a silence before its time.", "SilenceEnded", _body("id", id=TEXT)),
    "/api/alertmanager": _act("Take in what an Alertmanager's webhook posts.", "Received", None),
}


@cache
def description(prefix: str = "") -> dict[str, Any]:
    """Return the description, for an API below a path."""
    paths = copy.deepcopy(_PATHS)
    for path, method in (("/api/actions/{name}", "post"), ("/api/traces/{trace_id}", "get")):
        paths[path][method]["responses"]["404"] = {"description": "There is no such thing.", "content": _json("Error")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "otel-duckdb monitor",
            "version": version(),
            "description": "What DuckDB does and did in one process. Null stands for what is not known.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{prefix}/"}],
        "security": [{}, {"key": []}, {"bearer": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "X-Monitoring-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "otel_duckdb_3001",
                    "description": "Its name ends in the port.",
                },
            },
        },
    }
