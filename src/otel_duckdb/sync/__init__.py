"""Copies a DuckDB buffer to ClickHouse: exactly once, retried, traced.

What needs the packages of the `sync` extra is imported when it is first asked for: `trace_sync` and the configuration
do without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.installation import install_command
from otel_duckdb.sync.config import Config, Limits, Retry, Table, Target, load
from otel_duckdb.sync.errors import (
    BufferChangedError,
    DuplicateKeyError,
    JournalError,
    SyncBusyError,
    SyncConfigError,
    SyncError,
    TargetChangedError,
    TargetError,
    TargetUnavailableError,
    UnsupportedTypeError,
    ValueRangeError,
)
from otel_duckdb.sync.signals import trace_sync

if TYPE_CHECKING:
    from otel_duckdb.sync.passes import TableReport
    from otel_duckdb.sync.plan import Plan, read_plan
    from otel_duckdb.sync.runner import Sync
    from otel_duckdb.sync.status import TableStatus, read_status

_HOMES: Final = {
    "Plan": "plan",
    "Sync": "runner",
    "TableReport": "passes",
    "TableStatus": "status",
    "read_plan": "plan",
    "read_status": "status",
}

__all__ = [
    "BufferChangedError",
    "Config",
    "DuplicateKeyError",
    "JournalError",
    "Limits",
    "Plan",
    "Retry",
    "Sync",
    "SyncBusyError",
    "SyncConfigError",
    "SyncError",
    "Table",
    "TableReport",
    "TableStatus",
    "Target",
    "TargetChangedError",
    "TargetError",
    "TargetUnavailableError",
    "UnsupportedTypeError",
    "ValueRangeError",
    "load",
    "read_plan",
    "read_status",
    "trace_sync",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for from its module.

    Raises:
        ModuleNotFoundError: a package of the `sync` extra is not installed.
    """
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{__name__}.{name} needs {error.name}; run: {install_command('sync')}", name=error.name
        ) from error
