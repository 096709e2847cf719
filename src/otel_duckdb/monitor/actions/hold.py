"""Holds the user's new statements on a database back for the moment in which one of them would be harmed."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_duckdb.core.listener import Listener
from otel_duckdb.telemetry.locks import make_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.context import Context

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.core.source import Source

_LONGEST: Final = 2.0
"""Seconds a statement is held back at most, whatever we are doing."""
_SETTLING: Final = 0.02
"""Seconds in which a statement that has passed just before is seen to be at work."""


class _Hold(Listener):
    component = "actions"

    def __init__(self, database: str) -> None:
        self._database = database
        self._ours = threading.get_ident()
        self._released = make_event()

    def started(self, operation: Operation, context: Context) -> None:
        """Wait until the hold is released."""
        del context
        connection = operation.connection
        if (
            connection is not None
            and connection.label in {self._database, connection.location.name}
            and threading.get_ident() != self._ours
        ):
            self._released.wait(_LONGEST)

    def release(self) -> None:
        self._released.set()


@contextmanager
def held(source: Source, database: str) -> Iterator[None]:
    """Hold new statements on a database back; look whether one runs inside, for those that run are not held."""
    hold = _Hold(database)
    source.listen(hold)
    try:
        time.sleep(_SETTLING)
        yield
    finally:
        hold.release()
        source.forget(hold)
