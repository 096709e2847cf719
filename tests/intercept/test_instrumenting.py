"""What is instrumented and when: all of DuckDB or one connection, once or twice, and put back as it was."""

from __future__ import annotations

import logging

import duckdb
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb import DuckDBInstrumentor


def attributes_of_duckdb():
    """Every attribute of DuckDB's module and classes, by identity."""
    owners = [duckdb, duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation]
    owners += [owner for owner in (getattr(duckdb, "Appender", None), getattr(duckdb, "Statement", None)) if owner]
    return {(owner.__name__, name): id(value) for owner in owners for name, value in vars(owner).items()}


class TestInstrumenting:
    def test_puts_every_attribute_back(self, telemetry):
        before = attributes_of_duckdb()
        telemetry.instrument()
        assert attributes_of_duckdb() != before
        telemetry.instrumentor.uninstrument()
        assert attributes_of_duckdb() == before

    @pytest.mark.filterwarnings("ignore")
    def test_twice_is_harmless(self, telemetry, caplog):
        telemetry.instrument().instrument()
        duckdb.connect().execute("select 1").fetchall()
        assert len(telemetry.spans()) == 1
        caplog.clear()

    def test_hears_connections_made_before(self, telemetry, tmp_path):
        connection = duckdb.connect(str(tmp_path / "earlier.db"))
        relation = connection.sql("select 1 as one")
        telemetry.instrument()
        connection.execute("select 42").fetchall()
        relation.fetchall()
        assert [span.attributes["db.namespace"] for span in telemetry.spans()] == ["earlier", "earlier"]

    def test_one_connection_leaves_the_others_alone(self, telemetry):
        one, other = duckdb.connect(), duckdb.connect()
        DuckDBInstrumentor().instrument_connection(
            one,
            tracer_provider=telemetry.tracer_provider,
            meter_provider=telemetry.meter_provider,
            engine_metrics=False,
        )
        one.execute("select 1").fetchall()
        other.execute("select 2").fetchall()
        one.cursor().execute("select 3").fetchall()
        other.sql("select 4").fetchall()
        assert len(telemetry.spans()) == 2
        DuckDBInstrumentor().uninstrument_connection(one)
        one.execute("select 5").fetchall()
        assert len(telemetry.spans()) == 2

    def test_is_silent_where_it_is_suppressed(self, heard, connection):
        with suppress_instrumentation():
            connection.execute("select 1").fetchall()
            connection.sql("select 1").fetchall()
            duckdb.sql("select 1").df()
        assert heard.spans() == []

    def test_an_unsupported_version_patches_nothing_and_says_so_once(self, telemetry, monkeypatch, caplog):
        before = attributes_of_duckdb()
        monkeypatch.setattr(duckdb, "__version__", "1.3.2")
        with caplog.at_level(logging.WARNING):
            telemetry.instrument(skip_dep_check=True)
        monkeypatch.undo()
        assert attributes_of_duckdb() == before
        assert [record.getMessage() for record in caplog.records if "1.4, 1.5 and 2.x" in record.getMessage()]
        assert len(caplog.records) == 1
