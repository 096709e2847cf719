"""The commands of `otel-duckdb`: a module here is a command of its name, with a click command named `command`."""
