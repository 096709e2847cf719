"""OpenTelemetry instrumentation for DuckDB."""

from otel_duckdb.core.operation import Operation
from otel_duckdb.instrumentor import DuckDBInstrumentor
from otel_duckdb.settings import SettingError, Settings
from otel_duckdb.statement import Statement

__all__ = ["DuckDBInstrumentor", "Operation", "SettingError", "Settings", "Statement"]
