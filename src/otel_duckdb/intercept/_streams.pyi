from collections.abc import Callable
from typing import Any

def listen(
    capsule: Any,
    enter: Callable[[], Any],
    leave: Callable[[Any, int, bytes | None], None],
    done: Callable[[], None],
    rewrapped: bool,
    /,
) -> None: ...
