"""The names of what the monitor tells: its spans, and its audit trail."""

from __future__ import annotations

from typing import Final

SPAN_ACTION: Final = "duckdb.action"
AUDIT: Final = "duckdb.audit"
"""What the attributes of the audit trail's records begin with."""
ACTION_NAME: Final = "duckdb.action.name"
ACTION_OUTCOME: Final = "duckdb.action.outcome"
ACTION_DETAIL: Final = "duckdb.action.detail"
ACTION_RESIDENT_BEFORE: Final = "duckdb.action.resident_bytes_before"
ACTION_RESIDENT_AFTER: Final = "duckdb.action.resident_bytes_after"
