"""What DuckDB does and did, kept in the process itself: history, statements, alerts, actions; no collector needed."""

from otel_duckdb.monitor.monitor import Monitor

__all__ = ["Monitor"]
