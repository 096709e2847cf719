"""What was sampled, for a day: fine for an hour, coarser the older it is."""

from otel_duckdb.monitor.history.history import History

__all__ = ["History"]
