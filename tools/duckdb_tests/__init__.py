"""Runs DuckDB's own tests, from a checkout of its repository, to see which of their errors keep a useful message."""
