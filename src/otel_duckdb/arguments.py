"""What `instrument()` and `instrument_connection()` are given: checked before anything is changed."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.settings import SettingError, Settings
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping

_METHODS: Final = {
    "tracer_provider": "get_tracer",
    "meter_provider": "get_meter",
    "logger_provider": "get_logger",
}
"""What each provider must have."""
_FUNCTIONS: Final = ("request_hook", "response_hook", "operation_filter")
PROVIDED: Final = (*_METHODS, *_FUNCTIONS)
"""Options that are objects, and no settings."""


def check_options(options: Mapping[str, Any]) -> None:
    """Raise a SettingError for an option that is unknown, or whose value is not allowed."""
    _settings(options)
    for name, method in _METHODS.items():
        given = options.get(name)
        if given is not None and not callable(getattr(given, method, None)):
            raise SettingError(f"{name} is {_short(given)}; allowed is what has a method {method}()")
    for name in _FUNCTIONS:
        given = options.get(name)
        if given is not None and not callable(given):
            raise SettingError(f"{name} is {_short(given)}; allowed is a function")


def is_wanted(options: Mapping[str, Any]) -> bool:
    """Whether the switches of features let DuckDB be instrumented."""
    return _settings(options).analytics


def _settings(options: Mapping[str, Any]) -> Settings:
    return Settings.load({name: value for name, value in options.items() if name not in PROVIDED})


def check_connection(connection: object) -> None:
    """Raise a TypeError for what is no connection of DuckDB."""
    import duckdb  # noqa: PLC0415 - only a program that uses DuckDB pays for its import

    if not isinstance(connection, duckdb.DuckDBPyConnection):
        raise TypeError(
            f"the connection is {_short(connection)}, a {type(connection).__qualname__}; "
            "give what duckdb.connect() returns"
        )


def _short(value: object) -> str:
    return printable(reprlib.repr(value))
