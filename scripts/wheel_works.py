"""Says what an installed wheel can do, and fails where it lacks a C module or a file: run it outside the clone."""

import importlib
from importlib import metadata, resources

import duckdb

from otel_duckdb import DuckDBInstrumentor


def main() -> None:
    """Import every C module, and run a query that is instrumented."""
    files = [str(file) for file in metadata.files("otel-duckdb") or ()]
    sources = [file for file in files if file.endswith(".pyi")]
    for file in sources:
        importlib.import_module(file.removesuffix(".pyi").replace("/", "."))
    if not sources or not resources.files("otel_duckdb").joinpath("py.typed").is_file():
        raise SystemExit("wheel_works: the wheel lacks its stubs or py.typed")
    DuckDBInstrumentor().instrument()
    if duckdb.connect().execute("SELECT 42").fetchall() != [(42,)]:
        raise SystemExit("wheel_works: an instrumented query gave something else")
    print(f"otel-duckdb {metadata.version('otel-duckdb')} works with {len(sources)} C modules")


if __name__ == "__main__":
    main()
