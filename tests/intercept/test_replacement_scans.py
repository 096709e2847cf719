"""DuckDB finds the caller's variables as without us, runs nothing twice for it, and keeps none alive."""

from __future__ import annotations

import warnings
import weakref

import duckdb
import pandas as pd
import pytest


class TestReplacementScans:
    def test_a_function_in_a_table_function_s_arguments_runs_once(self, connection):
        calls = []

        def charge(amount: int) -> int:
            calls.append(amount)
            return amount

        connection.create_function("charge", charge, [int], int, side_effects=True)
        with pytest.raises(duckdb.Error):
            connection.execute("select * from range(charge(2)), missing")
        assert len(calls) == 1
        frame = pd.DataFrame({"i": [1]})
        connection.execute("select * from range(charge(2)), frame").fetchall()
        assert len(calls) == 2
        del frame

    def test_a_function_made_before_we_listened_runs_once_too(self, telemetry):
        calls = []

        def charge(amount: int) -> int:
            calls.append(amount)
            return amount

        def number_of_calls(connection):
            calls.clear()
            frame = pd.DataFrame({"i": [1]})
            connection.execute("select * from range(charge(2)), frame").fetchall()
            connection.sql("select * from frame, range(charge(2))").fetchall()
            del frame
            return len(calls)

        connection = duckdb.connect()
        connection.create_function("charge", charge, [int], int, side_effects=True)
        before = number_of_calls(connection)
        telemetry.instrument()
        assert number_of_calls(connection) == before

    def test_a_sequence_in_a_table_function_s_arguments_moves_once(self, telemetry):
        def moves():
            connection = duckdb.connect()
            connection.execute("create sequence s")
            frame = pd.DataFrame({"i": [1]})
            connection.execute("select * from range(nextval('s')), frame").fetchall()
            del frame
            return connection.execute("select nextval('s')").fetchone()

        before = moves()
        telemetry.instrument()
        assert moves() == before

    @pytest.mark.parametrize(
        "query",
        [
            "with frame as (select i + 1 as i from frame) select * from frame",
            "select * from frame",
            'select * from "frame"',
            "from frame select i",
            "summarize frame",
            "describe frame",
            "pivot frame on i using count(*)",
            "select * from query_table('frame')",
            "select * from query_table(['frame'])",
            "select * from query('select * from frame')",
            "select (select max(i) from frame)",
            "with x as (select * from frame) select * from x",
            "insert into t select i from frame",
            "update t set i = frame.i from frame",
            "delete from t using frame where t.i = frame.i",
            "explain select * from frame",
            "create or replace table made as from frame",
            "select * from t where i in (from frame)",
            "select * from t semi join frame using (i)",
            "copy (from frame) to '/dev/null' (format csv)",
            "copy frame to '/dev/null' (format csv)",
            "prepare p as select * from frame",
        ],
    )
    def test_find_the_caller_s_variables_wherever_duckdb_looks(self, telemetry, query):
        def outcome():
            frame = pd.DataFrame({"i": [1, 2]})
            connection = duckdb.connect()
            connection.execute("create table t as select 1 as i")
            try:
                return connection.execute(query).fetchall() if "explain" not in query else "plan"
            except Exception as error:
                return type(error), str(error)
            finally:
                del frame

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = outcome()
            telemetry.instrument()
            assert outcome() == before

    def test_find_variables_that_only_the_locals_of_evaluated_code_hold(self, connection):
        names = {"connection": connection, "only_here": pd.DataFrame({"i": [5]})}
        code = "found = connection.execute('select i from only_here').fetchall()"
        exec(code, {}, names)
        assert names["found"] == [(5,)]

    def test_of_a_view_over_a_variable_find_it(self, telemetry):
        def outcome():
            frame = pd.DataFrame({"i": [1, 2]})
            connection = duckdb.connect()
            try:
                connection.execute("create view v as select * from frame")
                return connection.execute("select * from v").fetchall()
            except Exception as error:
                return type(error), str(error)
            finally:
                del frame

        before = outcome()
        telemetry.instrument()
        assert outcome() == before

    def test_find_the_caller_s_variables(self, heard, connection):
        local_frame = pd.DataFrame({"i": [1, 2]})
        assert connection.execute("select count(*) from local_frame").fetchall() == [(2,)]
        assert connection.sql("select * from local_frame").fetchall() == [(1,), (2,)]
        assert duckdb.sql("select * from local_frame").fetchall() == [(1,), (2,)]
        assert [connection.execute(text).fetchone() for text in ["select 1"]] == [(1,)]
        del local_frame

    def test_of_scripts_run_each_statement_once(self, heard, connection):
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
