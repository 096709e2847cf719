"""What can go wrong in a sync; every text says what happened, to which table, and what to do, in one line.

SyncError
├── SyncConfigError         also a ValueError
├── SyncBusyError
├── JournalError
├── BufferChangedError
├── UnsupportedTypeError
├── DuplicateKeyError
├── ValueRangeError
├── TargetError
│   └── TargetChangedError
└── TargetUnavailableError
"""

from __future__ import annotations

from otel_duckdb.text import printable


class SyncError(Exception):
    """A sync cannot go on; nothing was lost."""

    def __init__(self, message: str = "") -> None:
        """Tell what happened; control characters, which a server or a name may hold, are shown as escapes."""
        super().__init__(printable(message))


class SyncConfigError(SyncError, ValueError):
    """A key of the configuration is unknown, missing, or has a value that is not allowed."""


class SyncBusyError(SyncError):
    """Another sync holds this buffer."""


class JournalError(SyncError):
    """The journal in the DuckDB database is damaged, or of another program or version."""


class BufferChangedError(SyncError):
    """Rows that were already sent have been changed or deleted by others, so the position in the buffer is lost."""


class UnsupportedTypeError(SyncError):
    """A column's type has no ClickHouse type that keeps every value."""


class DuplicateKeyError(SyncError):
    """Several rows share the key of a table that has one."""


class ValueRangeError(SyncError):
    """A row holds a value that the target column cannot keep."""


class TargetError(SyncError):
    """The target refuses, and would refuse again."""


class TargetChangedError(TargetError):
    """The target no longer holds what it acknowledged, or holds rows of another source."""


class TargetUnavailableError(SyncError):
    """The target does not answer, or answered with a fault that passes; the limit of attempts or time is reached."""
