"""Hears every DuckDB call and changes none."""
