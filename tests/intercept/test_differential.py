"""The same random programs, with and without instrumentation, cannot tell which of both they ran under.

A program is data: a list of steps, each a method call on an object in a numbered place, or one of a few acts that are
no calls. An interpreter runs it and writes down all a user could see. `DIFFERENTIAL_SECONDS` sets how long
programs are made and run, and `DIFFERENTIAL_SEED` where they start.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import random
import re
import shutil
import time
import warnings
import weakref

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import psutil
import pyarrow as pa
import pytest
from opentelemetry import trace

SECONDS = float(os.environ.get("DIFFERENTIAL_SECONDS", "3"))
FIRST_SEED = int(os.environ.get("DIFFERENTIAL_SEED", "1"))
LENGTH = 40
PROCESS = psutil.Process()
ROWS = 5000
GENERATION = int(duckdb.__version__.split(".")[0])

TEXTS = (
    "select 42 as a",
    "select 42 as a",
    "select * from t",
    "select * from t",
    "select i from t order by i limit 5",
    "select count(*), max(s) from t",
    "select cast(s as int) from t",
    "select twice(i) from t limit 3",
    "select twice(i) from t",
    "select fails(i) from t",
    "from u",
    "insert into u values (1, 'x')",
    "insert into u select * from t limit 3 returning i",
    "insert into p values (1)",
    "update u set i = i + 1",
    "delete from u where i = 2",
    "create or replace table v as select 1 as one",
    "create table v as select 1 as one",
    "drop table if exists v",
    "select * from local_frame",
    "select * from local_arrow where i > 1",
    "with x as (select * from local_frame) select * from x",
    "insert into u select * from local_frame",
    "select * from missing",
    "select * from t where i in (select i from missing)",
    "selec 1",
    "",
    ";",
    "-- nothing",
    "begin",
    "commit",
    "rollback",
    "abort",
    *(["checkpoint"] if GENERATION > 1 else []),  # DuckDB 1 waits for ever where a result is open
    "insert into u values (7, 'm'); select * from u",
    "insert into u values (8, 'n'); select * from local_frame",
    "insert into u values (9, 'o'); select * from missing",
    "select 1; select 2 as b",
    "select 1; selec 2",
    "pragma table_info('t')",
    "describe t",
    "show tables",
    "explain select * from t",
    "select count(*) from duckdb_settings()",
    "prepare q as select ?::int",
    "execute q(5)",
    "pivot u on i using count(*)",
    "attach ':memory:' as other",
    "detach other",
    "select 'it''s' as q, $$dollar$$ as d, 0xff as h",
)
WITH_PARAMETERS = (
    ("select ?::int + 1 as a", [1]),
    ("select ?::int + 1 as a", (1,)),
    ("select ?::int + 1 as a", []),
    ("select ?::int + 1 as a", ["x"]),
    ("select $a::int as a", {"a": 5}),
    ("select $a::int as a", {"b": 5}),
    ("select * from t where i < ?", [3]),
    ("select * from local_frame where i > ?", [1]),
    ("insert into u values (?, ?)", [5, "five"]),
    ("insert into p values (?)", [1]),
    ("select 1", [1, 2]),
    ("select ?", [object]),
)
BATCHES = (
    ("insert into u values (?, ?)", [[1, "a"], [2, "b"]]),
    ("insert into u values (?, ?)", []),
    ("insert into u values (?, ?)", [[1], [2]]),
    ("insert into p values (?)", [[1], [1]]),
    ("select ?::int", [[1], [2]]),
    ("insert into missing values (?)", [[1]]),
)
FETCHES = (
    *["fetchone"] * 3,
    *["fetchmany"] * 2,
    *["fetchall"] * 2,
    *("fetchnumpy", "df", "fetchdf", "fetch_df", "fetch_df_chunk", "pl", "arrow", "to_arrow_table", "to_arrow_reader"),
    *("fetch_arrow_table", "fetch_record_batch", "fetch_arrow_reader", "record_batch", "torch"),
)
FETCH_ARGUMENTS = ((), (), (), (), (1,), (3,), ("x",), (1, 2, 3))
"""No batch of 0 rows: DuckDB 1 makes Arrow tables of such batches for ever."""
TERMINALS = (
    *FETCHES,
    *("show", "__repr__", "__str__", "__len__", "shape", "explain", "execute", "materialize", "to_dicts", "preview"),
    *("close", "fetchdf", "to_df", "describe", "columns", "types", "description", "__arrow_c_stream__", "iter_rows"),
)
NAMES = ("execute", "sql", "query", "from_query")


def step_of(rng):  # noqa: C901, PLR0911, PLR0912 - one branch for each kind of step is the plainest form
    """One random step."""
    kind = rng.choices(
        ("query", "parameters", "batch", "fetch", "loop", "terminal", "relation", "write", "connection", "module"),
        (22, 6, 3, 22, 3, 14, 6, 5, 7, 8),
    )[0]
    act = rng.choices(("del", "probe", "read", "appender", "keep", "wrong", "with", "alive"), (5, 4, 6, 3, 3, 3, 2, 3))[
        0
    ]
    connection, relation = f"c{rng.randrange(3)}", f"r{rng.randrange(2)}"
    site = rng.randrange(len(SITES))
    if rng.random() < 0.2:
        return (act, rng.choice((connection, relation, "s0", "a0")), rng.randrange(4))
    if kind == "query":
        name = rng.choice(NAMES)
        return ("call", connection, name, (rng.choice(TEXTS),), {}, None if name == "execute" else relation, site)
    if kind == "parameters":
        text, parameters = rng.choice(WITH_PARAMETERS)
        if rng.random() < 0.6:
            return ("call", connection, "execute", (text, parameters), {}, None, site)
        return ("call", connection, "sql", (text,), {"params": parameters}, relation, site)
    if kind == "batch":
        return ("call", connection, "executemany", rng.choice(BATCHES), {}, None, site)
    if kind == "fetch":
        target = rng.choice((connection, connection, "duckdb"))
        return ("call", target, rng.choice(FETCHES), rng.choice(FETCH_ARGUMENTS), {}, "s0", site)
    if kind == "loop":
        return ("loop", rng.choice((connection, relation)), rng.choice((10, 400, ROWS + 10)))
    if kind == "terminal":
        return ("call", relation, rng.choice(TERMINALS), rng.choice(FETCH_ARGUMENTS), {}, "s0", site)
    if kind == "relation":
        name, arguments = rng.choice(
            (
                ("filter", ("i > 2",)),
                ("limit", (5,)),
                ("project", ("i",)),
                ("aggregate", ("count(*)",)),
                ("order", ("i",)),
                ("filter", ("i in (select i from local_frame)",)),
                ("filter", ("nope = 2",)),
                ("query", ("w", "select * from w")),
                ("map", (lambda frame: frame,)),
            )
        )
        return ("call", relation, name, arguments, {}, f"r{rng.randrange(2)}", site)
    if kind == "write":
        name, arguments = rng.choice(
            (
                ("create", ("made",)),
                ("to_table", ("made",)),
                ("create_view", ("seen",)),
                ("insert_into", ("u",)),
                ("insert_into", ("missing",)),
                ("insert", ([1, "v"],)),
                ("update", ({"i": 3},)),
                ("to_csv", ("out.csv",)),
                ("write_csv", ("out.csv",)),
                ("to_parquet", ("out.parquet",)),
                ("write_parquet", ("/no/such/place/out.parquet",)),
            )
        )
        return ("call", relation, name, arguments, {}, None, site)
    if kind == "connection":
        name, arguments = rng.choice(
            (
                ("begin", ()),
                ("begin", ()),
                ("commit", ()),
                ("rollback", ()),
                ("checkpoint" if GENERATION > 1 else "rowcount", ()),
                ("cursor", ()),
                ("duplicate", ()),
                ("close", ()),
                ("interrupt", ()),
                ("append", ("u", pd.DataFrame({"i": [1], "s": ["a"]}))),
                ("append", ("missing", pd.DataFrame({"i": [1]}))),
                ("append", ("u", 5)),
                ("table", ("t",)),
                ("view", ("t",)),
                ("table", ("missing",)),
                ("complete", ()),
                ("abort", ()),
                ("description", ()),
                ("rowcount", ()),
                ("extract_statements", ("select 1; select 2",)),
                ("get_table_names", ("select * from t",)),
                ("register", ("viewed", pd.DataFrame({"i": [1]}))),
                ("values", ([1, "v"],)),
                ("__enter__", ()),
                ("read_csv", ("/no/such/file.csv",)),
                ("query_progress", ()),
            )
        )
        into = {"cursor": f"c{rng.randrange(3)}", "duplicate": f"c{rng.randrange(3)}"}.get(name)
        return ("call", connection, name, arguments, {}, into or ("r0" if name in {"table", "view"} else None), site)
    name = rng.choice(
        ("execute", "sql", "query", "executemany", "begin", "commit", "cursor", "default", "connect", "df")
    )
    if name == "default":
        return ("call", "duckdb", "set_default_connection", (f"={connection}",), {}, None, site)
    if name == "connect":
        return (
            "call",
            "duckdb",
            "connect",
            ("file.db",),
            rng.choice(({}, {"read_only": True}, {"x": 1})),
            connection,
            site,
        )
    if name == "executemany":
        return ("call", "duckdb", name, rng.choice(BATCHES), {}, None, site)
    if name in {"begin", "commit", "cursor"}:
        return ("call", "duckdb", name, (), {}, "c2" if name == "cursor" else None, site)
    if name == "df":
        return ("call", "duckdb", "df", (pd.DataFrame({"i": [1, 2]}),), {}, "r0", site)
    keywords = {"connection": f"={connection}"} if rng.random() < 0.3 else {}
    return ("call", "duckdb", name, (rng.choice(TEXTS),), keywords, None if name == "execute" else relation, site)


def program(seed):
    rng = random.Random(seed)
    return [step_of(rng) for _ in range(LENGTH)]


# The places in a program's source that a call is made from: DuckDB looks for variables in the innermost frame.


def from_function(target, name, arguments, keywords):
    local_frame = pd.DataFrame({"i": [1, 2], "s": ["one", "two"]})
    local_arrow = pa.table({"i": [1, 2, 3]})
    return take(target, name)(*arguments, **keywords), (local_frame, local_arrow)[2:]


def from_lambda(target, name, arguments, keywords):
    return (lambda local_frame: take(target, name)(*arguments, **keywords))(pd.DataFrame({"i": [3], "s": ["l"]})), ()  # noqa: PLC3002 - a lambda is what is tested


def from_comprehension(target, name, arguments, keywords):
    method = take(target, name)
    return [method(*arguments, **keywords) for local_frame in (pd.DataFrame({"i": [4], "s": ["c"]}),)][0], ()  # noqa: RUF015 - a comprehension is what is tested


def from_class_body(target, name, arguments, keywords):
    class Body:
        local_arrow = pa.table({"i": [5]})
        result = take(target, name)(*arguments, **keywords)

    result = Body.result
    del Body.result, Body.local_arrow  # a class is a cycle
    return result, ()


def from_generator(target, name, arguments, keywords):
    def generate():
        local_frame = pd.DataFrame({"i": [6], "s": ["g"]})
        yield take(target, name)(*arguments, **keywords)
        del local_frame

    return next(generate()), ()


def from_exec(target, name, arguments, keywords):
    names = {
        "call": take(target, name),
        "arguments": arguments,
        "keywords": keywords,
        "local_frame": pl.DataFrame({"i": [7]}),
    }
    exec(compile("result = call(*arguments, **keywords)", "typed.py", "exec"), names)
    return names["result"], ()


def from_closure(target, name, arguments, keywords):
    local_frame = pd.DataFrame({"i": [8], "s": ["n"]})

    def inner():
        return take(target, name)(*arguments, **keywords), local_frame is None

    return inner()[0], ()


SITES = (
    *[from_function] * 4,
    from_lambda,
    from_comprehension,
    from_class_body,
    from_generator,
    from_exec,
    from_closure,
)


def take(target, name):
    """The method; an attribute that is no method becomes one that gives the value."""
    value = getattr(target, name)
    return value if callable(value) else lambda *_arguments: value


class World:
    """Runs one program in a directory of its own and writes down what a user sees."""

    def __init__(self, directory):
        self.directory = directory
        self.path = str(directory / "file.db")
        self.places = {}
        self.references = {}
        self.seen = []

    def run(self, steps):
        os.chdir(self.directory)
        self.start()
        gc.freeze()
        gc.disable()
        try:
            for step in steps:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    outcome = self.attempt(step)
                told = [(w.category.__name__, str(w.message), w.filename, w.lineno) for w in caught]
                self.seen.append((step[:3], outcome, told))
            self.places.clear()
            self.seen.append(("end", self.probe(), self.alive()))
        finally:
            gc.enable()
            self.places.clear()
            gc.collect()
            duckdb.set_default_connection(duckdb.connect())
        return self.seen

    def start(self):
        duckdb.set_default_connection(duckdb.connect())
        shutil.copy(template(self.directory.parent.parent), self.path)
        connection = duckdb.connect(self.path)
        connection.create_function("twice", lambda i: 2 * i, ["BIGINT"], "BIGINT")
        connection.create_function("fails", fails, ["BIGINT"], "BIGINT")
        self.put("c0", connection)
        self.put("c1", connection.cursor())
        self.put("r0", connection.sql("select * from t"))

    def put(self, place, value):
        self.places[place] = value
        with contextlib.suppress(TypeError):
            self.references[place] = weakref.ref(value)

    def attempt(self, step):
        try:
            return getattr(self, step[0])(*step[1:])
        except BaseException as error:
            return self.failure(error)

    @staticmethod
    def failure(error):
        cause = error.__cause__ or error.__context__
        return ("raised", type(error), plain(str(error)), type(cause), error.__suppress_context__)

    def argument(self, value):
        if isinstance(value, str) and value.startswith("="):
            return self.places.get(value[1:])
        return self.path if value == "file.db" else value

    def target(self, place):
        return duckdb if place == "duckdb" else self.places.get(place)

    def call(self, place, name, arguments, keywords, into, site):
        target = self.target(place)
        if target is None:
            return "absent"
        arguments = tuple(self.argument(value) for value in arguments)
        keywords = {key: self.argument(value) for key, value in keywords.items()}
        result, _ = SITES[site](target, name, arguments, keywords)
        told = self.tell(result)
        if into is not None and not isinstance(result, tuple | list | dict | int | str | None):
            self.put(into, result)
        return told

    def loop(self, place, count):
        target = self.places.get(place)
        if target is None:
            return "absent"
        rows = list(itertools.takewhile(lambda row: row is not None, (target.fetchone() for _ in range(count))))
        return len(rows), rows[-1:]

    def tell(self, result):  # noqa: C901, PLR0911 - one branch for each type of result
        """What can be told of a result without changing it."""
        for place, value in self.places.items():
            if value is result:
                return ("is", place)
        if result is duckdb.default_connection() if isinstance(result, duckdb.DuckDBPyConnection) else False:
            return ("is", "default")
        kind = type(result)
        if isinstance(result, duckdb.DuckDBPyRelation):
            return (kind, result.columns, [str(column) for column in result.types], result.alias[:5])
        if isinstance(result, pa.RecordBatchReader):
            return (kind, str(result.schema))
        if isinstance(result, pa.Table):
            return (kind, str(result.schema), result.num_rows, hash(str(result.to_pydict())))
        if isinstance(result, pd.DataFrame):
            return (kind, str(result.dtypes), len(result), hash(result.to_csv()))
        if isinstance(result, pl.DataFrame):
            return (kind, str(result.schema), len(result), hash(result.write_csv()))
        if isinstance(result, dict):
            return (
                kind,
                {
                    key: (str(getattr(value, "dtype", "")), hash(str(np.asarray(value))))
                    for key, value in result.items()
                },
            )
        if isinstance(result, list | tuple | str | int | float | None):
            text = plain(repr(result))
            return (kind, text if len(text) < 500 else (len(text), hash(text)))
        return (kind.__module__, kind.__qualname__)

    # Acts.

    def read(self, place, count):
        """Read a little of whatever streams."""
        stream = self.places.get("s0")
        if isinstance(stream, pa.RecordBatchReader):
            if count == 3:
                return self.tell(stream.read_all())
            if count == 2:
                return stream.close()
            return stream.read_next_batch().num_rows
        if type(stream).__name__ == "PyCapsule":
            del self.places["s0"]
            return self.tell(pa.table(Capsule(stream))) if count else self.tell(pl.DataFrame(Capsule(stream)))
        if hasattr(stream, "__next__"):
            return [plain(repr(row)) for row in itertools.islice(stream, count * 1000)][-1:]
        return "absent"

    def appender(self, place, count):
        connection = self.places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection) or not hasattr(connection, "appender"):
            return "absent"
        appender = connection.appender("missing" if count == 3 else "u")
        self.put("a0", appender)
        for number in range(count):
            appender.append_row(number, "row")
        if count == 1:
            appender.flush()
        return self.tell(appender)

    def keep(self, place, count):
        """Keep an exception, whose traceback must not keep more than without us."""
        connection = self.places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection):
            return "absent"
        del connection
        error = erroneous(
            self.places, place, ("select * from missing", "selec", "insert into p values (1), (1)", "x")[count]
        )
        self.put("e0", error)
        return self.failure(error) if error else None

    def wrong(self, place, count):
        target = self.target(place) or duckdb
        name = ("execute", "fetchone", "close", "sql")[count]
        return self.tell(take(target, name)(*((1, 2, 3, 4)[: count + 1]), **({} if count % 2 else {"unknown": 1})))

    def drop(self, place, count):
        self.places.pop(place, None)
        return self.alive(), self.probe()

    vars()["del"] = drop

    def block(self, place, count):
        connection = self.places.get(place)
        if not isinstance(connection, duckdb.DuckDBPyConnection):
            return "absent"
        with connection as entered:
            assert entered is connection
            entered.execute(TEXTS[count]).fetchone()
            if count == 3:
                raise KeyError(count)
        return "left"

    vars()["with"] = block

    def alive(self, *_ignored):
        """Which objects live on: nothing of ours may keep one, but the object of the default connection.

        DuckDB keeps that connection open itself, and makes a new object of it whenever none is alive.
        """
        default = duckdb.default_connection()
        return {
            place: reference() is not None and reference() is not default
            for place, reference in self.references.items()
        }

    def probe(self, *_ignored):
        """Whether the database file, and with it its lock, is still held."""
        return any(file.path == os.path.realpath(self.path) for file in PROCESS.open_files())


def template(directory):
    """A database file to copy."""
    path = directory / "template.db"
    if not path.exists():
        with contextlib.closing(duckdb.connect(str(path))) as connection:
            connection.execute(
                f"create table t as select i, case when i < {ROWS - 100} then i::varchar else 'x' end as s "
                f"from range({ROWS}) r(i); create table u (i int, s varchar); create table p (k int primary key)"
            )
    return path


class Capsule:
    """An object that hands a capsule out, as Arrow's consumers expect."""

    def __init__(self, capsule):
        self.capsule = capsule

    def __arrow_c_stream__(self, requested_schema=None):
        return self.capsule


def fails(value):
    if value > 2500:
        raise LookupError("no such number")
    return value


def erroneous(places, place, text):
    try:
        places[place].execute(text)
    except Exception as error:
        return error
    return None


_RANDOM = re.compile(r"[0-9a-f]{6,}([-_][0-9a-f.]+)*|0x[0-9a-f]+|/[^ \"']*file\.db|/\S*differential\S*")
_FRAMES = re.compile(r"\n+At:\n.*|Invoked with: .*|\n+Stack Trace:.*", re.DOTALL)
"""The Python frames DuckDB 1 names in the error of a function: those of the caller too, if it ran in that thread.

And the arguments in the text of a TypeError: DuckDB 1 runs a relation to print it, and in this one case our frame
is the innermost, so that a relation over a variable of the caller prints `<repr raised Error>`.
"""


def plain(text):
    return _RANDOM.sub("#", _FRAMES.sub("", text))


def compare(seed, tmp_path, telemetry):
    steps = program(seed)
    directories = [tmp_path / "with", tmp_path / "without"]
    with_us, without_us = [directory / str(seed) for directory in directories]
    for directory in (with_us, without_us):
        directory.mkdir(parents=True)
    expected = World(without_us).run(steps)
    telemetry.instrument()
    try:
        found = World(with_us).run(steps)
    finally:
        telemetry.instrumentor.uninstrument()
    assert not trace.get_current_span().get_span_context().is_valid
    for number, (one, other) in enumerate(zip(expected, found, strict=True)):
        assert one == other, f"seed {seed}, step {number} of {steps[max(0, number - 8) : number + 1]}"
    assert telemetry.faults() == 0, f"seed {seed}"
    telemetry.clear()


@pytest.mark.timeout(SECONDS + 120)
def test_random_programs_cannot_tell_whether_they_are_instrumented(tmp_path, telemetry, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    end = time.monotonic() + SECONDS
    for seed in itertools.count(FIRST_SEED):
        compare(seed, tmp_path, telemetry)
        if time.monotonic() > end:
            break
    assert not caplog.records
