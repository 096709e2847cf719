"""Finds out of many tables at once whether there is anything to do: 200 idle tables are a few questions.

A pass that left nothing to do leaves a query that sees the same again as long as nothing has changed. Whoever wants a
pass asks first; those who ask while others are being answered are answered together, always by what is seen after they
asked. Where it is not certain that there is nothing to do, the table has a pass of its own, as ever.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from otel_duckdb.sync.journal import rollback
from otel_duckdb.sync.state import now
from otel_duckdb.sync.types import quoted_text
from otel_duckdb.telemetry.locks import make_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.inventory import Inventory
    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.pools import Pools
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.state import State
    from otel_duckdb.sync.target import Clickhouse

LARGE_ROWS: Final = 1_000_000
"""Tables with more rows are looked at alone, so that they hold up no others."""
LARGE_KEYED_ROWS: Final = 20_000
"""The same of tables with a key, all of whose rows are hashed for it."""
_TOGETHER: Final = 50
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IdleQuery:
    """What shows that a table is as a pass left it."""

    schema: Schema
    query: str
    """It has one row, of whole numbers."""
    holds: Callable[[Sequence[int]], bool]
    """Whether that row says that nothing has changed."""
    stored: int
    """How many rows the target holds at least; 0 where nobody is to look."""

    @property
    def columns(self) -> str:
        """A query for the columns of the table."""
        name = quoted_text(self.schema.reference)
        return f'SELECT name, type, NOT "notnull" AS optional, cid FROM pragma_table_info({name})'


class Idle(Protocol):
    """A table that may be idle."""

    @property
    def idle_query(self) -> IdleQuery | None:
        """What shows that it is, None where only a pass can tell."""

    @property
    def target_name(self) -> str:
        """Its name in the target."""

    def idle_states(self, moment: str) -> tuple[State, State]:
        """Its state as the last pass left it, and as one leaves it that had nothing to do at a moment of now()."""

    def rest(self, state: State, begun: float) -> None:
        """Take that for its pass, which began at a moment of time.monotonic()."""


T = TypeVar("T", bound=Idle)


class _Request:
    """Somebody's question after one table."""

    def __init__(self, table: Idle, query: IdleQuery, not_before: float) -> None:
        self.table = table
        self.query = query
        self.not_before = not_before
        self.answered = self.idle = False


class IdleTables:
    """Answers whether tables are idle; those who ask hold what keeps others from beginning a pass of theirs."""

    def __init__(self, journal: Journal, pools: Pools, inventory: Inventory) -> None:
        """Look through the pools' cursors and clients."""
        self._journal = journal
        self._pools = pools
        self._inventory = inventory
        self._asking = make_lock()
        self._lock = make_lock()
        self._waiting: list[_Request] = []

    def rests(self, table: Idle, not_before: float) -> bool:
        """Whether a table has nothing to do, and has had its pass thereby; its target is as it was at `not_before`."""
        query = table.idle_query
        if query is None:
            return False
        request = _Request(table, query, not_before)
        with self._lock:
            self._waiting.append(request)
        with self._asking:
            if not request.answered:
                with self._lock:
                    requests, self._waiting = self._waiting, []
                self._answer(requests)
        return request.idle

    def resting(self, tables: Iterable[T], not_before: float) -> list[T]:
        """Those of several tables that have nothing to do, and have had their pass thereby."""
        asked = ((table, table.idle_query) for table in tables)
        requests = [(table, _Request(table, query, not_before)) for table, query in asked if query is not None]
        if requests:
            self._answer([request for _, request in requests])
        return [table for table, request in requests if request.idle]

    def _answer(self, requests: list[_Request]) -> None:
        try:
            begun, moment = monotonic(), now()
            with self._pools.working() as (cursor, _, clickhouse):
                idle = self._idle(requests, cursor, clickhouse)
            states = [request.table.idle_states(moment) for request in idle]
            self._journal.settle(*states)
            for request, (_, state) in zip(idle, states, strict=True):
                request.table.rest(state, begun)
                request.idle = True
        except Exception:  # the pass of each table meets it, and tells it
            _logger.debug("the idle tables cannot be looked at together", exc_info=True)
        finally:
            for request in requests:
                request.answered = True

    def _idle(self, requests: list[_Request], cursor: DuckDBPyConnection, clickhouse: Clickhouse) -> list[_Request]:
        found: list[_Request] = []
        try:
            for first in range(0, len(requests), _TOGETHER):
                found += _unchanged(cursor, requests[first : first + _TOGETHER])
        except BaseException:
            rollback(cursor)
            raise
        not_before = max(request.not_before for request in requests)
        try:
            return [one for one in found if self._holds(one, clickhouse, not_before)]
        except BaseException:
            clickhouse.close()
            raise

    def _holds(self, request: _Request, clickhouse: Clickhouse, not_before: float) -> bool:
        """Whether the target does not certainly lack rows."""
        if not request.query.stored:
            return True
        found = self._inventory.rows(clickhouse, request.table.target_name, not_before)
        return found is None or found >= request.query.stored


def _unchanged(cursor: DuckDBPyConnection, requests: list[_Request]) -> list[_Request]:
    """Those whose columns and rows are what they were."""
    cursor.execute("BEGIN")
    columns: dict[int, list[tuple[str, str, bool]]] = {}
    described = _all(f"SELECT {number} AS number, * FROM ({one.query.columns})" for number, one in enumerate(requests))
    for number, name, kind, optional, _ in cursor.execute(f"{described} ORDER BY number, cid").fetchall():
        columns.setdefault(number, []).append((name, kind, optional))
    counted = _all(f"SELECT {number} AS number, * FROM ({one.query.query})" for number, one in enumerate(requests))
    rows = {number: values for number, *values in cursor.execute(counted).fetchall()}
    cursor.execute("COMMIT")
    return [
        one
        for number, one in enumerate(requests)
        if one.query.schema.has_columns(columns.get(number, ())) and one.query.holds(rows[number])
    ]


def _all(queries: Iterable[str]) -> str:
    return " UNION ALL ".join(queries)
