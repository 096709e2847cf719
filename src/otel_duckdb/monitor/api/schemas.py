"""The shapes of the API's answers, as JSON Schema has them."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
NUMBER: Final[Schema] = {"type": "number"}
WHOLE: Final[Schema] = {"type": "integer"}
FLAG: Final[Schema] = {"type": "boolean"}
OBJECT: Final[Schema] = {"type": "object"}


def maybe(schema: Schema) -> Schema:
    """What may be null, which stands for what is not known."""
    return {**schema, "type": [schema["type"], "null"]}


def many(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def shape(**properties: Schema) -> Schema:
    """An object that has all of these, and may have more."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def known(name: str) -> Schema:
    """One of the schemas below, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_ALERT: Final = shape(
    id=TEXT,
    name=TEXT,
    level={"type": "string", "enum": ["warning", "critical", "emergency"]},
    database=TEXT,
    message=TEXT,
    value=maybe(NUMBER),
    unit=TEXT,
    threshold=maybe(NUMBER),
    peak=maybe(NUMBER),
    started=_TIME,
    ended=maybe(_TIME),
    silenced=FLAG,
    actions=many(OBJECT),
    notifications=many(OBJECT),
)
_RESULT: Final = shape(
    action=TEXT,
    database=TEXT,
    outcome={"type": "string", "enum": ["done", "nothing to do", "refused", "failed", "planned"]},
    detail=TEXT,
    by=TEXT,
    started=_TIME,
    seconds=NUMBER,
    before=OBJECT,
    after=OBJECT,
    freed_bytes=WHOLE,
)
_FIGURES: Final = {
    "type": "object",
    "properties": {
        "timestamp": maybe(_TIME),
        "memory": shape(duckdb_memory_percent=NUMBER, duckdb_memory_bytes=maybe(NUMBER)),
        "system": shape(cpu_usage_percent=NUMBER, memory_usage_percent=NUMBER),
        "queries": shape(active_queries=WHOLE, oldest_seconds=NUMBER, per_second=NUMBER, by_type=OBJECT),
    },
    "required": ["timestamp"],
}
_STATEMENT: Final = shape(
    id=TEXT,
    database=TEXT,
    text=TEXT,
    calls=WHOLE,
    errors=WHOLE,
    rows=WHOLE,
    total_ms=NUMBER,
    mean_ms=NUMBER,
    p50_ms=NUMBER,
    p95_ms=NUMBER,
    p99_ms=NUMBER,
    max_ms=NUMBER,
    callers=many(shape(place=TEXT, calls=WHOLE)),
    plans=many(OBJECT),
)
_SERIES: Final = shape(
    metric=TEXT,
    labels=OBJECT,
    unit=TEXT,
    min=many(maybe(NUMBER)),
    mean=many(maybe(NUMBER)),
    max=many(maybe(NUMBER)),
)
_TRACE: Final = shape(
    trace_id={"type": "string", "pattern": "^[0-9a-f]{32}$"},
    name=TEXT,
    start=_TIME,
    duration_ms=NUMBER,
    duckdb_ms=NUMBER,
    error=maybe(TEXT),
    spans=WHOLE,
)
_SPAN: Final = shape(
    span_id=TEXT,
    parent_id=maybe(TEXT),
    name=TEXT,
    start=_TIME,
    offset_ms=NUMBER,
    duration_ms=maybe(NUMBER),
    attributes=OBJECT,
    events=many(OBJECT),
    status=OBJECT,
)

SCHEMAS: Final[dict[str, Schema]] = {
    "Error": {**shape(error=TEXT), "description": "Why a request was refused, in one sentence."},
    "Health": shape(status={"type": "string", "const": "ok"}),
    "Session": {**shape(reads=FLAG, acts=FLAG), "description": "What the request may do."},
    "Status": shape(
        summary=shape(
            status={"type": "string", "enum": ["healthy", "warning", "critical", "emergency"]},
            reasons=many(TEXT),
            open_alerts=shape(warning=WHOLE, critical=WHOLE, emergency=WHOLE),
        ),
        metrics=_FIGURES,
        databases=many(shape(name=TEXT, connections=WHOLE, active_queries=WHOLE)),
        process=shape(program=TEXT, pid=WHOLE, version=TEXT),
        monitor=shape(running=FLAG, interval_seconds=NUMBER, cancel=FLAG, alerting=FLAG),
    ),
    "Statements": shape(since=_TIME, dropped=WHOLE, shapes=WHOLE, statements=many(_STATEMENT)),
    "Running": shape(
        operations=many(shape(id=WHOLE, database=TEXT, text=TEXT, phase=TEXT, elapsed_seconds=NUMBER)),
        transactions=many(shape(database=TEXT, seconds=NUMBER, aborted=FLAG)),
    ),
    "Alert": _ALERT,
    "Alerts": shape(open=many(known("Alert")), resolved=many(known("Alert")), silences=many(known("Silence"))),
    "Silence": shape(id=TEXT, name=TEXT, database=TEXT, ends=_TIME, reason=TEXT),
    "SilenceEnded": shape(ended=known("Silence")),
    "Metrics": shape(times=many(NUMBER), step=NUMBER, left_out=WHOLE, series=many(_SERIES)),
    "Report": shape(
        generated=_TIME, version=TEXT, period=OBJECT, status=known("Status"), figures=many(OBJECT), metrics=OBJECT
    ),
    "Sync": shape(
        tables=many(
            shape(
                table=TEXT,
                database=TEXT,
                running=FLAG,
                failing=FLAG,
                pending_rows=maybe(WHOLE),
                lag_seconds=maybe(NUMBER),
                rows=WHOLE,
                bytes=WHOLE,
                rows_per_second=maybe(NUMBER),
                bytes_per_second=maybe(NUMBER),
                last_success=maybe(_TIME),
                last_failure=maybe(_TIME),
                last_error=maybe(TEXT),
            )
        )
    ),
    "Storage": shape(
        databases=many(
            shape(
                name=TEXT,
                path=maybe(TEXT),
                files=many(
                    shape(
                        database=TEXT,
                        path=maybe(TEXT),
                        type=TEXT,
                        read_only=FLAG,
                        bytes=maybe(WHOLE),
                        wal_bytes=maybe(WHOLE),
                    )
                ),
                temporary_files=many(shape(path=maybe(TEXT), bytes=WHOLE)),
            )
        )
    ),
    "Traces": shape(traces=many(_TRACE)),
    "Trace": {**_TRACE, "properties": {**_TRACE["properties"], "spans": many(_SPAN)}},
    "Actions": shape(actions=many(shape(name=TEXT, meaning=TEXT)), history=many(_RESULT)),
    "About": shape(settings=OBJECT, cost=OBJECT),
    "Results": shape(results=many(_RESULT)),
    "Cancelled": shape(cancelled=shape(id=WHOLE, database=TEXT, text=TEXT)),
    "Received": shape(received=many(OBJECT)),
}
