"""How a command ends that has something to put away."""

from __future__ import annotations

import contextlib
import signal
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_KILLED: Final = 128
"""What a shell adds to a signal's number for an exit code."""


@contextlib.contextmanager
def ending_in_order() -> Iterator[None]:
    """Let SIGTERM and SIGHUP, which a terminal sends as it is closed, end the block as Ctrl-C does.

    What it made is removed, and the terminal put right. A second one ends the process at once.
    """
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        came.append(number)
        raise KeyboardInterrupt

    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is threading.main_thread():
        numbers = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]  # nohup ignores one
    else:
        numbers = []
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    except BaseException:
        if not came:
            raise
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)
    if came:
        raise SystemExit(_KILLED + came[0])
