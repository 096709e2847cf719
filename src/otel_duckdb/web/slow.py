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
    """Makes a few answers at a time; only the server's thread begins them, and takes them."""

    def __init__(self, most: int, wake: Callable[[], None]) -> None:
        """Make at most `most` at a time, and call `wake`, from any thread, when one is made."""
        self._most = most
        self._wake = wake
        self._made: deque[tuple[Connection, Response]] = deque()
        self.being_made = 0

    def begin(self, connection: Connection, slow: Slow) -> bool:
        """Make an answer; False where too many are being made."""
        if self.being_made >= self._most:
            return False
        thread = Thread(target=self._make, args=(connection, slow), name="otel-duckdb http answer", daemon=True)
        thread.start()
        self.being_made += 1
        return True

    def taken(self) -> Iterator[tuple[Connection, Response]]:
        """Take the answers that are made."""
        while self._made:
            self.being_made -= 1
            yield self._made.popleft()

    def _make(self, connection: Connection, slow: Slow) -> None:
        try:
            response = slow.make()
        except Exception:
            _logger.exception("a request could not be answered")
            response = Response(500, b"It could not be answered; the program's log says why.\n")
        self._made.append((connection, response))
        self._wake()
