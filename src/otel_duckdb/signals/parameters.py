"""The parameters of a call as attributes: few, short, and none that may be a secret."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from reprlib import Repr
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb import contract
from otel_duckdb.statement.redaction import holds_secret, speaks_of_secret
from otel_duckdb.statement.text import HIDDEN, bounded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.core.operation import Operation

_LIMIT: Final = contract.PARAMETER_LENGTH_LIMIT
_short = Repr()
_short.maxlevel = 3
_short.maxlist = _short.maxtuple = _short.maxset = _short.maxfrozenset = _short.maxdict = 64
_short.maxstring = _short.maxlong = _short.maxother = _LIMIT


def captured(operation: Operation) -> dict[str, str]:
    """The parameters of an operation that ran once, by the names of their attributes."""
    try:
        first = list(islice(_pairs(operation), contract.PARAMETER_LIMIT))
        named = [(bounded(str(key), contract.NAME_LENGTH_LIMIT), value) for key, value in first]
    except Exception:  # an object of the user's that cannot be read
        return {}
    return {
        f"{contract.DB_QUERY_PARAMETER}.{key}": HIDDEN if operation.statement.is_sensitive else _text(value)
        for key, value in named
    }


def _pairs(operation: Operation) -> Iterable[tuple[Any, Any]]:
    parameters = operation.parameters
    if operation.is_batch:
        parameters = next(iter(parameters)) if operation.batch_size == 1 else None
    if not hasattr(parameters, "__len__") or isinstance(parameters, str | bytes):
        return ()  # no parameters, or none that DuckDB accepts
    return parameters.items() if isinstance(parameters, Mapping) else enumerate(parameters)


def _text(value: Any) -> str:
    try:
        if isinstance(value, str):
            text = str(value[: _LIMIT + 1])
        elif isinstance(value, bytes | bytearray | memoryview):
            text = str(bytes(value[:_LIMIT]))
        elif isinstance(value, list | tuple | dict | set | frozenset):
            text = _short.repr(value)
        else:
            text = str(value)
    except Exception:  # the value's own `__str__`, or an integer of more digits than Python writes
        text = f"<{type(value).__qualname__}>"
    return HIDDEN if holds_secret(text) or speaks_of_secret(text) else bounded(text, _LIMIT)
