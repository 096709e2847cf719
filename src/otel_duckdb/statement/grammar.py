"""What each keyword of SQL means where it stands: a statement's kind, the tables it touches, and its summary."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otel_duckdb.statement.reader import QUERY_WORDS, Level, Reader

_BEFORE_QUERY = frozenset({"WITH", "INSERT", "CREATE", "UNION", "EXPLAIN", "PREPARE", "DESCRIBE", "SUMMARIZE"})
"""Operations that a query may follow, so that a FROM there opens one."""
_MODIFIERS = frozenset({"OR", "REPLACE", "TEMP", "TEMPORARY", "PERSISTENT", "UNIQUE", "RECURSIVE", "LOCAL", "GLOBAL"})
_NAMED_OBJECTS = frozenset({"SCHEMA", "SEQUENCE", "TYPE", "MACRO", "FUNCTION", "INDEX", "DATABASE"})
_OBJECTS = _NAMED_OBJECTS | {"TABLE", "VIEW", "SECRET"}


def read(tokens: list[str]) -> Reader:
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


_Handler = Callable[[Reader, int], None]


def _open(reader: Reader, index: int) -> None:
    outer = reader.level
    is_table = index == reader.table_bracket
    reader.levels.append(outer)
    reader.level = Level("", is_table, of_cte=outer.of_cte or outer.in_with, declared=outer.declared)
    reader.start = index + 1 if reader.words[index - 1] != "TRIM" else -1
    if is_table and reader.words[index + 1] not in QUERY_WORDS:
        reader.source(index + 1)


def _close(reader: Reader, index: int) -> None:
    if reader.levels:
        reader.level = reader.levels.pop()
    if reader.level.in_with or reader.level.operation == "EXPLAIN":
        reader.start = index + 1


def _comma(reader: Reader, index: int) -> None:
    if reader.level.in_from:
        reader.source(index + 1)
    elif reader.level.in_with:
        reader.declare(index + 1)


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
        return
    if level.operation == "DELETE":
        reader.target(index + 1)
    else:
        level.in_from = True
        reader.source(index + 1)


def _join(reader: Reader, index: int) -> None:
    if reader.level.in_from:
        reader.source(index + 1)


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


def _unite(reader: Reader, index: int) -> None:
    reader.level.operation = "UNION"
    reader.level.in_from = False
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
    if index != reader.start and level.operation not in _BEFORE_QUERY:
        return
    level.operation = "WITH"
    level.in_with = True
    if reader.words[index + 1] == "RECURSIVE":
        reader.declare(index + 2)
        level.declared |= level.declaring
    else:
        reader.declare(index + 1)


def _first(opener: _Handler, otherwise: _Handler | None = None) -> _Handler:
    """A handler for a keyword that means something else, or nothing, unless it begins a statement or a query."""

    def handler(reader: Reader, index: int) -> None:
        only_query = bool(reader.levels) or reader.level.operation == "UNION"
        is_first = index == reader.start and (not only_query or reader.words[index] in QUERY_WORDS)
        if is_first and (not reader.levels or reader.words[index + 1] not in (")", ",", ".")):
            opener(reader, index)
        elif otherwise is not None:
            otherwise(reader, index)

    return handler


def _plain(kind: str, label: str = "") -> _Handler:
    """A statement of which no more is said than its kind."""
    return _first(lambda reader, index: reader.operate(kind, label or reader.words[index]))


def _named(kind: str) -> _Handler:
    """A statement whose summary names what follows, which is no table."""
    return _first(lambda reader, index: _name(reader, index, kind))


def _name(reader: Reader, index: int, kind: str) -> None:
    reader.operate(kind, reader.words[index])
    while reader.words[index + 1] in _SCOPES:
        index += 1
    reader.name(index + 1)


def _set(reader: Reader, index: int) -> None:
    _name(reader, index, "SET")


_SCOPES = frozenset({"GLOBAL", "SESSION", "LOCAL", "VARIABLE", "DATABASE", "IF", "EXISTS", "ALL", "PREPARE", "SCHEMA"})


def _on_table(kind: str, operation: str = "") -> _Handler:
    """A statement that is followed by a table, or by a query."""

    def opener(reader: Reader, index: int) -> None:
        reader.operate(kind, reader.words[index], operation)
        reader.start = index + 1
        if reader.words[index + 1] not in QUERY_WORDS - {"TABLE"}:
            reader.source(index + 1)

    return _first(opener)


def _explain(reader: Reader, index: int) -> None:
    reader.operate("EXPLAIN", "EXPLAIN")
    reader.start = index + 1


def _analyze(reader: Reader, index: int) -> None:
    if reader.level.operation == "EXPLAIN":
        reader.start = index + 1
        return
    if reader.level.operation != "VACUUM":
        reader.operate("VACUUM", "ANALYZE")
    reader.target(index + 1)


def _vacuum(reader: Reader, index: int) -> None:
    reader.operate("VACUUM", "VACUUM")
    reader.start = index + 1
    if reader.words[index + 1] != "ANALYZE":
        reader.target(index + 1)


def _update(reader: Reader, index: int) -> None:
    if reader.words[index + 1] == "EXTENSIONS" and reader.words[index + 2] != "SET":
        reader.operate("UPDATE_EXTENSIONS", "UPDATE EXTENSIONS")
        return
    reader.operate("UPDATE", "UPDATE")
    reader.target(index + 1)


def _copy(reader: Reader, index: int) -> None:
    if reader.words[index + 1 : index + 3] == ["FROM", "DATABASE"]:
        reader.operate("COPY_DATABASE", "COPY DATABASE")
        return
    reader.operate("COPY", "COPY")
    reader.target(index + 1)


def _truncate(reader: Reader, index: int) -> None:
    reader.operate("DELETE", "TRUNCATE")
    reader.target(index + 1)


def _define(reader: Reader, index: int) -> None:
    """CREATE, DROP and ALTER: the operation is the keyword and the kind of object."""
    kind = reader.words[index]
    index += 1
    while reader.words[index] in _MODIFIERS:
        index += 1
    what = reader.words[index]
    reader.operate(kind, f"{kind} {what}" if what in _OBJECTS else kind, kind)
    if what in ("TABLE", "VIEW"):
        reader.target(index + 1)
    elif what == "INDEX" and kind == "CREATE":
        _index_on(reader, index)
    elif what in _NAMED_OBJECTS:
        reader.name(reader.skip(index + 1))


def _index_on(reader: Reader, index: int) -> None:
    following = reader.words[index : index + 12]
    if "ON" in following:
        reader.target(index + following.index("ON") + 1)


def _comment(reader: Reader, index: int) -> None:
    reader.operate("ALTER", "COMMENT")
    if reader.words[index + 1] == "ON" and reader.words[index + 2] in ("TABLE", "VIEW"):
        reader.target(index + 3)


def _force(reader: Reader, index: int) -> None:
    if reader.words[index + 1] == "CHECKPOINT":
        reader.operate("CHECKPOINT", "CHECKPOINT")
    else:
        reader.operate("LOAD", "INSTALL")


def _show(reader: Reader, index: int) -> None:
    reader.operate("SELECT", "SHOW", "SHOW")
    reader.start = index + 1
    following = reader.words[index + 1]
    if following == "ALL":
        following = reader.words[index + 2]
    if following in ("TABLES", "DATABASES", "SCHEMAS", "VARIABLES"):
        reader.summary.append(following)
    elif following not in QUERY_WORDS:
        reader.source(index + 1)


def _values(reader: Reader, _index: int) -> None:
    if not reader.kind and not reader.level.of_cte:
        reader.operate("SELECT", "VALUES")


TRANSACTIONS: Final = {
    "BEGIN": "BEGIN",
    "START": "BEGIN",
    "COMMIT": "COMMIT",
    "END": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ROLLBACK",
}
"""The keywords that begin or end a transaction, and what each means."""

_HANDLERS: Final[dict[str, _Handler]] = {
    **dict.fromkeys("([{", _open),
    **dict.fromkeys(")]}", _close),
    ",": _comma,
    "SELECT": _select,
    "FROM": _from,
    "JOIN": _join,
    "INTO": _into,
    "USING": _using,
    "AS": _as,
    "WITH": _with,
    "RETURNING": _returning,
    **dict.fromkeys(("UNION", "EXCEPT", "INTERSECT"), _unite),
    **dict.fromkeys(("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "OFFSET", "QUALIFY", "WINDOW", "WHEN"), _end_from),
    **{word: _plain("TRANSACTION", meaning) for word, meaning in TRANSACTIONS.items()},
    **{word: _plain(word) for word in ("ATTACH", "EXPORT", "CHECKPOINT")},
    "INSERT": _plain("INSERT"),
    "DELETE": _plain("DELETE"),
    "MERGE": _plain("MERGE_INTO"),
    "IMPORT": _plain("PRAGMA"),
    **{word: _named(word) for word in ("PRAGMA", "CALL", "PREPARE", "EXECUTE", "DETACH", "LOAD")},
    "DEALLOCATE": _named("DROP"),
    "INSTALL": _named("LOAD"),
    "RESET": _named("SET"),
    "USE": _named("SET"),
    "SET": _first(_set, _end_from),
    "VALUES": _first(_values, _end_from),
    **{word: _on_table("SELECT", word) for word in ("SUMMARIZE", "PIVOT", "PIVOT_WIDER", "UNPIVOT", "PIVOT_LONGER")},
    **dict.fromkeys(("DESCRIBE", "DESC"), _on_table("SELECT", "DESCRIBE")),
    "TABLE": _on_table("SELECT", "TABLE"),
    "SHOW": _first(_show),
    "EXPLAIN": _first(_explain),
    "ANALYZE": _first(_analyze),
    "VACUUM": _first(_vacuum),
    "UPDATE": _first(_update),
    "COPY": _first(_copy),
    "TRUNCATE": _first(_truncate),
    **dict.fromkeys(("CREATE", "DROP", "ALTER"), _first(_define)),
    "COMMENT": _first(_comment),
    "FORCE": _first(_force),
}
