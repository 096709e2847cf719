"""What a collected object left to do, done outside garbage collections."""

from __future__ import annotations

import gc
import threading
from collections import deque
from typing import TYPE_CHECKING

from otel_duckdb.telemetry.section import INSIDE, in_section, inside_the_sdk

if TYPE_CHECKING:
    from collections.abc import Callable


class Deferred:
    """Runs what is left to do, but never inside a garbage collection, a section of our own, or the SDK.

    A collection may start in a thread that holds any lock, one of the SDK's among them; what ends a span would wait for
    that lock for ever. In the middle of our own code an object may go as well. What comes up meanwhile is put off to
    the next call of `run`.

    Attributes:
        put_off: What is left to do; the hooks look at it, and call `run` where there is something.
    """

    def __init__(self) -> None:
        self._collecting = 0
        self.put_off: deque[Callable[[], None]] = deque()

    def start(self) -> None:
        """Watch the garbage collector."""
        gc.callbacks.append(self._watch)

    def stop(self) -> None:
        """Watch it no more, and do what is left."""
        if self._watch in gc.callbacks:
            gc.callbacks.remove(self._watch)
        self._collecting = 0
        self.run()

    def _watch(self, phase: str, _info: dict[str, int]) -> None:
        self._collecting = threading.get_ident() if phase == "start" else 0

    def __call__(self, action: Callable[[], None]) -> None:
        """Do `action` now, or after the collection or the section this thread is in."""
        if self._collecting == threading.get_ident() or INSIDE.get() or inside_the_sdk():
            self.put_off.append(action)
        else:
            self._do(action)

    def run(self) -> None:
        """Do what is left, unless the SDK was interrupted."""
        while self.put_off and not inside_the_sdk():
            try:
                action = self.put_off.popleft()
            except IndexError:
                return
            self._do(action)

    def _do(self, action: Callable[[], None]) -> None:
        try:
            in_section(action)()
        except Exception:
            raise
        except BaseException:  # a signal's: what is done twice is done once
            self.put_off.append(action)
            raise
