"""Sampled runs: how most calls of a long `fetchone` loop pass at next to no cost, and are counted all the same.

Two readings of the clock cost a quarter of a `fetchone` of DuckDB, and so does the mere frame of a Python function
(`docs/performance.md`). So the calls of a sampled run are only counted, by the C module `_fetchone`, or by its Python
twin here where that was not compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.core.operation import Operation


class PythonSampledRun:
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
    wrapped: Callable[[Any], Any],
    over: Callable[[int, PythonSampledRun, BaseException | None], None],
) -> Any:
    """A `fetchone` that counts the calls of a sampled run, and leaves all others to `wrapped`.

    Its attribute `allow(key, run)` lets the calls of the object with that id pass as the run says, `forget(key)`
    ends that; `over(key, run, error)` is told when a call of a sampled run finds no row, or raises.
    """
    sampled_runs: dict[int, PythonSampledRun] = {}

    def fetchone(connection: Any) -> Any:
        try:
            run = sampled_runs[id(connection)]
            left = run.left
        except KeyError:
            left = 0
        if left <= 0:
            return wrapped(connection)
        try:
            row = original(connection)
        except BaseException as error:
            over(id(connection), run, error)
            raise
        if row is None:
            over(id(connection), run, None)
        else:
            run.left = left - 1
        return row

    method: Any = fetchone
    method.allow = sampled_runs.__setitem__
    method.forget = lambda key: sampled_runs.pop(key, None)
    return method


__all__ = ["COMPILED", "Fetchone", "SampledRun", "python_fetchone"]

try:
    from otel_duckdb.intercept._fetchone import Fetchone, SampledRun
except ImportError:
    COMPILED = False
    SampledRun = PythonSampledRun  # type: ignore[misc, assignment] # the twin of the C class
    Fetchone = python_fetchone  # type: ignore[misc, assignment] # the same
else:
    COMPILED = True
