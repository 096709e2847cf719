"""Copies a DuckDB buffer to ClickHouse: exactly once, retried, traced."""

from otel_duckdb.signals.sync import trace_sync
from otel_duckdb.sync.config import Config, Limits, Retry, Table, Target, load
from otel_duckdb.sync.errors import (
    BufferChangedError,
    DuplicateKeyError,
    JournalError,
    SyncBusyError,
    SyncConfigError,
    SyncError,
    TargetError,
    TargetUnavailableError,
    UnsupportedTypeError,
    ValueRangeError,
)
from otel_duckdb.sync.runner import Sync, TableReport
from otel_duckdb.sync.status import TableStatus, read_status

__all__ = [
    "BufferChangedError",
    "Config",
    "DuplicateKeyError",
    "JournalError",
    "Limits",
    "Retry",
    "Sync",
    "SyncBusyError",
    "SyncConfigError",
    "SyncError",
    "Table",
    "TableReport",
    "TableStatus",
    "Target",
    "TargetError",
    "TargetUnavailableError",
    "UnsupportedTypeError",
    "ValueRangeError",
    "load",
    "read_status",
    "trace_sync",
]
