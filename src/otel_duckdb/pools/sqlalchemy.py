"""Shows us the pools of SQLAlchemy over duckdb_engine, without a line of the user's, once SQLAlchemy is imported."""

from __future__ import annotations

import sys
import threading
import weakref
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from wrapt import register_post_import_hook

from otel_duckdb import contract
from otel_duckdb.core.location import location
from otel_duckdb.core.patches import Patches
from otel_duckdb.pools.renewing import RenewablePool
from otel_duckdb.telemetry.section import unless_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from otel_duckdb.pools.pools import Pools
    from otel_duckdb.telemetry.gauges import Report


class SQLAlchemyPools:
    """Observes every pool of the dialect `duckdb`.

    SQLAlchemy's events tell of borrowing and returning. They tell neither how long a request waited nor how long a
    connection took to open, so the two methods that wait and open are replaced too. Only a QueuePool has requests that
    wait, and counts; of the other pools it is known how long connections take to open, and how long they are used.
    """

    def __init__(self, pools: Pools, report: Report, later: Callable[[Callable[[], None]], None]) -> None:
        """Show the pools to `pools`; `later` runs what must not run inside a garbage collection."""
        self._pools = pools
        self._report = report
        self._later = later
        self._patches = Patches()
        self._borrowed: weakref.WeakKeyDictionary[Any, tuple[str, float]] = weakref.WeakKeyDictionary()
        self._getting = threading.local()
        self._requests: dict[int, tuple[str, float]] = {}
        self._remove: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin when SQLAlchemy is imported, at once if it is."""
        here = weakref.ref(self)

        def imported(_: ModuleType) -> None:
            watcher = here()
            if watcher is not None:
                watcher._try(watcher._install)

        register_post_import_hook(imported, "sqlalchemy")

    def stop(self) -> None:
        """Take back what was replaced."""
        self._patches.restore()
        while self._remove:
            self._try(self._remove.pop())

    def _install(self) -> None:
        from sqlalchemy import engine, event, exc, pool  # noqa: PLC0415 - it is no dependency of ours
        from sqlalchemy.pool.base import _ConnectionRecord  # noqa: PLC0415 - it is no dependency of ours

        for target, name, listener in (
            (pool.Pool, "checkout", self._checkout),
            (pool.Pool, "checkin", self._checkin),
            (engine.Engine, "engine_disposed", self._disposed),
        ):
            event.listen(target, name, listener)
            self._remove.append(partial(event.remove, target, name, listener))
        # Every pool makes its connections so; StaticPool does without Pool._create_connection.
        self._patches.replace(_ConnectionRecord, "__init__", self._creating(_ConnectionRecord.__init__))
        self._patches.replace(pool.QueuePool, "_do_get", self._waiting(pool.QueuePool._do_get, exc.TimeoutError))

    def _try(self, action: Callable[..., object], *arguments: Any) -> None:
        try:
            action(*arguments)
        except Exception as error:
            self._report("pools", error)

    def _guard(self, action: Callable[..., object], *arguments: Any) -> None:
        """Try the action, unless code of this package runs: a pool that it uses is not observed."""
        self._try(unless_inside(action), *arguments)

    def _creating(self, original: Callable[..., None]) -> Callable[..., None]:
        def __init__(record: Any, pool: Any, *arguments: Any, **keywords: Any) -> None:  # noqa: N807 - it takes its place
            started = perf_counter()
            original(record, pool, *arguments, **keywords)
            if _is_duckdb(pool):
                self._guard(self._created, pool, perf_counter() - started)

        return __init__

    def _waiting(self, original: Callable[[Any], Any], timeout: type[Exception]) -> Callable[[Any], Any]:
        def _do_get(pool: Any) -> Any:
            if not _is_duckdb(pool) or getattr(self._getting, "inside", False):  # it calls itself to try again
                return original(pool)
            started = perf_counter()
            self._guard(self._begin, pool)
            try:
                connection = original(pool)
            except timeout:
                self._guard(self._timed_out, pool)
                raise
            finally:
                self._guard(self._end, pool)
            self._guard(self._waited, pool, perf_counter() - started)
            return connection

        return _do_get

    def of(self, path: str | None) -> list[RenewablePool]:
        """The pools of connections to the database at this path whose idle connections can be probed."""
        if path is None or "sqlalchemy" not in sys.modules:
            return []
        from sqlalchemy.pool import QueuePool  # noqa: PLC0415 - it is no dependency of ours

        return [
            RenewablePool(pool)
            for _, pool in self._pools.live()
            if isinstance(pool, QueuePool) and _is_duckdb(pool) and location(_database(pool)).path == path
        ]

    def requests(self) -> list[tuple[str, int, float]]:
        """Who waits for a connection: the pool's name, the thread, and for how many seconds."""
        now, live = perf_counter(), {thread.ident for thread in threading.enumerate()}  # a parent's are not in a child
        waiting = self._requests.copy().items()
        return [(name, thread, now - since) for thread, (name, since) in waiting if thread in live]

    def _begin(self, pool: Any) -> None:
        self._getting.inside = True
        name = self._name(pool)
        self._requests[threading.get_ident()] = name, perf_counter()
        self._pools.pending(name, 1)

    def _end(self, pool: Any) -> None:
        self._getting.inside = False
        self._requests.pop(threading.get_ident(), None)
        self._pools.pending(self._name(pool), -1)

    def _created(self, pool: Any, seconds: float) -> None:
        self._pools.created(self._name(pool), seconds)

    def _waited(self, pool: Any, seconds: float) -> None:
        self._pools.waited(self._name(pool), seconds)

    def _timed_out(self, pool: Any) -> None:
        self._pools.timed_out(self._name(pool))

    def _checkout(self, _connection: Any, record: Any, fairy: Any) -> None:
        if _is_duckdb(fairy._pool):
            self._guard(self._lend, record, fairy._pool)

    def _lend(self, record: Any, pool: Any) -> None:
        self._borrowed[record] = (self._name(pool), perf_counter())

    def _checkin(self, _connection: Any, record: Any) -> None:
        borrowed = self._borrowed.pop(record, None)
        if borrowed is not None:
            name, started = borrowed
            # SQLAlchemy returns a forgotten connection when the garbage collector finds it.
            try:
                self._later(partial(self._pools.used, name, perf_counter() - started))
            except Exception as error:
                self._report("pools", error)

    def _disposed(self, engine: Any) -> None:
        # Its new pool is told from here on: not a moment without a pool, however late its first connection.
        if _is_duckdb(engine.pool):
            self._guard(self._name, engine.pool)

    def _name(self, pool: Any) -> str:
        return self._pools.observe_counts(_name(pool), pool)


def _is_duckdb(pool: Any) -> bool:
    return getattr(getattr(pool, "_dialect", None), "name", None) == contract.SYSTEM


def _name(pool: Any) -> str:
    """The name the user gave to the pool, else that of its database's file."""
    given = getattr(pool, "logging_name", None)
    return str(given) if given else location(_database(pool)).name


def _database(pool: Any) -> object:
    # An engine keeps the arguments of its connections in the function that opens them, and nowhere else.
    creator = getattr(pool, "_creator", None)
    names = getattr(getattr(creator, "__code__", None), "co_freevars", ())
    cells = dict(zip(names, getattr(creator, "__closure__", None) or (), strict=False))
    return cells["cparams"].cell_contents.get("database", "") if "cparams" in cells else ""
