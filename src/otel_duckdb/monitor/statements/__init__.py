"""Statistics of statements: what pg_stat_statements is to PostgreSQL."""

from otel_duckdb.monitor.statements.statistics import Statements

__all__ = ["Statements"]
