"""What is instrumented at the moment, for whoever follows it beside the signals: the monitor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_duckdb.core.listener import Listener
    from otel_duckdb.core.operation import Connection


class Cursor(Protocol):
    """A cursor of our own, whose statements are not recorded."""

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement and return its rows."""

    def run(self, sql: str) -> None:
        """Run one statement that has no result worth reading."""

    def interrupt(self) -> None:
        """End the statement that runs, from another thread; where none runs nothing happens."""

    def close(self) -> None:
        """Close the cursor, and with it its hold on the database."""


class ObservedDatabase(Protocol):
    """A live database instance of this process.

    Attributes:
        name: Its label in the metrics, unique within the process.
        path: The real path of its main file, None in memory.
    """

    @property
    def name(self) -> str: ...  # noqa: D102 - among the attributes
    @property
    def path(self) -> str | None: ...  # noqa: D102 - among the attributes

    def open_cursor(self) -> Cursor | None:
        """Return a new cursor, to be closed soon; None where the database is closed by now."""


class ObservedPool(Protocol):
    """A live pool of connections whose idle ones can be probed."""

    def idle(self) -> int:
        """Return the number of open connections that nobody uses."""

    def renew(self) -> tuple[int, int]:
        """Probe the idle connections, let those be opened anew that fail; return how many were probed, and failed."""


class Source(Protocol):
    """One instrumentation, from `instrument()` to `uninstrument()`."""

    def listen(self, *listeners: Listener) -> None:
        """Tell these listeners of connections and operations from now on, after the signals."""

    def forget(self, *listeners: Listener) -> None:
        """Tell these listeners no more."""

    def live_databases(self) -> Iterable[ObservedDatabase]:
        """Return the live databases; none where the engine's metrics are switched off."""

    def live_connections(self) -> Iterable[Connection]:
        """Return the live connections."""

    def pool_requests(self) -> Iterable[tuple[str, int, float]]:
        """Return who waits for a connection of a pool: the pool, the thread's identity, and for how many seconds."""

    def live_pools(self, database: ObservedDatabase) -> Iterable[ObservedPool]:
        """Return the pools of connections to a database that can be probed."""

    def report(self, component: str, error: BaseException) -> None:
        """Count a fault of `component` in `otel_duckdb_internal_errors`, and log the first of its kind."""


_current: Source | None = None
_followers: list[Callable[[Source | None], None]] = []


def provide(source: Source | None) -> None:
    """Make `source` the present one, and tell the followers; None where nothing is instrumented any more."""
    global _current  # noqa: PLW0603 - there is one instrumentation a process
    _current = source
    for follower in _followers.copy():
        follower(source)


def report(component: str, error: BaseException) -> None:
    """Count a fault of `component`, where anything is instrumented."""
    if _current is not None:
        _current.report(component, error)


def follow(follower: Callable[[Source | None], None]) -> None:
    """Tell `follower` of the present source, at once and whenever it changes."""
    _followers.append(follower)
    follower(_current)


def unfollow(follower: Callable[[Source | None], None]) -> None:
    """Tell `follower` no more; where it is not told nothing happens."""
    if follower in _followers:
        _followers.remove(follower)
