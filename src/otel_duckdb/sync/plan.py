"""What a sync would do, found out without doing it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.destination import Destination
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.schema import read
from otel_duckdb.sync.status import opened, status
from otel_duckdb.sync.target import Clickhouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Config, Table


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync would do for one table: the statements it would run in ClickHouse, and the rows it would send.

    `refusal` says why it would do neither.
    """

    name: str
    target: str
    rows: int = 0
    statements: tuple[str, ...] = ()
    refusal: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)


def read_plan(config: Config) -> list[Plan]:
    """Check the tables, their types and the target, each table by itself; nothing is changed anywhere.

    Raises:
        SyncConfigError: the database cannot be opened.
    """
    embedded = config.target.path or f"{config.database}.chdb"
    absent = config.target.host is None and not Path(embedded).exists()
    clickhouse = Clickhouse(config.target, embedded)
    try:
        with opened(config.database) as connection, suppress_instrumentation():
            return [_one(connection, clickhouse, table, absent) for table in config.tables]
    finally:
        clickhouse.close()


def _one(connection: DuckDBPyConnection, clickhouse: Clickhouse, table: Table, absent: bool) -> Plan:
    try:
        (state,) = status(connection, [table])
        statements = _statements(connection, clickhouse, table, None if absent else state.acknowledged_rows)
    except SyncError as error:
        return Plan(table.name, table.target_name, refusal=str(error))
    except Exception as error:
        return Plan(table.name, table.target_name, refusal=f"{clickhouse.name} does not answer: {error}")
    return Plan(table.name, table.target_name, state.pending_rows, tuple(statements))


def _statements(
    connection: DuckDBPyConnection, clickhouse: Clickhouse, table: Table, acknowledged: int | None
) -> Sequence[str]:
    """What makes the target fit; `acknowledged` is None where there is no ClickHouse to ask yet."""
    required = table.key or table.order_by
    destination = Destination(clickhouse, table)
    if acknowledged is None:
        return destination.creation(read(connection, table.name, required))
    return destination.plan(read(connection, table.name, required, clickhouse.has_times), acknowledged)
