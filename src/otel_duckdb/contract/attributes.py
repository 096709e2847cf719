"""Every attribute of a span, an event and a log record: its type, its unit, when it is there, and an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb import contract as c
from otel_duckdb.contract import monitor as m

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute. A name that ends with a dot stands for all that begin with it.

    `unit` is empty where the value is no quantity; the type is that of the example.
    """

    name: str
    unit: str
    when: str
    example: AttributeValue

    @property
    def type(self) -> str:
        """The type as OpenTelemetry names it."""
        return {str: "string", bool: "boolean", int: "int", float: "double"}[type(self.example)]


_PROFILED: Final = "the operation was profiled, and DuckDB told it"
_REPEATED: Final = "one statement was repeated under this span (N+1); on the parent and on its event"
_ACTED: Final = "on the span of an action of the monitor"

ATTRIBUTES: Final = (
    # Of an operation.
    Attribute(c.DB_SYSTEM_NAME, "", "always", c.SYSTEM),
    Attribute(c.DB_NAMESPACE, "", "it is known which database was the current one", "trades"),
    Attribute(c.DB_OPERATION_NAME, "", "a method names the operation: `append`, `begin`", "append"),
    Attribute(c.DB_COLLECTION_NAME, "", "a method names the table: `append`; on spans of the sync always", "trades"),
    Attribute(
        c.DB_OPERATION_BATCH_SIZE,
        "{query}",
        "an `executemany` has several sets of parameters, or a script several statements, and their number is known",
        16,
    ),
    Attribute(c.DB_QUERY_SUMMARY, "", "the text is known to do something", "SELECT trades"),
    Attribute(
        c.DB_QUERY_TEXT,
        "",
        "there is a text; without literals and comments, cut at `query_text_limit`",
        "SELECT * FROM trades WHERE id = ?",
    ),
    Attribute(
        f"{c.DB_QUERY_PARAMETER}.",
        "",
        f"`capture_parameters` is on; the first {c.PARAMETER_LIMIT} parameters, "
        f"each cut at {c.PARAMETER_LENGTH_LIMIT} characters; `?` for what may be a secret",
        "7",
    ),
    Attribute(c.DUCKDB_QUERY_TYPE, "", "always", "SELECT"),
    Attribute(
        f"{c.DUCKDB_COMMENT}.",
        "",
        "a comment of dbt or sqlcommenter has this key, `comment_attributes` lists it, and the value is no secret",
        "model.shop.orders",
    ),
    Attribute(c.DUCKDB_EXECUTE_TIME, "ms", "always; time DuckDB worked in the call", 1.25),
    Attribute(c.DUCKDB_FETCH_TIME, "ms", "rows were fetched; time DuckDB worked in the fetches", 0.5),
    Attribute(
        c.DUCKDB_FETCH_SAMPLED, "", "a part of the fetch time was extrapolated from sampled `fetchone` calls", True
    ),
    Attribute(c.DB_RESPONSE_RETURNED_ROWS, "{row}", "rows were fetched and could be counted", 1000),
    Attribute(
        c.DUCKDB_AFFECTED_ROWS,
        "{row}",
        "DuckDB 2 says how many rows `execute` (of a script its last statement) or `executemany` changed or wrote",
        16,
    ),
    Attribute(c.ERROR_TYPE, "", "it failed; the class of the exception", "ConversionException"),
    Attribute(c.DUCKDB_NO_TRANSACTION, "", "a ROLLBACK found no transaction, which is no error", True),
    Attribute(c.CODE_FILE_PATH, "", "the operation was slow; where it was called", "/app/report.py"),
    Attribute(c.CODE_LINE_NUMBER, "", "the operation was slow", 42),
    Attribute(c.CODE_FUNCTION_NAME, "", "the operation was slow", "report.daily"),
    # Its profile.
    Attribute(c.DUCKDB_CPU_TIME, "ms", f"{_PROFILED}; of all threads together", 120.5),
    Attribute(c.DUCKDB_BLOCKED_TIME, "ms", _PROFILED, 0.5),
    Attribute(c.DUCKDB_PLANNING_TIME, "ms", _PROFILED, 0.5),
    Attribute(c.DUCKDB_OPTIMIZING_TIME, "ms", _PROFILED, 0.5),
    Attribute(c.DUCKDB_ROWS_SCANNED, "{row}", _PROFILED, 1_000_000),
    Attribute(c.DUCKDB_ROW_GROUPS_SCANNED, "{row_group}", _PROFILED, 9),
    Attribute(c.DUCKDB_BYTES_READ, "By", _PROFILED, 4096),
    Attribute(c.DUCKDB_BYTES_WRITTEN, "By", _PROFILED, 4096),
    Attribute(c.DUCKDB_PEAK_MEMORY, "By", _PROFILED, 262_144),
    Attribute(c.DUCKDB_PEAK_TEMPORARY, "By", _PROFILED, 262_144),
    Attribute(c.DUCKDB_RESULT_ROWS, "{row}", _PROFILED, 10),
    Attribute(
        c.DUCKDB_PROFILE_PARTIAL, "", "the result was not used up: the figures are those of the plan so far", True
    ),
    Attribute(c.DUCKDB_PLAN, "", "on the event `duckdb.query_plan` and in the slow-query log", "HASH_JOIN 12.1 ms"),
    # Events and logs.
    Attribute(c.DUCKDB_DURATION, "ms", "in the slow-query log; the call and its fetches", 1250.5),
    Attribute(
        c.EVENT_NAME, "", "in the slow-query log, where OpenTelemetry's records have no name yet", c.EVENT_SLOW_QUERY
    ),
    Attribute(c.DUCKDB_REPEATED_COUNT, "{query}", _REPEATED, 120),
    Attribute(c.DUCKDB_REPEATED_SUMMARY, "", "the same, on the parent", "SELECT trades"),
    Attribute(c.DUCKDB_REPEATED_TIME, "ms", _REPEATED, 80.5),
    # The sync.
    Attribute(c.SYNC_ATTEMPT, "", "on the event `duckdb.sync.retry`", 2),
    Attribute(c.SYNC_RETRY_DELAY, "ms", "on the event `duckdb.sync.retry`", 500.0),
    Attribute(c.SYNC_BATCH_TOKEN, "", "on the span of a batch", "trades-17"),
    Attribute(c.SYNC_ROWS, "{row}", "on the spans of a pass and of a batch", 10_000),
    Attribute(c.SYNC_BYTES, "By", "on the spans of a pass and of a batch", 1_048_576),
    Attribute(c.SYNC_TARGET, "", "on the span of a pass", "trades"),
    # The monitor.
    Attribute(m.ACTION_NAME, "", _ACTED, "release_memory"),
    Attribute(m.ACTION_OUTCOME, "", _ACTED, "done"),
    Attribute(m.ACTION_DETAIL, "", _ACTED, "CHECKPOINT, at attempt 1"),
    Attribute(m.ACTION_RESIDENT_BEFORE, "By", f"{_ACTED}; it was done", 467_161_088),
    Attribute(m.ACTION_RESIDENT_AFTER, "By", f"{_ACTED}; it was done", 130_326_528),
    Attribute(f"{m.AUDIT}.", "", "on the records of the monitor's audit trail", "DuckDBMemoryHigh"),
)
"""All of them, in the order of the docs."""
