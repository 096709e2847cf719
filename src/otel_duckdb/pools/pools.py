"""The metrics of connection pools: of any pool shown to us, and what SQLAlchemy's tell by themselves."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.telemetry.histogram import create_histogram
from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter

    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.gauges import CallbackRegistry

IDLE: Final = "idle"
USED: Final = "used"


class Pool(Protocol):
    """A pool as `observe_pool` takes it; SQLAlchemy's pools are such.

    Optional are `size()`, the most idle connections it keeps, and `limit()`, the most it opens, None for no limit.
    """

    def checkedin(self) -> int:
        """Return the number of idle connections."""

    def checkedout(self) -> int:
        """Return the number of connections in use."""


class Pools:
    """The pools of the process, none of which is kept alive."""

    def __init__(self, meter: Meter, callbacks: CallbackRegistry, settings: Settings) -> None:
        """Observe on `callbacks`; `settings.max_connections` is the limit of every pool where it is set."""
        self._limit = settings.max_connections
        self._lock = make_reentrant_lock()
        self._pools: dict[int, tuple[str, Callable[[], Pool | None]]] = {}
        self._pending: dict[str, int] = {}
        self._create_time = create_histogram(meter, contract.POOL_CREATE_TIME)
        self._wait_time = create_histogram(meter, contract.POOL_WAIT_TIME)
        self._use_time = create_histogram(meter, contract.POOL_USE_TIME)
        self._timeouts = Counter(meter, contract.POOL_TIMEOUTS)
        callbacks.add(contract.POOL_CONNECTIONS, self._connections)
        callbacks.add(contract.POOL_IDLE_MAX, self._idle_max)
        callbacks.add(contract.POOL_MAX, self._max)
        callbacks.add(contract.POOL_PENDING, self._pending_requests)

    def observe(self, name: str, pool: Pool) -> None:
        """Observe a pool under a name for as long as it lives; a known pool keeps its name.

        Raises:
            TypeError: the pool does not tell how many of its connections are idle and in use.
        """
        for method in ("checkedin", "checkedout"):
            if not callable(getattr(pool, method, None)):
                raise TypeError(
                    f"the pool {name!r}, a {type(pool).__qualname__}, has no method {method}(); give it one"
                )
        key = id(pool)
        with self._lock:
            if key not in self._pools:
                self._pools[key] = (name, weakref.ref(pool, lambda _: self._pools.pop(key, None)))
                self._timeouts.add(0, {contract.DB_POOL_NAME: name})

    def created(self, name: str, seconds: float) -> None:
        """Record how long it took to open a connection."""
        self._create_time.record(seconds, {contract.DB_POOL_NAME: name})

    def waited(self, name: str, seconds: float) -> None:
        """Record how long it took until a request had its connection."""
        self._wait_time.record(seconds, {contract.DB_POOL_NAME: name})

    def timed_out(self, name: str) -> None:
        """Count a request that gave up waiting."""
        self._timeouts.add(1, {contract.DB_POOL_NAME: name})

    def used(self, name: str, seconds: float) -> None:
        """Record how long a connection was in use."""
        self._use_time.record(seconds, {contract.DB_POOL_NAME: name})

    def pending(self, name: str, change: int) -> None:
        """Take note of requests that began or ceased to wait."""
        with self._lock:
            self._pending[name] = self._pending.get(name, 0) + change

    def _live(self) -> Iterator[tuple[str, Pool]]:
        for name, reference in self._pools.copy().values():
            pool = reference()
            if pool is not None:
                yield name, pool

    def _connections(self) -> Iterable[Observation]:
        for name, pool in self._live():
            for state, number in ((IDLE, pool.checkedin()), (USED, pool.checkedout())):
                yield Observation(number, {contract.DB_POOL_NAME: name, contract.DB_CONNECTION_STATE: state})

    def _idle_max(self) -> Iterable[Observation]:
        for name, pool in self._live():
            size = getattr(pool, "size", None)
            if callable(size):
                yield Observation(size(), {contract.DB_POOL_NAME: name})

    def _max(self) -> Iterable[Observation]:
        pools = list(self._live())
        if not pools and self._limit is not None:  # the limit an operator set holds for the process without a pool too
            yield Observation(self._limit, {contract.DB_POOL_NAME: contract.SYSTEM})
        for name, pool in pools:
            limit = _limit(pool) if self._limit is None else self._limit
            if limit is not None:
                yield Observation(limit, {contract.DB_POOL_NAME: name})

    def _pending_requests(self) -> Iterable[Observation]:
        for name, number in self._pending.copy().items():
            yield Observation(number, {contract.DB_POOL_NAME: name})


def _limit(pool: Pool) -> int | None:
    limit = getattr(pool, "limit", None)
    if callable(limit):
        told: int | None = limit()
        return told
    size, overflow = getattr(pool, "size", None), getattr(pool, "_max_overflow", -1)  # SQLAlchemy's QueuePool
    if not callable(size) or overflow < 0 or not size():
        return None
    return int(size()) + int(overflow)
