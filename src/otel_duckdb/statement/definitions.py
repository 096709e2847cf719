"""Handlers of the keywords that define, change and look after things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.statement.keywords import Handler, first, name, named, plain

if TYPE_CHECKING:
    from otel_duckdb.statement.reader import Reader

_MODIFIERS = frozenset(
    {"OR", "REPLACE", "TEMP", "TEMPORARY", "PERSISTENT", "UNIQUE", "RECURSIVE", "LOCAL", "GLOBAL", "SECURE"}
    | {"MATERIALIZED"}
)
_NAMED_OBJECTS = frozenset({"SCHEMA", "SEQUENCE", "TYPE", "MACRO", "FUNCTION", "INDEX", "DATABASE"})
_OBJECTS = _NAMED_OBJECTS | {"TABLE", "VIEW", "SECRET", "TRIGGER"}
_OUTSIDE: Final = frozenset({"SECRET", "EXTERNAL"})
"""What is kept outside every database: secrets, and the external resources of DuckDB 2."""
_NEAR: Final = 64
_ACTIONS: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})


def _pragma(reader: Reader, index: int) -> None:
    name(reader, index, "SET" if reader.words[index + 2] == "=" else "PRAGMA")


def _explain(reader: Reader, index: int) -> None:
    reader.operate("EXPLAIN", "EXPLAIN")
    reader.start = index + 1


def _analyze(reader: Reader, index: int) -> None:
    if reader.level.operation == "EXPLAIN":
        reader.start = index + 1
        reader.is_analyzed = True
        return
    if reader.level.operation != "VACUUM":
        reader.operate("VACUUM", "ANALYZE")
    reader.target(index + 2 if reader.words[index + 1] == "VERBOSE" else index + 1)


def _vacuum(reader: Reader, index: int) -> None:
    reader.operate("VACUUM", "VACUUM")
    while reader.words[index + 1] in ("FULL", "FREEZE", "VERBOSE"):
        index += 1
    reader.start = index + 1
    if reader.words[index + 1] == "(" and ")" in reader.words[index:]:
        reader.target(reader.words.index(")", index) + 1)
    elif reader.words[index + 1] not in ("ANALYZE", "ANALYSE"):
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
    reader.operate(kind, f"{kind} {what}" if what in _OBJECTS else kind)
    if f"{kind} {what}" in ("DROP TABLE", "DROP VIEW", "CREATE TRIGGER"):
        reader.level.operation = f"{kind} {what}"
    if what in _OUTSIDE:
        reader.changes = False
    if what in ("TABLE", "VIEW"):
        reader.target(index + 1)
    elif what == "INDEX" and kind == "CREATE":
        _named_after_on(reader, index)
    elif what == "TRIGGER":
        _trigger(reader, _named_after_on(reader, index))
    elif what in _NAMED_OBJECTS:
        reader.name(reader.skip(index + 1))


def _named_after_on(reader: Reader, index: int) -> int:
    """Note the table after the next ON, which is near, and return its position."""
    following = reader.words[index : index + _NEAR]
    if "ON" not in following:
        return index
    index += following.index("ON") + 1
    reader.target(index)
    return index


def _trigger(reader: Reader, index: int) -> None:
    """What a trigger does is a statement after its table."""
    following = reader.words[index : index + _NEAR]
    reader.start = index + next((at for at, word in enumerate(following) if word in _ACTIONS), 0)


def _import(reader: Reader, _index: int) -> None:
    """IMPORT DATABASE: to DuckDB a PRAGMA, which it makes several statements of that create and fill tables."""
    reader.operate("PRAGMA", "IMPORT")
    reader.changes = True


def _deallocate(reader: Reader, index: int) -> None:
    name(reader, index, "DROP")
    reader.changes = False


def _comment(reader: Reader, index: int) -> None:
    reader.operate("ALTER", "COMMENT")
    if reader.words[index + 1] == "ON" and reader.words[index + 2] in ("TABLE", "VIEW"):
        reader.target(index + 3)
    elif reader.words[index + 2] == "COLUMN":
        reader.target_of_column(index + 3)


def _force(reader: Reader, index: int) -> None:
    if reader.words[index + 1] == "CHECKPOINT":
        reader.operate("CALL", "CHECKPOINT")
    else:
        reader.operate("LOAD", "INSTALL")


TRANSACTIONS: Final = {
    "BEGIN": "BEGIN",
    "START": "BEGIN",
    "COMMIT": "COMMIT",
    "END": "COMMIT",
    "ROLLBACK": "ROLLBACK",
    "ABORT": "ROLLBACK",
}
"""The keywords that begin or end a transaction, and what each means."""

DEFINITIONS: Final[dict[str, Handler]] = {
    **{word: plain("TRANSACTION", meaning) for word, meaning in TRANSACTIONS.items()},
    **{word: plain(word) for word in ("ATTACH", "EXPORT")},
    "CHECKPOINT": plain("CALL"),
    "IMPORT": first(_import),
    **{word: named(word) for word in ("CALL", "PREPARE", "EXECUTE", "DETACH", "LOAD")},
    "PRAGMA": first(_pragma),
    "DEALLOCATE": first(_deallocate),
    "INSTALL": named("LOAD"),
    "RESET": named("SET"),
    "USE": named("SET"),
    "EXPLAIN": first(_explain),
    **dict.fromkeys(("ANALYZE", "ANALYSE"), first(_analyze)),
    "VACUUM": first(_vacuum),
    "UPDATE": first(_update),
    "COPY": first(_copy),
    "TRUNCATE": first(_truncate),
    **dict.fromkeys(("CREATE", "DROP", "ALTER"), first(_define)),
    "COMMENT": first(_comment),
    "FORCE": first(_force),
}
"""What each keyword means that begins a statement other than a query, an INSERT, a DELETE or a MERGE."""
