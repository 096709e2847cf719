from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

class Wrapper:
    def __init__(
        self,
        original: Callable[..., Any],
        begin: Callable[[tuple[Any, ...], dict[str, Any]], Any],
        succeed: Callable[[Any, Any], Any],
        fail: Callable[[Any, BaseException], None],
        report: Callable[[Exception], None],
        interrupted: Callable[[Any, BaseException], None],
        inside: ContextVar[bool],
        absent: tuple[tuple[dict[str, Any], str], ...],
        dormant: bool,
        /,
    ) -> None: ...
    def __call__(self, *arguments: Any, **keywords: Any) -> Any: ...

class FunctionWrapper(Wrapper): ...

def wake(wrapper: Wrapper, /) -> None: ...
