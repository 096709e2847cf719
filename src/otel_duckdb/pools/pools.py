"""The metrics of connection pools: of any pool shown to us, and what SQLAlchemy's tell by themselves."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from otel_duckdb import contract
from otel_duckdb.pools.shown import check_pool
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.telemetry.histogram import create_histogram
from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter

    from otel_duckdb.pools.shown import Pool
    from otel_duckdb.settings import Settings
    from otel_duckdb.telemetry.gauges import CallbackRegistry

IDLE: Final = "idle"
USED: Final = "used"


class Pools:
    """The pools of the process, none of which is kept alive."""

    def __init__(self, meter: Meter, callbacks: CallbackRegistry, settings: Settings) -> None:
        """Observe on `callbacks`; `settings.max_connections` is the limit of every pool where it is set."""
        self._limit = settings.max_connections
        self._lock = make_reentrant_lock()
        self._pools: dict[int, tuple[str, Callable[[], object | None]]] = {}
        self._limited = CardinalityLimit()
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
        check_pool(name, pool)
        self.observe_counts(name, pool)

    def observe_counts(self, name: str, pool: object) -> str:
        """Observe what counts a pool has, which may be none; return its label, `_other` after the first 200 names."""
        key = id(pool)
        with self._lock:
            known = self._pools.get(key)
            if known is not None:
                return known[0]
            label = self._limited(encodable(str(name)))
            self._pools[key] = (label, weakref.ref(pool, lambda _: self._pools.pop(key, None)))
            self._timeouts.add(0, {contract.DB_POOL_NAME: label})
            return label

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

    def live(self) -> Iterator[tuple[str, object]]:
        """The pools that live, each with its name."""
        for name, reference in self._pools.copy().values():
            pool = reference()
            if pool is not None:
                yield name, pool

    def _connections(self) -> Iterable[Observation]:
        for state, method in ((IDLE, "checkedin"), (USED, "checkedout")):
            numbers = ((label, _told(pool, method)) for label, pool in self.live())
            yield from _by_label(numbers, **{contract.DB_CONNECTION_STATE: state})

    def _idle_max(self) -> Iterable[Observation]:
        return _by_label((label, _told(pool, "size")) for label, pool in self.live())

    def _max(self) -> Iterable[Observation]:
        pools = list(self.live())
        if not pools and self._limit is not None:  # the limit an operator set holds for the process without a pool too
            return [Observation(self._limit, {contract.DB_POOL_NAME: contract.SYSTEM})]
        return _by_label((label, _limit(pool) if self._limit is None else self._limit) for label, pool in pools)

    def _pending_requests(self) -> Iterable[Observation]:
        for name, number in self._pending.copy().items():
            yield Observation(number, {contract.DB_POOL_NAME: name})


def _by_label(numbers: Iterable[tuple[str, int | None]], **further: str) -> list[Observation]:
    """The numbers of pools by label: of one name the newest pool's, of all others their sum."""
    found: dict[str, int] = {}
    for label, number in numbers:
        if number is not None:
            found[label] = number + (found.get(label, 0) if label == contract.OTHER else 0)
    return [Observation(number, {contract.DB_POOL_NAME: label, **further}) for label, number in found.items()]


def _told(pool: object, method: str) -> int | None:
    """The number that a method of a pool returns; None where it has none, or where that fails or is no number."""
    tell = getattr(pool, method, None)
    if not callable(tell):
        return None
    try:
        number = tell()
    except Exception:  # the pool is the user's, and one that fails hides no other
        return None
    return number if isinstance(number, int) else None


def _limit(pool: object) -> int | None:
    if callable(getattr(pool, "limit", None)):
        return _told(pool, "limit")
    size, overflow = _told(pool, "size"), getattr(pool, "_max_overflow", None)  # SQLAlchemy's QueuePool
    if not size or not isinstance(overflow, int) or overflow < 0:
        return None
    return size + overflow
