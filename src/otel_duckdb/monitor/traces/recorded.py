"""One operation as the traces keep it, and as JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_duckdb import contract
from otel_duckdb.monitor.times import iso
from otel_duckdb.monitor.traces.operators import figures_of, operators, plan
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span, SpanContext
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.caller import Caller
    from otel_duckdb.core.operation import OperationAttributes
    from otel_duckdb.core.profile import Profile

TEXT_CHARACTERS: Final = 4096


class Recorded(NamedTuple):
    """One operation that has ended, as the user's thread hands it over.

    Attributes:
        context: Its span's, None without one; not valid where no SDK is set up.
        parent: The span it was called in, or None.
        attributes: What it has in common with others of its text.
        text: Its text without literals.
        database: Its database's name in the metrics.
        start_ns: When it began, in nanoseconds since 1970.
        lasted_ns: From there to the end of DuckDB's last call for it.
        execute_ns: Nanoseconds inside DuckDB for the call.
        fetch_ns: Nanoseconds inside DuckDB for the fetches.
        rows: Rows fetched, or None.
        affected_rows: Rows changed, or None.
        error: The type and the message, without values, of the error it ended with, or None.
        caller: Where it was called, None where it was not slow.
        profile: What DuckDB's profiler says of it, or None.
    """

    context: SpanContext | None
    parent: Span | None
    attributes: OperationAttributes
    text: str
    database: str
    start_ns: int
    lasted_ns: int
    execute_ns: int
    fetch_ns: int
    rows: int | None
    affected_rows: int | None
    error: tuple[str, str] | None
    caller: Caller | None
    profile: Profile | None


def described(found: Recorded, began_ns: int) -> dict[str, Any]:
    """Return what JSON has of an operation, but for its identities; `began_ns` is its trace's begin."""
    text = encodable(found.text)
    made: dict[str, Any] = {
        "name": found.attributes.span_name,
        "kind": "operation",
        "database": found.database,
        "start": iso(found.start_ns / 1e9),
        "offset_ms": (found.start_ns - began_ns) / 1e6,
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


def _attributes(found: Recorded, text: str) -> Mapping[str, AttributeValue]:
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


def _events(found: Recorded) -> list[dict[str, Any]]:
    if found.error is None:
        return []
    kind, message = found.error
    told = {"exception.type": kind, "exception.message": message}
    return [{"name": "exception", "offset_ms": found.lasted_ns / 1e6, "attributes": told}]
