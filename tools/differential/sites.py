"""The places in a program's source that a call is made from: DuckDB looks for variables in the innermost frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pandas as pd
import polars as pl
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Arguments: TypeAlias = tuple[Any, ...]
Keywords: TypeAlias = dict[str, Any]


def method_of(target: Any, name: str) -> Callable[..., Any]:
    """The method; an attribute that is no method becomes one that gives the value."""
    value = getattr(target, name)
    return value if callable(value) else lambda *_arguments: value


def _from_function(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    local_frame = pd.DataFrame({"i": [1, 2], "s": ["one", "two"]})
    local_arrow = pa.table({"i": [1, 2, 3]})
    result = method_of(target, name)(*arguments, **keywords)
    del local_frame, local_arrow
    return result


def _from_lambda(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    local = pd.DataFrame({"i": [3], "s": ["l"]})
    return (lambda local_frame: method_of(target, name)(*arguments, **keywords))(local)  # noqa: ARG005, PLC3002 - DuckDB looks into a lambda


def _from_comprehension(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    method = method_of(target, name)
    return [method(*arguments, **keywords) for local_frame in (pd.DataFrame({"i": [4], "s": ["c"]}),)][0]  # noqa: RUF015 - a comprehension is what is tested


def _from_class_body(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    class Body:
        local_arrow = pa.table({"i": [5]})
        result = method_of(target, name)(*arguments, **keywords)

    result = Body.result
    del Body.result, Body.local_arrow  # a class is a cycle
    return result


def _from_generator(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    def generate() -> Iterator[Any]:
        local_frame = pd.DataFrame({"i": [6], "s": ["g"]})
        yield method_of(target, name)(*arguments, **keywords)
        del local_frame

    return next(generate())


def _from_exec(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    names = {
        "call": method_of(target, name),
        "arguments": arguments,
        "keywords": keywords,
        "local_frame": pl.DataFrame({"i": [7]}),
    }
    exec(compile("result = call(*arguments, **keywords)", "typed.py", "exec"), names)
    return names["result"]


def _from_closure(target: Any, name: str, arguments: Arguments, keywords: Keywords) -> Any:
    local_frame = pd.DataFrame({"i": [8], "s": ["n"]})

    def inner() -> tuple[Any, bool]:
        return method_of(target, name)(*arguments, **keywords), local_frame is None

    return inner()[0]


SITES: Final = (
    *[_from_function] * 4,
    _from_lambda,
    _from_comprehension,
    _from_class_body,
    _from_generator,
    _from_exec,
    _from_closure,
)
"""A plain function comes most often."""
