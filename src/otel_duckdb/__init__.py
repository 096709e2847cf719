"""OpenTelemetry instrumentation for DuckDB."""
