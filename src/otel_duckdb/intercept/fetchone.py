"""Strides: how most calls of a long `fetchone` loop pass at next to no cost, and are counted all the same.

Two readings of the clock cost a quarter of a `fetchone` of DuckDB, and so does the mere frame of a Python function
(`docs/performance.md`). So the calls of a stride are only counted, by the C module `_fetchone`, or by its Python twin
here where that was not compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.operation import Operation


class PythonStride:
    """Fetches of one operation that may pass unmeasured.

    Attributes:
        left: Fetches that may still pass.
        length: Fetches that might pass at first.
        operation: The operation they serve.
    """

    __slots__ = ("left", "length", "operation")

    def __init__(self, length: int, operation: Operation) -> None:
        self.left = self.length = length
        self.operation = operation


def python_fetchone(
    original: Callable[[Any], Any],
    heard: Callable[[Any], Any],
    over: Callable[[int, PythonStride, BaseException | None], None],
) -> Any:
    """A `fetchone` that counts the calls of a stride, and leaves all others to `heard`.

    Its attribute `allow(key, stride)` lets the calls of the object with that id pass as the stride says, `forget(key)`
    ends that; `over(key, stride, error)` is told when a call of a stride finds no row, or raises.
    """
    strides: dict[int, PythonStride] = {}

    def fetchone(connection: Any) -> Any:
        try:
            stride = strides[id(connection)]
            left = stride.left
        except KeyError:
            left = 0
        if left <= 0:
            return heard(connection)
        try:
            row = original(connection)
        except BaseException as error:
            over(id(connection), stride, error)
            raise
        if row is None:
            over(id(connection), stride, None)
        else:
            stride.left = left - 1
        return row

    method: Any = fetchone
    method.allow = strides.__setitem__
    method.forget = lambda key: strides.pop(key, None)
    return method


__all__ = ["COMPILED", "Fetchone", "Stride", "python_fetchone"]

try:
    from otel_duckdb.intercept._fetchone import Fetchone, Stride
except ImportError:
    COMPILED = False
    Stride = PythonStride  # type: ignore[misc, assignment] # the twin of the C class
    Fetchone = python_fetchone  # type: ignore[misc, assignment] # the same
else:
    COMPILED = True
