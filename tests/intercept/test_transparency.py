"""What a program could notice of the instrumentation, and does not."""

from __future__ import annotations

import importlib
import inspect
import pickle
import subprocess
import sys
import traceback
import warnings
import weakref
from pathlib import Path

import duckdb
import pandas as pd
import pytest

import otel_duckdb
from otel_duckdb import DuckDBInstrumentor

OLD = int(duckdb.__version__.partition(".")[0]) < 2
OURS = str(Path(otel_duckdb.__file__).parent)


@pytest.fixture
def connection(heard):
    connection = duckdb.connect()
    connection.execute("create table t as select 1 as i")
    heard.clear()
    return connection


def public(owner):
    return [name for name in vars(owner) if not name.startswith("__") and callable(getattr(owner, name))]


def picklable(owner):
    found = set()
    for name in public(owner):
        value = getattr(owner, name)
        try:
            if pickle.loads(pickle.dumps(value)) is value:
                found.add(name)
        except (TypeError, pickle.PicklingError, AttributeError):
            continue
    return found


class TestPickles:
    @pytest.mark.parametrize("owner", [duckdb, duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation])
    def test_what_pickles_plain_pickles_instrumented(self, telemetry, owner):
        before = picklable(owner)
        telemetry.instrument()
        assert before <= picklable(owner)

    def test_unpickle_to_the_function_of_the_other_process(self, heard):
        code = "import pickle, sys, duckdb; print(pickle.load(sys.stdin.buffer) is duckdb.sql)"
        done = subprocess.run(
            [sys.executable, "-c", code], input=pickle.dumps(duckdb.sql), check=False, capture_output=True
        )
        assert done.stdout.strip() == b"True", done.stderr

    def test_of_the_plain_process_are_the_replacement_in_an_instrumented_one(self):
        code = """
import pickle, sys, duckdb
dumped = pickle.dumps(duckdb.sql)
from otel_duckdb import DuckDBInstrumentor
DuckDBInstrumentor().instrument()
print(pickle.loads(dumped) is duckdb.sql or pickle.loads(dumped).__name__)
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.stdout.strip() in ("True", "sql", "module_sql"), done.stderr

    def test_by_cloudpickle_are_references_too(self, heard):
        cloudpickle = pytest.importorskip("cloudpickle", reason="cloudpickle is not installed")
        assert cloudpickle.loads(cloudpickle.dumps(duckdb.sql)) is duckdb.sql


class TestAttributes:
    @pytest.mark.parametrize("listens", [False, True])
    def test_a_function_of_duckdb_is_no_method_of_a_class_that_has_it_for_an_attribute(self, telemetry, listens):
        is_function_of_python = inspect.isfunction(duckdb.sql)
        # Others may have left a wrapper of their own there, which is a method.
        connects_itself = not hasattr(type(duckdb.connect), "__get__")
        if listens:
            telemetry.instrument()

        class Repository:
            connect = duckdb.connect
            sql = duckdb.sql
            execute = duckdb.DuckDBPyConnection.execute

        with Repository().connect(":memory:") if connects_itself else Repository.connect(":memory:") as connection:
            assert connection.execute("select 1").fetchall() == [(1,)]
            assert Repository.execute(connection, "select 2").fetchall() == [(2,)]
        if not is_function_of_python:
            assert Repository().sql("select 3").fetchall() == [(3,)]
        assert inspect.isroutine(Repository.connect) or not listens
        with pytest.raises(TypeError):
            Repository().execute("select 4")

    @pytest.mark.parametrize("owner", [duckdb, duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation])
    def test_of_the_original_are_those_of_the_replacement(self, telemetry, owner):
        originals = {name: getattr(owner, name) for name in public(owner)}
        unseen = {"__vectorcalloffset__"}  # a property of a C type, that no program reads
        before = {
            name: {attribute for attribute in dir(value) if hasattr(value, attribute)} - unseen
            for name, value in originals.items()
        }
        telemetry.instrument()
        lacking = {
            name: missing
            for name, attributes in before.items()
            if (missing := {attribute for attribute in attributes if not hasattr(getattr(owner, name), attribute)})
        }
        assert not lacking

    def test_names_of_one_function_stay_names_of_one_function(self, telemetry):
        def same():
            return {
                (owner.__name__, one, other)
                for owner in (duckdb, duckdb.DuckDBPyConnection)
                for one in ("sql", "query", "from_query")
                for other in ("sql", "query", "from_query")
                if getattr(owner, one) is getattr(owner, other)
            }

        before = same()
        telemetry.instrument()
        assert same() == before


class TestTracebacks:
    @pytest.mark.parametrize(
        "call",
        [
            lambda con: con.execute("select * from missing"),
            lambda con: con.executemany("insert into missing values (?)", [[1]]),
            lambda con: con.sql("select * from missing"),
            lambda con: duckdb.sql("select * from missing"),
            lambda con: con.execute("select 1").fetchmany("many"),
            lambda con: con.execute("select 1").fetchone("more"),
            lambda con: con.sql("select 1").filter("missing = 1").fetchall(),
            lambda con: con.append("missing", pd.DataFrame({"i": [1]})),
            lambda con: duckdb.connect("/missing/folder/file.db"),
            lambda con: con.execute("select error('x') from t").fetchall(),
        ],
    )
    def test_name_no_frame_of_ours(self, connection, call):
        with pytest.raises((duckdb.Error, TypeError)) as caught:
            call(connection)
        files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
        assert not [file for file in files if file.startswith(OURS) or file == "<otel_duckdb>"]

    def test_inside_a_function_of_the_user_s_are_as_without_us(self, connection):
        inner = duckdb.connect()

        def failing(value: int) -> int:
            return inner.execute("select * from missing").fetchone()

        connection.create_function("failing", failing, [int], int)
        with pytest.raises(duckdb.Error) as caught:
            connection.execute("select failing(i) from t").fetchall()
        assert "otel_duckdb" not in str(caught.value)


class TestNamesImportedBefore:
    def test_are_told_of_once(self):
        code = """
import logging, sys, types
logging.basicConfig(format="%(message)s")
import duckdb
program, program_late = types.ModuleType("program"), types.ModuleType("program_late")
sys.modules.update(program=program, program_late=program_late)
exec("from duckdb import execute, sql, connect", vars(program))
from otel_duckdb import DuckDBInstrumentor
for _ in range(3):
    DuckDBInstrumentor().instrument()
    DuckDBInstrumentor().uninstrument()
exec("from duckdb import execute as run", vars(program))
exec("from duckdb import execute", vars(program_late))
DuckDBInstrumentor().instrument()
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        lines = [line for line in done.stderr.splitlines() if "program" in line]
        assert len(lines) == 2, done.stderr
        assert "program.execute" in lines[0]
        assert "program.run" in lines[1]
        assert "program_late.execute" in lines[1]
        assert "program.execute" not in lines[1]
        assert "instrument()" in lines[0]

    def test_nothing_is_told_where_there_are_none(self):
        code = """
import logging
logging.basicConfig(format="%(message)s")
import duckdb
from otel_duckdb import DuckDBInstrumentor
DuckDBInstrumentor().instrument()
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        assert done.stderr == ""


class TestReload:
    def test_of_duckdb_is_heard_on(self, telemetry):
        original = duckdb.execute
        telemetry.instrument()
        importlib.reload(duckdb)
        duckdb.execute("select 1 as after_reload").fetchall()
        assert "after_reload" in telemetry.span().attributes["db.query.text"]
        telemetry.instrumentor.uninstrument()
        assert duckdb.execute is original


class TestOtherWrappers:
    def test_of_a_third_party_see_none_of_our_statements(self, telemetry):
        seen = []
        original = duckdb.DuckDBPyConnection.execute

        def execute(self, *arguments, **keywords):
            seen.append(arguments)
            return original(self, *arguments, **keywords)

        execute.__wrapped__ = original
        duckdb.DuckDBPyConnection.execute = execute
        try:
            connection = duckdb.connect()
            telemetry.instrument(engine_metrics=True)
            connection.execute("select 1").fetchall()
            telemetry.reader.get_metrics_data()
            assert [arguments[0] for arguments in seen] == ["select 1"]
            telemetry.instrumentor.uninstrument()
            assert duckdb.DuckDBPyConnection.execute is execute
        finally:
            duckdb.DuckDBPyConnection.execute = original


class TestWarningsAsErrors:
    @pytest.mark.parametrize("name", ["fetch_arrow_table", "fetch_record_batch", "fetch_arrow_reader", "arrow", "pl"])
    def test_of_deprecated_fetches_are_the_program_s_alone(self, heard, name):
        connection = duckdb.connect()
        if not hasattr(connection, name):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for make in (lambda: connection.execute("select 1"), lambda: connection.sql("select 1")):
                try:
                    getattr(make(), name)()
                except (DeprecationWarning, UserWarning, SystemError, duckdb.Error):
                    continue
        assert heard.faults() == 0


class TestInstrumenting:
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


class TestUninstrument:
    def test_works_any_number_of_times_while_streams_are_held(self, telemetry):
        before = duckdb.DuckDBPyConnection.execute
        held = []
        for _ in range(3):
            telemetry.instrument()
            connection = duckdb.connect()
            relation = connection.sql("select * from range(500000)")
            make = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
            held.append(make(2000))
            held[-1].read_next_batch()
            telemetry.instrumentor.uninstrument()
            assert duckdb.DuckDBPyConnection.execute is before
        assert len(telemetry.spans()) == 3
        assert {reader.read_all().num_rows for reader in held} in ({498_000}, {497_952})
        assert telemetry.faults() == 0


def test_instrumentor_is_a_singleton_as_opentelemetry_s_are():
    assert DuckDBInstrumentor() is DuckDBInstrumentor()
