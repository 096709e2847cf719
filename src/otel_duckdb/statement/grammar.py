"""What each keyword of SQL means where it stands: a statement's kind, the tables it touches, and its summary."""

from __future__ import annotations

from typing import Final

from otel_duckdb.statement.definitions import DEFINITIONS
from otel_duckdb.statement.keywords import Handler, first, named, plain
from otel_duckdb.statement.reader import QUERY_WORDS, Level, Reader

_BEFORE_QUERY = frozenset({"WITH", "INSERT", "CREATE", "UNION", "EXPLAIN", "PREPARE", "DESCRIBE", "SUMMARIZE"})
"""Operations that a query may follow, so that a FROM there opens one."""
_PIVOTS = ("PIVOT", "PIVOT_WIDER", "UNPIVOT", "PIVOT_LONGER")
_LISTS = frozenset({"TABLES", "DATABASES", "SCHEMAS", "VARIABLES"})
"""What SHOW and DESCRIBE list, where a table could be named."""


def read_statement(tokens: list[str]) -> Reader:
    """Read one statement; its tokens hold no comments."""
    words = [token.upper() for token in tokens]
    words += ("", "", "")
    reader = Reader(tokens, words)
    for index, handler in enumerate(map(_HANDLERS.get, words)):
        if handler is not None and words[index - 1] != ".":
            handler(reader, index)
    if not reader.kind and words[0] not in ("", ";"):
        reader.kind = reader.inner_kind = "SELECT" if reader.level.in_with else "OTHER"
    return reader


def _open(reader: Reader, index: int) -> None:
    outer = reader.level
    is_join = index == reader.table_bracket and reader.words[index + 1] not in QUERY_WORDS
    if outer.in_with and reader.words[index - 1] == ")":  # WITH x AS (…) (SELECT …)
        outer.in_with = False
        outer.declared |= outer.declaring
    reader.levels.append(outer)
    reader.level = Level(
        "",
        is_join,
        of_cte=outer.of_cte or outer.in_with,
        is_cte=outer.in_with,
        declared=outer.declared,
        own=outer.declaring if outer.in_with and outer.is_recursive else frozenset(),
    )
    reader.start = index + 1 if reader.words[index - 1] != "TRIM" else -1
    if is_join:
        reader.source(index + 1)


def _close(reader: Reader, index: int) -> None:
    if reader.levels:
        reader.level = reader.levels.pop()
    if reader.level.in_with or reader.level.operation == "EXPLAIN":
        reader.start = index + 1


def _comma(reader: Reader, index: int) -> None:
    level = reader.level
    if level.in_from:
        is_row = level.in_values and reader.words[index - 1] == ")" and reader.words[index + 1] == "("
        if not is_row:
            level.in_values = False
            reader.source(index + 1)
    elif level.in_with:
        reader.declare(index + 1)
    elif level.operation in ("DROP TABLE", "DROP VIEW"):
        reader.target(index + 1)


def _select(reader: Reader, _index: int) -> None:
    if reader.level.operation == "FROM":  # FROM t SELECT a: one query, already noted
        reader.level.operation = "SELECT"
        reader.level.in_from = False
    else:
        reader.operate("SELECT", "SELECT")


def _from(reader: Reader, index: int) -> None:
    level = reader.level
    if reader.words[index - 1] == "DISTINCT":  # a IS DISTINCT FROM b
        return
    if index == reader.start or level.operation in _BEFORE_QUERY:
        reader.operate("SELECT", "SELECT", "FROM")
    elif level.operation not in ("SELECT", "UPDATE", "DELETE"):  # EXTRACT(year FROM d), COPY t FROM, INSTALL x FROM
        reader.changes = reader.changes or level.operation == "COPY"
        return
    if level.operation == "DELETE":
        reader.target(index + 1)
    else:
        level.in_from = True
        reader.source(index + 1)


def _join(reader: Reader, index: int) -> None:
    if not reader.level.in_from:
        return
    if reader.words[index + 1 : index + 3] == ["BY", "("]:  # JOIN BY (TYPE semi) t
        index = reader.words.index(")", index) if ")" in reader.words[index:] else index
    reader.source(index + 1)


def _on(reader: Reader, _index: int) -> None:
    if reader.level.operation in _PIVOTS:
        reader.level.in_from = False


def _into(reader: Reader, index: int) -> None:
    if reader.level.operation in ("INSERT", "MERGE_INTO"):
        reader.target(index + 1)


def _using(reader: Reader, index: int) -> None:
    level = reader.level
    if level.operation in ("DELETE", "MERGE_INTO") and not level.used_using:
        level.used_using = level.in_from = True
        reader.source(index + 1)


def _end_from(reader: Reader, _index: int) -> None:
    reader.level.in_from = False


def _when(reader: Reader, index: int) -> None:
    if reader.level.operation == "MERGE_INTO":  # and no CASE WHEN in the condition of a join
        _end_from(reader, index)


def _unite(reader: Reader, index: int) -> None:
    level = reader.level
    level.operation = "UNION"
    level.in_from = False
    if reader.words[index] == "UNION":
        level.declared |= level.own
    reader.start = index + 1


def _returning(reader: Reader, index: int) -> None:
    _end_from(reader, index)
    if not reader.levels:
        reader.returning = True


def _as(reader: Reader, index: int) -> None:
    if reader.level.operation in ("CREATE", "PREPARE"):
        is_macro = reader.words[index + 1] == "TABLE" and reader.words[index + 2] in QUERY_WORDS
        reader.start = index + 2 if is_macro else index + 1


def _with(reader: Reader, index: int) -> None:
    level = reader.level
    if (index != reader.start and level.operation not in _BEFORE_QUERY) or reader.words[index + 1] == "(":
        return
    level.operation = "WITH"
    level.in_with = True
    level.is_recursive = reader.words[index + 1] == "RECURSIVE"
    reader.declare(index + 2 if level.is_recursive else index + 1)


def _on_table(operation: str) -> Handler:
    """A query that begins with this word, and is followed by a table, or by a query."""

    def opener(reader: Reader, index: int) -> None:
        reader.operate("SELECT", operation, operation)
        reader.start = index + 1
        if reader.words[index + 1] not in QUERY_WORDS - {"TABLE"}:
            reader.source(index + 1)

    return first(opener)


def _pivot(reader: Reader, index: int) -> None:
    word = reader.words[index]
    reader.operate("SELECT", word, word)
    if word in ("PIVOT", "PIVOT_WIDER"):
        reader.pivots.append(index)
    reader.level.in_from = True
    reader.source(index + 1)


def _describe(reader: Reader, index: int) -> None:
    """SHOW and DESCRIBE: a list of names, or a table, or a query."""
    label = "SHOW" if reader.words[index] == "SHOW" else "DESCRIBE"
    reader.operate("SELECT", label, label)
    reader.start = index + 1
    following = reader.words[index + 1]
    is_all = following == "ALL"
    if is_all:
        following = reader.words[index + 2]
    if (is_all or following in _LISTS or following == "EXTERNAL") and reader.words[index + 2] != ".":
        reader.summary += [following] if following in _LISTS else []
        reader.level.operation = "SHOW"  # what follows FROM is a database
    elif following not in QUERY_WORDS - {"TABLE"}:
        reader.source(index + 1)


def _values(reader: Reader, _index: int) -> None:
    if not reader.kind and not reader.level.of_cte:
        reader.operate("SELECT", "VALUES")


def _rows(reader: Reader, _index: int) -> None:
    reader.level.in_values = reader.level.in_from


_HANDLERS: Final[dict[str, Handler]] = {
    **dict.fromkeys("([{", _open),
    **dict.fromkeys(")]}", _close),
    ",": _comma,
    "SELECT": _select,
    "FROM": _from,
    "JOIN": _join,
    "INTO": _into,
    "USING": _using,
    "ON": _on,
    "AS": _as,
    "WITH": _with,
    "RETURNING": _returning,
    **dict.fromkeys(("UNION", "EXCEPT", "INTERSECT"), _unite),
    **dict.fromkeys(("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "QUALIFY", "WINDOW"), _end_from),
    "WHEN": _when,
    "INSERT": plain("INSERT"),
    "DELETE": plain("DELETE"),
    "MERGE": plain("MERGE_INTO"),
    "SET": named("SET", _end_from),
    "VALUES": first(_values, _rows),
    **dict.fromkeys(_PIVOTS, first(_pivot)),
    **dict.fromkeys(("SHOW", "DESCRIBE", "DESC"), first(_describe)),
    "SUMMARIZE": _on_table("SUMMARIZE"),
    "TABLE": _on_table("TABLE"),
    **DEFINITIONS,
}
