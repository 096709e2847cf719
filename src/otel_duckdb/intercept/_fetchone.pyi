from collections.abc import Callable
from typing import Any, Self

from otel_duckdb.core.operation import Operation

class SampledRun:
    left: int
    length: int
    operation: Operation
    def __new__(cls, length: int, operation: Operation, /) -> Self: ...

class Fetchone:
    def __new__(
        cls,
        original: Callable[..., Any],
        wrapped: Callable[..., Any],
        over: Callable[[int, SampledRun, BaseException | None], None],
        /,
    ) -> Self: ...
    def __call__(self, connection: Any, /) -> Any: ...
    def allow(self, key: int, run: SampledRun, /) -> None: ...
    def forget(self, key: int, /) -> None: ...
