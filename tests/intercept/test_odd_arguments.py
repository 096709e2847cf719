"""What DuckDB refuses it refuses in its own words, and no fault of ours is counted or logged for it."""

import logging
from pathlib import Path

import duckdb
import pytest

Connection, Relation = duckdb.DuckDBPyConnection, duckdb.DuckDBPyRelation


class Mute:
    def __getattribute__(self, name):
        raise RuntimeError("asked")


class Query:
    @property
    def query(self):
        raise RuntimeError("asked")


class Values(list):
    def __len__(self):
        raise RuntimeError("asked")

    __iter__ = __getitem__ = __len__


class Names(dict):
    def items(self):
        raise RuntimeError("asked")

    __len__ = __iter__ = keys = items


class Text(str):
    __slots__ = ()

    def __hash__(self):
        raise RuntimeError("asked")

    __len__ = __eq__ = __getattribute__ = startswith = __hash__


class Unsure:
    def __bool__(self):
        raise RuntimeError("asked")

    __eq__ = __str__ = __repr__ = __hash__ = __bool__


class Somewhere:
    def __fspath__(self):
        raise RuntimeError("asked")


class Index:
    """What DuckDB takes for a number, and cannot be compared with one."""

    def __index__(self):
        return 1


INSERT = "insert into t values (?)"
CALLS = {
    "half a character in a path": lambda _: duckdb.connect(Path("/nosuch/\ud800.db")),
    "half a character in the name of one in memory": lambda _: duckdb.connect(":memory:\udc80"),
    "bytes of a path that are no text": lambda _: duckdb.connect(b"/nosuch/\x80.db"),
    "a path that is none": lambda _: duckdb.connect(Somewhere()),
    "a database that answers nothing": lambda _: duckdb.connect(Mute()),
    "a database that is unsure": lambda _: duckdb.connect(Unsure()),
    "a database of an odd text": lambda _: duckdb.connect(Text(":memory:")),
    "an odd configuration": lambda _: duckdb.connect(":memory:", config=Names(memory_limit="1GB")),
    "an odd value of a configuration": lambda _: duckdb.connect(":memory:", config={"memory_limit": Unsure()}),
    "execute on nothing": lambda _: Connection.execute(),
    "executemany on nothing": lambda _: Connection.executemany(),
    "sql on nothing": lambda _: Connection.sql(),
    "fetchone on nothing": lambda _: Connection.fetchone(),
    "fetchall on nothing": lambda _: Connection.fetchall(),
    "close on nothing": lambda _: Connection.close(),
    "cursor on nothing": lambda _: Connection.cursor(),
    "append on nothing": lambda _: Connection.append(),
    "execute on a text": lambda _: Connection.execute("select 1"),
    "execute on an odd object": lambda _: Connection.execute(Mute(), "select 1"),
    "a relation's fetchall on nothing": lambda _: Relation.fetchall(),
    "a relation's fetchall on an odd object": lambda _: Relation.fetchall(Mute()),
    "a relation's create on an odd object": lambda _: Relation.create(Mute(), "t"),
    "a relation made into an odd table": lambda con: con.sql("select 1").create(Unsure()),
    "a query that answers nothing": lambda con: con.execute(Mute()),
    "a query that raises": lambda con: con.execute(Query()),
    "an odd text": lambda con: con.execute(Text("select 1")).fetchall(),
    "a query of sql that answers nothing": lambda con: con.sql(Mute()),
    "a query of sql that raises": lambda con: con.sql(Query()),
    "a query of a batch that answers nothing": lambda con: con.executemany(Mute(), [[1]]),
    "parameters that answer nothing": lambda con: con.execute(INSERT, Mute()),
    "parameters that do not say how many": lambda con: con.execute(INSERT, Values([1])),
    "named parameters that do not say how many": lambda con: con.execute("select $a", Names(a=1)).fetchall(),
    "parameters of sql that are unsure": lambda con: con.sql("select ?", params=Unsure()),
    "a parameter that is unsure": lambda con: con.execute("select ?", [Unsure()]),
    "a batch that answers nothing": lambda con: con.executemany(INSERT, Mute()),
    "a batch that does not say how many": lambda con: con.executemany(INSERT, Values([[1]])),
    "a set of a batch that does not say how many": lambda con: con.executemany(INSERT, [Values([1])]),
    "a table of an odd text": lambda con: con.append(Text("t"), None),
    "a size that is no int": lambda con: con.execute("select 1").fetchmany(Index()),
    "no size": lambda con: con.execute("select 1").fetchmany(Unsure()),
}


def outcome(call):
    with duckdb.connect() as con:
        con.execute("create table t (a integer)")
        try:
            return type(call(con))
        except Exception as error:
            return type(error), str(error).split(" object at 0x")[0]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("options", [{}, {"capture_parameters": True, "parameterized_query_text": True}], ids=len)
def test_an_odd_argument_is_no_fault_of_ours(telemetry, caplog, name, options):
    plain = outcome(CALLS[name])
    telemetry.instrument(**options)
    with caplog.at_level(logging.WARNING, "otel_duckdb"):
        assert outcome(CALLS[name]) == plain
    assert telemetry.faults() == 0
    assert caplog.messages == []
