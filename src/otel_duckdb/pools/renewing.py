"""Renews the idle connections of a pool of SQLAlchemy that do not work any more; no connection in use is touched."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Final

_PATIENCE: Final = 2.0
"""Seconds after which a probe that has no answer is given up; its connection is left as it is."""


class RenewablePool:
    """A QueuePool over DuckDB."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    def idle(self) -> int:
        """Return the number of open connections that nobody uses."""
        return sum(record.dbapi_connection is not None for record in self._resting())

    def renew(self) -> tuple[int, int]:
        """Probe the idle connections as SQLAlchemy's `pool_pre_ping` does, and close those that fail.

        While one is probed it is not in the pool. SQLAlchemy opens one that was closed anew when it is asked for.

        Returns:
            How many were probed, and how many of them failed.
        """
        probed = renewed = 0
        for record in self._resting():
            if not self._take(record):
                continue
            try:
                if record.dbapi_connection is not None:
                    probed += 1
                    if not self._works(record.dbapi_connection):
                        record.invalidate()
                        renewed += 1
            finally:
                self._pool._do_return_conn(record)
        return probed, renewed

    def _resting(self) -> list[Any]:
        with self._pool._pool.mutex:
            return list(self._pool._pool.queue)

    def _take(self, record: Any) -> bool:
        """Take one out of the pool, unless somebody was quicker."""
        with self._pool._pool.mutex, suppress(ValueError):
            self._pool._pool.queue.remove(record)
            return True
        return False

    def _works(self, connection: Any) -> bool:
        given_up = threading.Event()
        timer = threading.Timer(_PATIENCE, _give_up, (connection, given_up))
        timer.daemon = True
        timer.start()
        try:
            self._pool._dialect.do_ping(connection)
        except Exception:  # whatever it is, it does not work
            return given_up.is_set()
        finally:
            timer.cancel()
        return True


def _give_up(connection: Any, given_up: threading.Event) -> None:
    given_up.set()
    with suppress(Exception):  # it is closed, or over
        connection.interrupt()
