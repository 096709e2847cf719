"""A fault of a hook, of an exporter or of the SDK leaves the program's result, and is counted."""

from __future__ import annotations

import duckdb
import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter


class TestFaults:
    def test_of_hooks_leave_the_result_and_are_counted(self, telemetry, caplog):
        def raising(span, operation):
            raise KeyError(operation.text)

        telemetry.instrument(request_hook=raising, response_hook=raising)
        assert duckdb.connect().execute("select 1").fetchall() == [(1,)]
        assert telemetry.faults() == 2
        assert len(caplog.records) == 1
        assert len(telemetry.spans()) == 1

    def test_hooks_see_the_operation(self, telemetry):
        seen = []
        telemetry.instrument(
            request_hook=lambda span, operation: span.set_attribute("asked", operation.text),
            response_hook=lambda span, operation: seen.append((operation.name, operation.rows, operation.error)),
        )
        duckdb.connect().execute("select 7").fetchall()
        assert telemetry.span().attributes["asked"] == "select 7"
        assert seen == [(None, 1, None)]

    def test_of_an_exporter_leave_the_result(self, telemetry, caplog):
        class Raising(SpanExporter):
            def export(self, spans):
                raise OSError("disk full")

        telemetry.tracer_provider.add_span_processor(SimpleSpanProcessor(Raising()))
        telemetry.instrument()
        assert duckdb.connect().execute("select 1").fetchall() == [(1,)]
        assert len(telemetry.spans()) == 1

    def test_of_a_tracer_leave_the_result_and_are_counted(self, telemetry, monkeypatch, caplog):
        telemetry.instrument()
        connection = duckdb.connect()
        monkeypatch.setattr("opentelemetry.sdk.trace.Tracer.start_span", lambda *_, **__: 1 / 0)
        assert connection.execute("select 1").fetchall() == [(1,)]
        assert connection.sql("select 1").fetchall() == [(1,)]
        with pytest.raises(duckdb.CatalogException):
            connection.execute("select * from missing")
        assert telemetry.faults() >= 3
