"""DuckDB's profiles of queries: when they are taken, how they are read, and what is told of them."""
