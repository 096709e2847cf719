"""The monitor's HTTP API: JSON for whoever may read, and for the command line."""

from otel_duckdb.monitor.api.server import ApiServer

__all__ = ["ApiServer"]
