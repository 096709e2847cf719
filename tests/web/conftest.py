"""The tests of the server run with the newest DuckDB only, for nothing here depends on it."""

import duckdb

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]
