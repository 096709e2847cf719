"""DuckDB's own methods, below whatever wraps them: what we ask of DuckDB is nobody's call."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from duckdb import DuckDBPyConnection


@dataclass(frozen=True, slots=True)
class Methods:
    """The connection's own methods, as they were before anything was patched."""

    cursor: Callable[[DuckDBPyConnection], DuckDBPyConnection]
    execute: Callable[[DuckDBPyConnection, str], Any]
    fetchall: Callable[[DuckDBPyConnection], list[tuple[Any, ...]]]
    close: Callable[[DuckDBPyConnection], None]

    @classmethod
    def of(cls, connection_class: type[DuckDBPyConnection]) -> Methods:
        """Take the methods from the class, from below whatever wrappers it has."""
        names = ("cursor", "execute", "fetchall", "close")
        return cls(*(inspect.unwrap(vars(connection_class)[name]) for name in names))
