"""What can go wrong in a sync; every text says what happened, to which table, and what to do."""

from __future__ import annotations


class SyncError(Exception):
    """A sync cannot go on; nothing was lost."""


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


class TargetUnavailableError(SyncError):
    """The target does not answer, or answered with a fault that passes; the limit of attempts or time is reached."""
