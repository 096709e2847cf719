"""The pools that were shown to us, before and while DuckDB is instrumented."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Protocol

from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Pool(Protocol):
    """A pool as `observe_pool` takes it; SQLAlchemy's pools are such.

    Optional are `size()`, the most idle connections it keeps, and `limit()`, the most it opens, None for no limit.
    """

    def checkedin(self) -> int:
        """Return the number of idle connections."""

    def checkedout(self) -> int:
        """Return the number of connections in use."""


class ShownPools:
    """Names of pools, none of which is kept alive."""

    def __init__(self) -> None:
        self._pools: dict[int, tuple[str, Callable[[], Pool | None]]] = {}

    def add(self, name: str, pool: Pool) -> None:
        """Take note of a pool.

        Raises:
            TypeError: it tells not how many of its connections are idle and in use, or cannot be weakly referenced.
        """
        check_pool(name, pool)
        key = id(pool)
        self._pools[key] = (encodable(str(name)), weakref.ref(pool, lambda _: self._pools.pop(key, None)))

    def __iter__(self) -> Iterator[tuple[str, Pool]]:
        for name, reference in tuple(self._pools.values()):
            pool = reference()
            if pool is not None:
                yield name, pool


def check_pool(name: Any, pool: Any) -> None:
    """Raise a TypeError where `pool` is none."""
    what = f"the pool {printable(name)!r}, a {type(pool).__qualname__},"
    for method in ("checkedin", "checkedout"):
        if not callable(getattr(pool, method, None)):
            raise TypeError(f"{what} has no method {method}(); give it one")
    try:
        weakref.ref(pool)
    except TypeError:
        raise TypeError(f"{what} cannot be weakly referenced; add __weakref__ to its __slots__") from None
