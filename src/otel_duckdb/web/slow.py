"""Answers that take long, each made in a thread of its own, and handed back to the server's thread."""

from __future__ import annotations

import logging
from collections import deque
from threading import Thread
from typing import TYPE_CHECKING, Final

from otel_duckdb.web.exchange import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_duckdb.web.connection import Connection
    from otel_duckdb.web.exchange import Slow

_logger: Final = logging.getLogger(__name__)


class SlowAnswers:
    """Makes a few answers at a time, while others wait; only the server's thread begins them, and takes them."""

    def __init__(self, most: int, waiting: int, wake: Callable[[], None]) -> None:
        """Make at most `most` at a time, let `waiting` wait, and call `wake`, from any thread, when one is made."""
        self._most = most
        self._wake = wake
        self._waiting: deque[tuple[Connection, Slow]] = deque()
        self._most_waiting = waiting
        self._made: deque[tuple[Connection, Response]] = deque()
        self._being_made = 0

    def begin(self, connection: Connection, slow: Slow) -> bool:
        """Make an answer, now or when others are made; False where too many wait."""
        if self._being_made >= self._most:
            if len(self._waiting) >= self._most_waiting:
                return False
            self._waiting.append((connection, slow))
            return True
        self._start(connection, slow)
        return True

    def taken(self) -> Iterator[tuple[Connection, Response]]:
        """Take the answers that are made, and begin those that waited for them; who has left meanwhile needs none."""
        while self._made:
            self._being_made -= 1
            yield self._made.popleft()
        while self._waiting and self._being_made < self._most:
            connection, slow = self._waiting.popleft()
            if connection.waiting:
                self._start(connection, slow)

    def _start(self, connection: Connection, slow: Slow) -> None:
        thread = Thread(target=self._make, args=(connection, slow), name="otel-duckdb http answer", daemon=True)
        thread.start()
        self._being_made += 1

    def _make(self, connection: Connection, slow: Slow) -> None:
        try:
            response = slow.make()
        except Exception:
            _logger.exception("a request could not be answered")
            response = Response(500, b"It could not be answered; the program's log says why.\n")
        self._made.append((connection, response))
        self._wake()
