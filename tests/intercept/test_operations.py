"""When an operation is current, when it ends, what it measures, and what reaches it from threads and processes."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import logging
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time
import traceback
import weakref

import duckdb
import pytest
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace.export import SpanExporter

from otel_duckdb import DuckDBInstrumentor

NEW = int(duckdb.__version__.split(".")[0]) >= 2
SCAN = "select i from range(1000000) r(i)"


@pytest.fixture
def connection(heard):
    connection = duckdb.connect()
    yield connection
    connection.close()


def rows_of(span):
    return span.attributes.get("db.response.returned_rows")


def attributes_of_duckdb():
    """Every attribute of DuckDB's module and classes, by identity."""
    owners = [duckdb, duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation]
    owners += [owner for owner in (getattr(duckdb, "Appender", None), getattr(duckdb, "Statement", None)) if owner]
    return {(owner.__name__, name): id(value) for owner in owners for name, value in vars(owner).items()}


class TestCurrentSpan:
    @pytest.fixture
    def inside(self, heard, connection):
        """The spans that were current while a Python function ran inside DuckDB."""
        current = []

        def look(value):
            current.append(trace.get_current_span().get_span_context().span_id)
            return value

        connection.create_function("look", look, ["BIGINT"], "BIGINT")
        heard.clear()
        return current

    def test_is_the_operation_while_duckdb_executes(self, heard, connection, inside):
        connection.execute("set threads=1").execute("create table made as select look(i) from range(3) r(i)")
        assert set(inside) == {heard.spans()[-1].context.span_id}

    def test_is_the_operation_while_duckdb_fetches(self, heard, connection, inside):
        connection.execute("set threads=1").execute("select look(i) from range(100000) r(i)")
        inside.clear()
        connection.fetchmany(10)
        assert not trace.get_current_span().get_span_context().is_valid
        while connection.fetchmany(20000):
            pass
        assert set(inside) <= {heard.spans()[-1].context.span_id}

    def test_is_the_caller_s_again_after_an_error(self, heard, connection):
        with heard.tracer().start_as_current_span("program") as program:
            with pytest.raises(duckdb.CatalogException):
                connection.execute("select * from missing")
            assert trace.get_current_span() is program
        assert heard.span().parent.span_id == program.get_span_context().span_id


class TestTimes:
    def test_an_aggregate_s_time_is_in_execute_and_the_caller_s_own_time_is_in_neither(self, heard, connection):
        connection.execute("select sum(sqrt(i)) from range(3000000) r(i)")
        time.sleep(0.3)
        connection.fetchall()
        attributes = heard.span().attributes
        assert attributes["duckdb.execute_time_ms"] > attributes["duckdb.fetch_time_ms"]
        [point] = [
            each for each in heard.points("duckdb_query_latency_ms") if each.attributes["query_type"] == "SELECT"
        ]
        assert point.sum == pytest.approx(attributes["duckdb.execute_time_ms"] + attributes["duckdb.fetch_time_ms"])

    def test_a_scan_s_time_is_in_the_fetch(self, heard, connection):
        connection.execute(SCAN)
        connection.df()
        attributes = heard.span().attributes
        assert attributes["duckdb.fetch_time_ms"] > attributes["duckdb.execute_time_ms"]

    def test_a_span_ends_with_the_last_call_that_served_it(self, heard, connection):
        connection.execute(SCAN)
        connection.fetchmany(10)
        before = time.time_ns()
        time.sleep(0.05)
        connection.execute("select 1").fetchall()
        first = heard.spans()[0]
        assert first.end_time <= before + 5_000_000

    def test_a_long_fetchone_loop_is_counted_exactly_and_timed_fairly(self, heard, connection):
        connection.execute("select i from range(100000) r(i)")
        before, count = time.perf_counter_ns(), 0
        while connection.fetchone() is not None:
            count += 1
        took = (time.perf_counter_ns() - before) / 1e6
        span = heard.span()
        assert rows_of(span) == count == 100_000
        assert took * 0.2 < span.attributes["duckdb.fetch_time_ms"] < took * 2


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
    def test_at_exit_of_the_process(self, tmp_path, hold):
        printed = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(body=f"q = {SCAN!r}\n{hold}")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert printed.stderr == ""
        assert "SELECT" in printed.stdout

    @pytest.mark.parametrize("first", ["instrument()", "the SDK"])
    def test_at_exit_whichever_came_first(self, first):
        instrument = "DuckDBInstrumentor().instrument(engine_metrics=False)"
        sdk = textwrap.dedent("""
            from opentelemetry import trace
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            provider = TracerProvider()
            provider.add_span_processor(BatchSpanProcessor(Printing()))
            trace.set_tracer_provider(provider)
        """)
        steps = [instrument, sdk] if first == "instrument()" else [sdk, instrument]
        head = PROGRAM.partition("provider = ")[0]
        body = "\n".join([head, *steps, "con = duckdb.connect()", f"con.execute({SCAN!r}).fetchone()"])
        printed = subprocess.run([sys.executable, "-c", body], capture_output=True, text=True, check=True)
        assert printed.stderr == ""
        assert "SELECT" in printed.stdout


PROGRAM = textwrap.dedent(
    """
    import duckdb
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
    from otel_duckdb import DuckDBInstrumentor
    class Printing(SpanExporter):
        def export(self, spans):
            print(*(span.name for span in spans), flush=True)
            return SpanExportResult.SUCCESS
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(Printing()))
    DuckDBInstrumentor().instrument(tracer_provider=provider, engine_metrics=False)
    con = duckdb.connect()
    {body}
    """
).replace("    {body}", "{body}")


class TestErrors:
    def test_that_come_late_are_the_operation_s_and_have_duckdb_s_class(self, heard, connection):
        connection.execute(
            "create table t as select case when i < 90000 then i::varchar else 'x' end s from range(99999) r(i)"
        )
        with pytest.raises(duckdb.Error):  # noqa: PT012 - DuckDB 1 may raise at the execute already
            connection.execute("select s::int from t")
            while connection.fetchmany(1000):
                pass
        span = heard.spans()[-1]
        assert span.name == "SELECT t"
        assert span.attributes["error.type"] == "ConversionException"
        assert span.status.status_code is trace.StatusCode.ERROR
        assert span.events[0].name == "exception"

    def test_of_a_wrong_argument_leave_the_result_open(self, heard, connection):
        connection.execute(SCAN)
        with pytest.raises(TypeError):
            connection.fetchmany("x")
        assert len(connection.fetchmany(3)) == 3
        assert heard.spans() == []

    def test_can_be_pickled_and_copied_as_before(self, heard, connection):
        with pytest.raises(duckdb.CatalogException) as caught:
            connection.execute("select * from missing")
        for same in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
            assert type(same) is duckdb.CatalogException
            assert str(same) == str(caught.value)

    @pytest.mark.parametrize("text", ["drop table missing", "selec", "select * from missing"])
    def test_keep_nothing_alive_in_our_frames(self, heard, connection, text):
        with pytest.raises(duckdb.Error) as caught:
            connection.execute(text)
        frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__.tb_next)]
        assert not [frame for frame in frames if "_otel_arguments" in frame.f_locals]

    @pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to a process alone")
    @pytest.mark.skipif(NEW, reason="DuckDB 2 itself looks for signals only now and then, and not in every plan")
    def test_interrupts_reach_the_program(self):
        # A process of its own: DuckDB 1 may go on in its threads, and would not let the connection close.
        body = textwrap.dedent(
            """
            import os, signal, threading
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try:
                con.execute("select sum(sqrt(i)) from range(100000000000) a(i)").fetchall()
            except (KeyboardInterrupt, RuntimeError):
                print("interrupted", flush=True)
            os._exit(0)
            """
        )
        printed = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True, check=True, timeout=60
        )
        assert printed.stdout.split() == ["SELECT", "interrupted"]


class TestThreads:
    def test_each_with_a_cursor_of_its_own_keep_apart(self, heard, connection):
        def work(number):
            cursor = connection.cursor()
            with heard.tracer().start_as_current_span(f"thread {number}"):
                for _ in range(20):
                    cursor.execute(f"select i as c{number} from range(100) r(i)").fetchall()

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(heard.spans()) == 80
        assert {rows_of(span) for span in heard.spans()} == {100}
        assert all(span.parent is not None for span in heard.spans())

    def test_of_asyncio_have_the_task_s_span_as_parent(self, heard, connection):
        async def main():
            with heard.tracer().start_as_current_span("task") as task:
                await asyncio.to_thread(lambda: connection.execute("select 1").fetchall())
            return task

        task = asyncio.run(main())
        assert heard.span().parent.span_id == task.get_span_context().span_id

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_forked_child_works(self, heard):
        child = os.fork()
        if child == 0:
            try:
                rows = duckdb.connect().execute("select 42").fetchall()
                os._exit(0 if rows == [(42,)] and len(heard.spans()) == 1 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


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

    def test_leaves_signatures_names_and_documentation(self, telemetry):
        methods = [
            (owner, name)
            for owner in (duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation, duckdb)
            for name in vars(owner)
            if not name.startswith("_") and inspect.isroutine(getattr(owner, name))
        ]

        def told():
            found = {}
            for owner, name in methods:
                value = getattr(owner, name)
                try:
                    signature = str(inspect.signature(value))
                except ValueError:
                    signature = "none"
                found[owner.__name__, name] = (value.__name__, value.__doc__, signature)
            return found

        before = told()
        telemetry.instrument()
        assert told() == before

    def test_leaves_classes_weak_references_and_hashes(self, heard, connection):
        assert type(connection) is duckdb.DuckDBPyConnection
        assert isinstance(connection.sql("select 1"), duckdb.DuckDBPyRelation)
        assert weakref.ref(connection)() is connection
        assert hash(connection) == hash(connection.execute("select 1"))
        assert connection.execute("select 1") is connection


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

        from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: PLC0415 - of this test alone

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


class TestReplacementScans:
    def test_find_the_caller_s_variables(self, heard, connection):
        import pandas as pd  # noqa: PLC0415 - of this test alone

        local_frame = pd.DataFrame({"i": [1, 2]})
        assert connection.execute("select count(*) from local_frame").fetchall() == [(2,)]
        assert connection.sql("select * from local_frame").fetchall() == [(1,), (2,)]
        assert duckdb.sql("select * from local_frame").fetchall() == [(1,), (2,)]
        assert [connection.execute(text).fetchone() for text in ["select 1"]] == [(1,)]
        del local_frame

    def test_of_scripts_run_each_statement_once(self, heard, connection):
        import pandas as pd  # noqa: PLC0415 - of this test alone

        connection.execute("create table u (i bigint)")
        local_frame = pd.DataFrame({"i": [1, 2]})
        connection.execute("insert into u values (9); insert into u select * from local_frame")
        with pytest.raises(duckdb.CatalogException):
            connection.execute("insert into u values (10); select * from missing")
        assert connection.execute("select i from u order by i").fetchall() == [(1,), (2,), (9,), (10,)]
        del local_frame

    def test_keep_no_variable_alive_longer_than_duckdb_does(self, heard, connection):
        class Kept:
            pass

        def query():
            kept = Kept()
            reference = weakref.ref(kept)
            connection.execute("select 1 as kept; select 2 as kept").fetchall()
            connection.sql("select 42").fetchall()
            del kept
            return reference()

        assert query() is None
