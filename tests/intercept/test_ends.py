"""When an operation ends: its result was read, replaced, closed or dropped, or the process ends."""

from __future__ import annotations

import gc
import textwrap

import duckdb
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

NEW = int(duckdb.__version__.split(".")[0]) >= 2
SCAN = "select i from range(1000000) r(i)"


def rows_of(span):
    return span.attributes.get("db.response.returned_rows")


class TestEnds:
    @pytest.mark.parametrize(
        "end",
        [
            lambda con: con.execute("select 1").fetchall(),
            lambda con: con.execute("create table other (i int)"),
            lambda con: con.close(),
            lambda con: con.__exit__(None, None, None),
            *([lambda con: con.complete(), lambda con: con.abort()] if NEW else []),
        ],
    )
    def test_of_an_open_result_that_is_replaced_or_closed(self, heard, connection, end):
        connection.execute(SCAN)
        connection.fetchmany(5)
        end(connection)
        first = heard.spans()[0]
        assert rows_of(first) == 5
        assert "error.type" not in first.attributes

    def test_of_a_collected_connection(self, heard):
        connection = duckdb.connect()
        connection.execute(SCAN).fetchmany(7)
        del connection
        assert rows_of(heard.span()) == 7

    def test_of_a_connection_in_a_cycle(self, heard):
        cycle = [duckdb.connect()]
        cycle.append(cycle)
        cycle[0].execute(SCAN).fetchmany(7)
        del cycle
        gc.collect()
        with suppress_instrumentation():
            duckdb.connect().execute("select 1")
        assert rows_of(heard.span()) == 7

    def test_of_a_cursor_closed_with_its_parent(self, heard, connection):
        connection.cursor().duplicate()
        cursor = connection.cursor()
        cursor.execute(SCAN).fetchmany(3)
        connection.close()
        assert rows_of(heard.span()) == 3

    def test_of_a_reader_that_was_dropped(self, heard, connection):
        relation = connection.sql(SCAN)
        reader = relation.to_arrow_reader(1000) if hasattr(relation, "to_arrow_reader") else relation.arrow(1000)
        reader.read_next_batch()
        del reader
        assert rows_of(heard.span()) == 1000

    def test_of_a_reader_that_was_never_read(self, heard, connection):
        reader = connection.sql(SCAN).arrow()
        del reader
        assert len(heard.spans()) == (1 if NEW or duckdb.__version__ >= "1.4" else 0)

    def test_at_uninstrument_and_live_connections_are_heard_no_more(self, heard, connection):
        connection.execute(SCAN).fetchmany(4)
        heard.instrumentor.uninstrument()
        assert rows_of(heard.span()) == 4
        assert len(connection.fetchmany(4)) == 4
        connection.execute("select 1").fetchall()
        assert len(heard.spans()) == 1

    @pytest.mark.parametrize(
        "hold",
        ["con.execute(q); con.fetchmany(2)", "import pyarrow; reader = con.sql(q).arrow(); reader.read_next_batch()"],
    )
    def test_at_exit_of_the_process(self, run_program, hold):
        printed = run_program(f"q = {SCAN!r}\n{hold}")
        assert printed.stderr == ""
        assert "SELECT" in printed.stdout

    @pytest.mark.parametrize("first", ["instrument()", "the SDK"])
    def test_at_exit_whichever_came_first(self, run_program, first):
        instrument = "DuckDBInstrumentor().instrument(engine_metrics=False)"
        sdk = textwrap.dedent("""
            from opentelemetry import trace
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            provider = TracerProvider()
            provider.add_span_processor(BatchSpanProcessor(Printing()))
            trace.set_tracer_provider(provider)
        """)
        steps = [instrument, sdk] if first == "instrument()" else [sdk, instrument]
        body = "\n".join([*steps, "con = duckdb.connect()", f"con.execute({SCAN!r}).fetchone()"])
        printed = run_program(body, instrumented=False)
        assert printed.stderr == ""
        assert "SELECT" in printed.stdout
