"""The traces that are kept in the process: recent ones, the slowest and those that failed."""

from otel_duckdb.monitor.traces.traces import NoSuchTraceError, Traces

__all__ = ["NoSuchTraceError", "Traces"]
