"""The point query by SQLAlchemy; of its own module, for not every environment has what it imports."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from duckdb_engine import ConnectionWrapper
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
from variants import QUERY, Providers, instrumented

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import duckdb


@contextmanager
def through_sqlalchemy(
    providers: Providers, con: duckdb.DuckDBPyConnection, *, ours: bool, theirs: bool
) -> Iterator[Callable[[int], Any]]:
    """The query by SQLAlchemy, while otel-duckdb is on, or the instrumentation of SQLAlchemy, or both."""
    engine = create_engine("duckdb://", creator=lambda: ConnectionWrapper(con.cursor()), poolclass=StaticPool)
    if theirs:
        SQLAlchemyInstrumentor().instrument(
            engine=engine, tracer_provider=providers.tracer, meter_provider=providers.meter
        )
    try:
        with engine.connect() as connection:

            def run(number: int) -> Any:
                return connection.exec_driver_sql(QUERY, (number,)).fetchall()

            if ours:
                with instrumented(providers, con):
                    yield run
            else:
                yield run
    finally:
        if theirs:
            SQLAlchemyInstrumentor().uninstrument()
