"""Runs random programs that use DuckDB, and writes down all that a user could see, to compare two runs of one."""
