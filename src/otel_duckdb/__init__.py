"""OpenTelemetry instrumentation for DuckDB.

What it exports is imported when it is first asked for: a command that only asks a running monitor does without it.
"""

from __future__ import annotations

import importlib
import typing

if typing.TYPE_CHECKING:
    from otel_duckdb.core.operation import Operation
    from otel_duckdb.instrumentor import DuckDBInstrumentor
    from otel_duckdb.settings import SettingError, Settings
    from otel_duckdb.statement import Statement

__all__ = ["DuckDBInstrumentor", "Operation", "SettingError", "Settings", "Statement"]

_HOMES: typing.Final = {
    "DuckDBInstrumentor": "instrumentor",
    "Operation": "core.operation",
    "SettingError": "settings",
    "Settings": "settings",
    "Statement": "statement",
}


def __getattr__(name: str) -> typing.Any:
    """Import what is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The names of the package, those included that nobody has asked for."""
    return sorted({*globals(), *__all__})
