"""One operation as the traces keep it, and as JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_duckdb import contract
from otel_duckdb.monitor.ended import TEXT_CHARACTERS
from otel_duckdb.monitor.times import iso
from otel_duckdb.monitor.traces.operators import figures_of, operators, plan, slim
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.monitor.ended import Ended


def without_what_is_not_shown(found: Ended) -> Ended:
    """The operation with the beginning of its text, and a profile that does not hold the whole of it."""
    if found.profile is None and len(found.text) <= TEXT_CHARACTERS:
        return found
    text = found.text if len(found.text) <= TEXT_CHARACTERS else found.text[: TEXT_CHARACTERS - 1] + "…"
    return found._replace(text=text, profile=None if found.profile is None else slim(found.profile))


def described(found: Ended, began_ns: int) -> dict[str, Any]:
    """Return what JSON has of an operation, but for its identities; `began_ns` is its trace's begin."""
    text = encodable(found.text)
    made: dict[str, Any] = {
        "name": found.attributes.span_name,
        "kind": "operation",
        "database": found.database,
        "start": iso(found.began_unix_ns / 1e9),
        "offset_ms": (found.began_unix_ns - began_ns) / 1e6,
        "duration_ms": found.lasted_ns / 1e6,
        "duckdb_ms": (found.execute_ns + found.fetch_ns) / 1e6,
        "attributes": _attributes(found, text),
        "events": _events(found),
        "status": {"code": "ERROR", "message": found.error[1]} if found.error else {"code": "UNSET", "message": ""},
    }
    if found.profile is not None:
        made["operators"] = operators(found.profile, found.database, found.text)
        made["plan"] = plan(found.profile, found.database, found.text)
    return made


def _attributes(found: Ended, text: str) -> Mapping[str, AttributeValue]:
    """The span's attributes; the text is always the one without literals, whatever the spans show."""
    made: dict[str, AttributeValue] = {**found.attributes.span, contract.DUCKDB_EXECUTE_TIME: found.execute_ns / 1e6}
    if contract.DB_QUERY_TEXT in made:
        made[contract.DB_QUERY_TEXT] = text
    if found.fetch_ns:
        made[contract.DUCKDB_FETCH_TIME] = found.fetch_ns / 1e6
    if found.rows is not None:
        made[contract.DB_RESPONSE_RETURNED_ROWS] = found.rows
    if found.affected_rows is not None:
        made[contract.DUCKDB_AFFECTED_ROWS] = found.affected_rows
    if found.error is not None:
        made[contract.ERROR_TYPE] = found.error[0]
    if found.caller is not None:
        made |= found.caller.attributes
    if found.profile is not None:
        made |= figures_of(found.profile)
    return made


def _events(found: Ended) -> list[dict[str, Any]]:
    if found.error is None:
        return []
    kind, message = found.error
    told = {"exception.type": kind, "exception.message": message}
    return [{"name": "exception", "offset_ms": found.lasted_ns / 1e6, "attributes": told}]
