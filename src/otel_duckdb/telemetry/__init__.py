"""What this package needs of OpenTelemetry; it knows nothing of DuckDB."""
