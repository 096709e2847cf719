"""Waits for what happens in another thread or process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(
    look: Callable[[], T], accept: Callable[[T], bool] = bool, *, within: float = 60.0, every: float = 0.05
) -> T:
    """Look until what is seen is acceptable. Raises AssertionError with the last sight when the time is up."""
    deadline = time.monotonic() + within
    while not accept(seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s; the last sight was {seen!r:.2000}")
        time.sleep(every)
    return seen
