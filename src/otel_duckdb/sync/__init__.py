"""Copies the tables of a DuckDB buffer to ClickHouse, exactly once, retried and traced."""
