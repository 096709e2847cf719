"""What an operator does to a table's journal: starts over, or goes on under another name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otel_duckdb.sync.destination import Destination
from otel_duckdb.sync.errors import SyncError, TargetError
from otel_duckdb.sync.messages import cause
from otel_duckdb.sync.schema import read_schema
from otel_duckdb.sync.state import State

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.passes import Shared, TableWorker
    from otel_duckdb.sync.target import Clickhouse


def describe_reset(worker: TableWorker, cursor: DuckDBPyConnection, shared: Shared, *, delete_sent: bool) -> str:
    """Tell what a reset would do, in a sentence.

    Raises:
        SyncConfigError: the table is gone.
    """
    location = worker.locate(cursor)
    state = shared.journal.load(location.journal_name)
    target = f"{worker.options.target_name} in {shared.config.target.database}"
    if state is None:
        return f"{location.journal_name}: nothing was sent yet, and nothing changes"
    ((rows,),) = cursor.execute(f"SELECT count(*) FROM {location.reference}").fetchall()
    sent = f"{location.journal_name}: the {rows} rows in the buffer will be sent anew to {target}"
    if delete_sent:
        return f"{sent}, after all rows that this buffer sent there before are DELETED"
    if state.keyed and worker.options.key:
        return f"{sent}; they replace those sent before, and keys that the buffer no longer holds are deleted there"
    before = "those" if state.earlier else f"the {state.acknowledged_rows}"  # an earlier reset forgot how many
    return f"{sent}, beside {before} sent before, which stay: what the buffer still holds of them will be there twice"


def reset(
    worker: TableWorker, cursor: DuckDBPyConnection, clickhouse: Clickhouse, shared: Shared, *, delete_sent: bool
) -> None:
    """Forget what was sent of a table; its rows leave the target first where that is asked.

    Raises:
        SyncConfigError: the table is gone, or lacks a column.
        TargetError: the target does not delete the rows.
    """
    options = worker.options
    location = worker.locate(cursor)
    state = shared.journal.load(location.journal_name)
    worker.forget()
    if state is None:
        return
    if delete_sent:
        _delete_sent(state, Destination(clickhouse, options), clickhouse)
    schema = read_schema(cursor, location, options.key or options.order_by)
    key = schema.sorting if options.key else ()
    target = f"{shared.config.target.database}.{options.target_name}"
    begun = State.fresh(state.name, target, key, schema.signature)
    same_rows = state.keyed and state.key == key and state.target == target and not delete_sent
    if same_rows:  # what is gone from the buffer since is still to be deleted in the target
        begun = replace(begun, source=state.source, sequence=state.sequence)
    elif state.target == target and not delete_sent:
        begun = replace(begun, earlier=(*state.earlier, state.source))
    shared.journal.start_over(begun, state, forget_keys=not same_rows)


def _delete_sent(state: State, destination: Destination, clickhouse: Clickhouse) -> None:
    try:
        if destination.shape() is not None:
            for source in (state.source, *state.earlier):
                destination.discard(source)
    except SyncError:
        raise
    except Exception as error:
        raise TargetError(
            f"table {state.name!r}: {clickhouse.name} does not delete the rows sent before: "
            f"{cause(error, clickhouse.seconds)}; nothing was forgotten"
        ) from error


def rename(worker: TableWorker, cursor: DuckDBPyConnection, shared: Shared, old: str) -> None:
    """Give the journal's state of `old` to a worker's table.

    Raises:
        SyncConfigError: the journal does not know `old`, or knows the table already.
    """
    location = worker.locate(cursor)
    shared.journal.rename(old, location.journal_name)
    worker.forget()
