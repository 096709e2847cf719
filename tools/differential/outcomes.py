"""What can be told of a result or an exception without changing it, so that two runs can be compared."""

from __future__ import annotations

import re
from typing import Any, Final, TypeAlias

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

Outcome: TypeAlias = tuple[Any, ...]

_LONG: Final = 500
_RANDOM: Final = re.compile(r"[0-9a-f]{6,}([-_][0-9a-f.]+)*|0x[0-9a-f]+|/[^ \"']*file\.db|/\S*differential\S*")
_FRAMES: Final = re.compile(r"\n+At:\n.*|Invoked with: .*|\n+Stack Trace:.*", re.DOTALL)
"""The Python frames DuckDB 1 names in the error of a function: those of the caller too, if it ran in that thread.

And the arguments in the text of a TypeError: DuckDB 1 runs a relation to print it, and in this one case our frame
is the innermost, so that a relation over a variable of the caller prints `<repr raised Error>`.
"""


def of_result(result: Any) -> Outcome:  # noqa: PLR0911 - one branch for each type of result
    """The type of a result, and as much of its content as can be had without reading from a stream."""
    kind = type(result)
    if isinstance(result, duckdb.DuckDBPyRelation):
        return (kind, result.columns, [str(column) for column in result.types], result.alias[:5])
    if isinstance(result, pa.RecordBatchReader):
        return (kind, str(result.schema))
    if isinstance(result, pa.Table):
        return (kind, str(result.schema), result.num_rows, hash(str(result.to_pydict())))
    if isinstance(result, pd.DataFrame):
        return (kind, str(result.dtypes), len(result), hash(result.to_csv()))
    if isinstance(result, pl.DataFrame):
        return (kind, str(result.schema), len(result), hash(result.write_csv()))
    if isinstance(result, dict):
        columns = {
            key: (str(getattr(value, "dtype", "")), hash(str(np.asarray(value)))) for key, value in result.items()
        }
        return (kind, columns)
    if isinstance(result, list | tuple | str | int | float | None):
        text = plain(repr(result))
        return (kind, text if len(text) < _LONG else (len(text), hash(text)))
    return (kind.__module__, kind.__qualname__)


def of_exception(error: BaseException) -> Outcome:
    """The type and the text of an exception, and of what caused it."""
    cause = error.__cause__ or error.__context__
    return ("raised", type(error), plain(str(error)), type(cause), error.__suppress_context__)


def plain(text: str) -> str:
    """The text without what differs between any two runs: addresses, random names, the folder of the run."""
    return _RANDOM.sub("#", _FRAMES.sub("", text))
