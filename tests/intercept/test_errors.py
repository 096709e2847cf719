"""An error of DuckDB's is the operation's and reaches the program as it was; our frames keep nothing of it alive."""

from __future__ import annotations

import copy
import pickle
import sys
import traceback

import duckdb
import pytest
from opentelemetry import trace

NEW = int(duckdb.__version__.split(".")[0]) >= 2
SCAN = "select i from range(1000000) r(i)"


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
    def test_interrupts_reach_the_program(self, run_program):
        # A process of its own: DuckDB 1 may go on in its threads, and would not let the connection close.
        body = """
        import os, signal, threading
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            con.execute("select sum(sqrt(i)) from range(100000000000) a(i)").fetchall()
        except (KeyboardInterrupt, RuntimeError):
            print("interrupted", flush=True)
        os._exit(0)
        """
        printed = run_program(body, timeout=60)
        assert printed.stdout.split() == ["SELECT", "interrupted"]
