"""Random programs as data: lists of steps, each a method call on an object in a numbered place, or one of a few acts.

A call is `("call", place, method, arguments, keywords, place of the result or None, site)`: the site is the number of
one of `SITES`. An act, which is no call, is its name, a place and a number.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import duckdb
import pandas as pd

from differential.sites import SITES, Arguments

if TYPE_CHECKING:
    from collections.abc import Callable

Step: TypeAlias = tuple[Any, ...]

ROWS: Final = 5000
"""The rows of table `t`, more than DuckDB hands out in one piece."""
_LENGTH: Final = 40
_GENERATION: Final = int(duckdb.__version__.split(".")[0])

TEXTS: Final = (
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
    *(["checkpoint"] if _GENERATION > 1 else []),  # DuckDB 1 waits for ever where a result is open
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
_WITH_PARAMETERS: Final[tuple[tuple[str, Any], ...]] = (
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
_BATCHES: Final[tuple[tuple[str, list[Any]], ...]] = (
    ("insert into u values (?, ?)", [[1, "a"], [2, "b"]]),
    ("insert into u values (?, ?)", []),
    ("insert into u values (?, ?)", [[1], [2]]),
    ("insert into p values (?)", [[1], [1]]),
    ("select ?::int", [[1], [2]]),
    ("insert into missing values (?)", [[1]]),
)
_FETCHES: Final = (
    *["fetchone"] * 3,
    *["fetchmany"] * 2,
    *["fetchall"] * 2,
    *("fetchnumpy", "df", "fetchdf", "fetch_df", "fetch_df_chunk", "pl", "arrow", "to_arrow_table", "to_arrow_reader"),
    *("fetch_arrow_table", "fetch_record_batch", "fetch_arrow_reader", "record_batch", "torch"),
)
_FETCH_ARGUMENTS: Final = ((), (), (), (), (1,), (3,), ("x",), (1, 2, 3))
"""No batch of 0 rows: DuckDB 1 makes Arrow tables of such batches for ever."""
_TERMINALS: Final = (
    *_FETCHES,
    *("show", "__repr__", "__str__", "__len__", "shape", "explain", "execute", "materialize", "to_dicts", "preview"),
    *("close", "fetchdf", "to_df", "describe", "columns", "types", "description", "__arrow_c_stream__", "iter_rows"),
)
_RUN: Final = ("execute", "sql", "query", "from_query")


_ACTS: Final = ("del", "probe", "read", "appender", "keep", "wrong", "with", "alive")
_RELATION_CALLS: Final = (
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
_WRITES: Final = (
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


def program(seed: int) -> list[Step]:
    """The program of this seed: always the same on one version of DuckDB."""
    rng = random.Random(seed)
    return [_step(rng) for _ in range(_LENGTH)]


def _step(rng: random.Random) -> Step:
    (kind,) = rng.choices(list(_KINDS), list(_KINDS.values()))
    (act,) = rng.choices(_ACTS, (5, 4, 6, 3, 3, 3, 2, 3))
    connection, relation = f"c{rng.randrange(3)}", f"r{rng.randrange(2)}"
    site = rng.randrange(len(SITES))
    if rng.random() < 0.2:  # noqa: PLR2004 - one step of five is an act
        return (act, rng.choice((connection, relation, "s0", "a0")), rng.randrange(4))
    return kind(rng, connection, relation, site)


def _query(rng: random.Random, connection: str, relation: str, site: int) -> Step:
    name = rng.choice(_RUN)
    return ("call", connection, name, (rng.choice(TEXTS),), {}, None if name == "execute" else relation, site)


def _query_with_parameters(rng: random.Random, connection: str, relation: str, site: int) -> Step:
    text, parameters = rng.choice(_WITH_PARAMETERS)
    if rng.random() < 0.6:  # noqa: PLR2004 - a little more often than not
        return ("call", connection, "execute", (text, parameters), {}, None, site)
    return ("call", connection, "sql", (text,), {"params": parameters}, relation, site)


def _batch(rng: random.Random, connection: str, _relation: str, site: int) -> Step:
    return ("call", connection, "executemany", rng.choice(_BATCHES), {}, None, site)


def _fetch(rng: random.Random, connection: str, _relation: str, site: int) -> Step:
    target = rng.choice((connection, connection, "duckdb"))
    return ("call", target, rng.choice(_FETCHES), rng.choice(_FETCH_ARGUMENTS), {}, "s0", site)


def _loop_of_fetches(rng: random.Random, connection: str, relation: str, _site: int) -> Step:
    return ("loop", rng.choice((connection, relation)), rng.choice((10, 400, ROWS + 10)))


def _end_of_relation(rng: random.Random, _connection: str, relation: str, site: int) -> Step:
    return ("call", relation, rng.choice(_TERMINALS), rng.choice(_FETCH_ARGUMENTS), {}, "s0", site)


def _relation_of_relation(rng: random.Random, _connection: str, relation: str, site: int) -> Step:
    name, arguments = rng.choice(_RELATION_CALLS)
    return ("call", relation, name, arguments, {}, f"r{rng.randrange(2)}", site)


def _write(rng: random.Random, _connection: str, relation: str, site: int) -> Step:
    name, arguments = rng.choice(_WRITES)
    return ("call", relation, name, arguments, {}, None, site)


def _call_of_connection(rng: random.Random, connection: str, _relation: str, site: int) -> Step:
    calls: tuple[tuple[str, Arguments], ...] = (
        ("begin", ()),
        ("begin", ()),
        ("commit", ()),
        ("rollback", ()),
        ("checkpoint" if _GENERATION > 1 else "rowcount", ()),
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
    name, arguments = rng.choice(calls)
    into = {"cursor": f"c{rng.randrange(3)}", "duplicate": f"c{rng.randrange(3)}"}.get(name)
    return ("call", connection, name, arguments, {}, into or ("r0" if name in {"table", "view"} else None), site)


def _call_of_module(rng: random.Random, connection: str, relation: str, site: int) -> Step:
    name = rng.choice(
        ("execute", "sql", "query", "executemany", "begin", "commit", "cursor", "default", "connect", "df")
    )
    if name == "default":
        return ("call", "duckdb", "set_default_connection", (f"={connection}",), {}, None, site)
    if name == "connect":
        keywords = rng.choice(({}, {"read_only": True}, {"x": 1}))
        return ("call", "duckdb", "connect", ("file.db",), keywords, connection, site)
    if name == "executemany":
        return ("call", "duckdb", name, rng.choice(_BATCHES), {}, None, site)
    if name in {"begin", "commit", "cursor"}:
        return ("call", "duckdb", name, (), {}, "c2" if name == "cursor" else None, site)
    if name == "df":
        return ("call", "duckdb", "df", (pd.DataFrame({"i": [1, 2]}),), {}, "r0", site)
    of = {"connection": f"={connection}"} if rng.random() < 0.3 else {}  # noqa: PLR2004 - most leave it to the default
    return ("call", "duckdb", name, (rng.choice(TEXTS),), of, None if name == "execute" else relation, site)


_KINDS: Final[dict[Callable[[random.Random, str, str, int], Step], int]] = {
    _query: 22,
    _query_with_parameters: 6,
    _batch: 3,
    _fetch: 22,
    _loop_of_fetches: 3,
    _end_of_relation: 14,
    _relation_of_relation: 6,
    _write: 5,
    _call_of_connection: 7,
    _call_of_module: 8,
}
"""The kinds of calls, and how often each comes."""
