"""The tests of exporters run with the newest DuckDB only, for nothing here depends on its version."""

import duckdb

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]
