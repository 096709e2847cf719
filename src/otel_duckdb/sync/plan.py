"""What a sync would do, found out without doing it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb.sync.destination import Destination
from otel_duckdb.sync.errors import SyncError
from otel_duckdb.sync.journal import read_states
from otel_duckdb.sync.messages import cause
from otel_duckdb.sync.names import tables
from otel_duckdb.sync.ownership import refuse_change, refuse_other_states
from otel_duckdb.sync.retry import transient
from otel_duckdb.sync.schema import read_schema, refuse_keys
from otel_duckdb.sync.status import opened, status
from otel_duckdb.sync.target import Clickhouse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.config import Config, Table
    from otel_duckdb.sync.names import Location
    from otel_duckdb.sync.state import State


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
        """Return the plan as JSON has it: a field's name and its value."""
        return asdict(self)


def read_plan(config: Config) -> list[Plan]:
    """Check the tables, their types and the target, each table by itself; nothing is changed anywhere.

    What would be created is created for a moment as a temporary table, so that ClickHouse itself checks it. Where the
    embedded chDB does not exist yet, one in a temporary folder does that.

    Raises:
        SyncError: the database cannot be opened.
    """
    embedded = config.target.path or f"{config.database}.chdb"
    with ExitStack() as stack:
        if config.target.host is None and not Path(embedded).exists():
            embedded = stack.enter_context(TemporaryDirectory(prefix="otel-duckdb-"))
        clickhouse = Clickhouse(replace(config.target, path=None), embedded)
        stack.callback(clickhouse.close)
        connection = stack.enter_context(opened(config.database))
        stack.enter_context(suppress_instrumentation())
        return [_one(connection, clickhouse, table, config) for table in config.tables]


def _one(connection: DuckDBPyConnection, clickhouse: Clickhouse, table: Table, config: Config) -> Plan:
    try:
        (found,) = status(connection, [table])
        states = {state.name.lower(): state for state in read_states(connection)}
        ((database,),) = connection.execute("SELECT current_database()").fetchall()
        location = tables(connection).find(table.name, database, [state.name for state in states.values()])
        state = states.get(location.journal_name.lower())
        target = f"{config.target.database}.{table.target_name}"
        if state is not None and state.begun_sending:
            refuse_change(state, table, target)
        refuse_other_states(states.values(), location.journal_name, target)
        statements = _statements(connection, clickhouse, table, location, state)
    except SyncError as error:
        return Plan(table.name, table.target_name, refusal=str(error))
    except Exception as error:
        return Plan(table.name, table.target_name, refusal=_refusal(clickhouse, error))
    return Plan(table.name, table.target_name, found.pending_rows, tuple(statements))


def _refusal(clickhouse: Clickhouse, error: Exception) -> str:
    does = "does not answer" if transient(error) else "would refuse it"
    return f"{clickhouse.name} {does}: {cause(error, clickhouse.seconds)}"


def _statements(
    connection: DuckDBPyConnection, clickhouse: Clickhouse, table: Table, location: Location, state: State | None
) -> Sequence[str]:
    """What makes the target fit; it is tried where a table is to be created."""
    destination = Destination(clickhouse, table)
    schema = read_schema(connection, location, table.key or table.order_by, clickhouse.has_times())
    refuse_keys(schema)
    acknowledged, known = (state.acknowledged_rows, state.columns) if state else (0, ())
    statements = destination.plan(schema, acknowledged, known)
    if any(statement.startswith("CREATE TABLE") for statement in statements):
        destination.try_creation(schema)
    return statements
