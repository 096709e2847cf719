"""SQL text to what spans and metrics need: kind, tables, summary, and the text without its literals."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Final

from otel_duckdb.statement.comments import LENGTH_LIMIT, carried, last_comment
from otel_duckdb.statement.current_database import database_step
from otel_duckdb.statement.definitions import TRANSACTIONS
from otel_duckdb.statement.grammar import read_statement
from otel_duckdb.statement.pivot import finds_columns
from otel_duckdb.statement.quotes import sure_part
from otel_duckdb.statement.redaction import (
    hide_secrets,
    hide_values,
    hide_values_in_quotes_of_names,
    is_sensitive,
    is_suspect,
    mask,
    tidy,
)
from otel_duckdb.statement.scanner import COMMENTS, is_open, scan, unquote
from otel_duckdb.statement.text import bounded
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.statement.current_database import DatabaseStep
    from otel_duckdb.statement.reader import Reader

TEXT_LIMIT: Final = 32_768
"""Characters of a text that are looked at; of a longer text only so much is analysed and shown."""
TOKEN_LIMIT: Final = 12_000
"""Tokens of a text that are looked at: what a text of brackets alone may cost."""
STATEMENT_LIMIT: Final = 2_000
"""Statements of a text that are looked at: what a text of semicolons alone may cost."""
SUMMARY_LIMIT: Final = 255
BATCH: Final = "BATCH"
"""What the summary of several operations begins with, as the semantic conventions say."""
_END: Final = ";"
_CACHE_TEXT: Final = 100_000
_CACHE_CHARACTERS: Final = 2_000_000
_CACHE_ENTRIES: Final = 2_000

_WITHOUT_ROWS = frozenset(
    {"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER", "COPY", "ATTACH", "DETACH", "TRANSACTION"}
    | {"SET", "VACUUM", "EXPORT", "LOAD", "PREPARE", "COPY_DATABASE"}
)
"""Kinds whose result is at most the count of the rows they changed."""
_SHOWN_AS_IS = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER", "COPY", "TRANSACTION", "EXPLAIN"}
    | {"CHECKPOINT", "VACUUM", "EXECUTE", "PREPARE", "DETACH", "EXPORT", "COPY_DATABASE", "UPDATE_EXTENSIONS", ""}
)
"""Kinds that hold a secret only where their text tells of one."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a SQL text does, and how it may be shown."""

    kind: str
    """DuckDB's type of the last statement, which gives the result: SELECT, INSERT, …; OTHER if unknown."""
    targets: tuple[str, ...]
    """Tables read or written, in source order, as written; no CTE, no function, no file."""
    table_name: str
    """The targets without quotes, sorted, joined by a comma, at most 255 characters."""
    summary: str
    """The semantic conventions' `db.query.summary`, at most 255 characters."""
    redacted: str
    """The text with `?` for every literal, without comments."""
    safe: str
    """The text itself, with `?` for what is or may be a secret."""
    returns_rows: bool
    """Whether the last statement gives rows other than the count of those it changed; True where unknown."""
    transaction: str
    """BEGIN, COMMIT or ROLLBACK of the last transaction statement; empty if there is none."""
    transactions: tuple[str, ...]
    """BEGIN, COMMIT, ROLLBACK or an empty text for each statement in order."""
    kinds: tuple[str, ...]
    """The kind of each statement in order; of a PIVOT what it is a part of."""
    writes: tuple[bool, ...]
    """Whether each statement in order changes the database, be it in a CTE."""
    prepared: Mapping[str, bool]
    """Whether each statement that PREPARE gives a name changes the database when it is run, by the folded name."""
    executed: tuple[str, ...]
    """The folded name that each statement runs by EXECUTE; empty for any other."""
    database_steps: tuple[DatabaseStep, ...]
    """What its statements in order say of the current database; empty for nearly all."""
    count: int
    """Number of statements."""
    profiling: bool
    """Whether the text sets DuckDB's profiling."""
    comment: Mapping[str, str]
    """What dbt and sqlcommenter say in comments of who asks; no secret among it."""
    has_placeholders: bool
    """Whether the text has a place for a parameter."""
    is_sensitive: bool
    """Whether the text is of a kind that may hold a secret, or speaks of one: so may its parameters."""


def _analyse(text: str) -> Statement:
    statement, sure = _read(text)
    if sure is None:
        return statement
    shown, _ = _read(sure)
    return replace(
        statement,
        redacted=shown.redacted,
        summary=shown.summary,
        targets=shown.targets,
        table_name=shown.table_name,
    )


def _read(text: str) -> tuple[Statement, str | None]:
    """What a text says, and what of it may be shown at all where that is not the whole."""
    is_cut = len(text) > TEXT_LIMIT
    tail = text[-LENGTH_LIMIT:] if is_cut else ""
    if is_cut:
        text = text[:TEXT_LIMIT]
    text = encodable(text)
    parts = scan(text)
    end = _end(parts)
    if is_cut or end < len(parts):
        is_cut = True
        parts[min(end, len(parts) - 2) :] = [" ..."]  # the last token may be the piece of one
    tokens = parts[1::2]
    has_comments = "--" in text or "/*" in text
    pieces = [(piece, read_statement(_code(piece) if has_comments else piece)) for piece in _pieces(tokens)]
    masked = [token for piece, reader in pieces for token in hide_values(mask(piece), reader.inner_kind)]
    if '"' in text and "'" in text:
        masked = hide_values_in_quotes_of_names(masked)
    redacted = _joined(parts, masked)
    sure = None if is_cut else sure_part(parts, redacted)
    sensitive = False
    if is_cut or is_suspect(text) or not _is_plain(tokens, pieces):
        sensitive = any(is_sensitive(piece, reader.inner_kind) for piece, reader in pieces if reader.kind)
        safe = _joined(parts, [token for piece, reader in pieces for token in hide_secrets(piece, reader.inner_kind)])
    else:
        safe = text
    readers = [reader for _, reader in pieces if reader.kind]
    statement = _statement(
        readers,
        tidy(redacted, has_comments),
        safe,
        is_cut,
        comment=carried(_comments(tokens) + last_comment(tail)) if has_comments or tail else {},
        has_placeholders=("?" in text or "$" in text) and _has_placeholder(tokens),
        sensitive=sensitive,
    )
    return statement, sure


def _has_placeholder(tokens: list[str]) -> bool:
    return any(token[0] == "?" or (token[0] == "$" and len(token) > 1 and "$" not in token[1:]) for token in tokens)


def _end(parts: list[str]) -> int:
    """How many of the parts are within the limits."""
    end = min(len(parts), 2 * TOKEN_LIMIT)
    if parts.count(_END) > STATEMENT_LIMIT:
        ends = (index for index, part in enumerate(parts) if part == _END)
        end = min(end, next(islice(ends, STATEMENT_LIMIT - 1, None)) + 1)
    return end


def _pieces(tokens: list[str]) -> list[list[str]]:
    """The tokens of each statement, its semicolon with it."""
    if _END not in tokens:
        return [tokens]
    ends = [end for end, token in enumerate(tokens, 1) if token == _END]
    return [tokens[start:end] for start, end in zip([0, *ends], [*ends, len(tokens)], strict=True)]


def _comments(tokens: list[str]) -> list[str]:
    return [token for token in tokens if token[:2] == "/*"]


def _code(tokens: list[str]) -> list[str]:
    return [token for token in tokens if token[:2] not in COMMENTS]


def _joined(parts: list[str], tokens: list[str]) -> str:
    parts = parts.copy()
    parts[1::2] = tokens
    return "".join(parts)


def _is_plain(tokens: list[str], pieces: list[tuple[list[str], Reader]]) -> bool:
    """Whether no statement is of a kind that may hold a secret, and no quote is open at the end."""
    return not (tokens and is_open(tokens[-1])) and all(reader.inner_kind in _SHOWN_AS_IS for _, reader in pieces)


def _statement(
    readers: list[Reader],
    redacted: str,
    safe: str,
    is_cut: bool,
    *,
    comment: Mapping[str, str],
    has_placeholders: bool,
    sensitive: bool,
) -> Statement:
    last = readers[-1] if readers else None
    kind = _kind(last) if last else "OTHER"
    targets = readers[0].targets if len(readers) == 1 else {name: None for reader in readers for name in reader.targets}
    transactions = tuple([_transaction(reader) for reader in readers])
    return Statement(
        kind=kind,
        targets=tuple(targets),
        table_name=_table_name(targets),
        summary=_summary(readers),
        redacted=redacted,
        safe=safe,
        returns_rows=is_cut or _returns_rows(last),
        transaction=next((word for word in reversed(transactions) if word), ""),
        transactions=transactions,
        kinds=tuple([reader.kind for reader in readers]),
        writes=tuple([reader.writes for reader in readers]),
        prepared={reader.given_name: reader.changes for reader in readers if reader.kind == "PREPARE"},
        executed=tuple([reader.given_name if reader.kind == "EXECUTE" else "" for reader in readers]),
        database_steps=tuple([step for step in map(database_step, readers) if step is not None]),
        count=len(readers),
        profiling=any(_sets_profiling(reader) for reader in readers),
        comment=comment,
        has_placeholders=has_placeholders,
        is_sensitive=sensitive,
    )


def _kind(reader: Reader) -> str:
    """The kind as DuckDB tells it: from 2.0 on a PIVOT that must find its columns first is several statements."""
    if reader.pivots and any(finds_columns(reader.words, start) for start in reader.pivots):
        version = getattr(sys.modules.get("duckdb"), "__version__", "")
        return reader.kind if version.startswith("1.") else "MULTI"
    return reader.kind


def _transaction(reader: Reader) -> str:
    return TRANSACTIONS.get(reader.words[0], "") if reader.kind == "TRANSACTION" else ""


def _returns_rows(reader: Reader | None) -> bool:
    if reader is None or reader.kind not in _WITHOUT_ROWS or reader.returning:
        return True
    return reader.kind == "COPY" and not _RETURNING_COPY.isdisjoint(reader.words)


_RETURNING_COPY = frozenset({"RETURN_FILES", "RETURN_STATS"})
_SETTINGS = frozenset({"SET", "PRAGMA", "CALL"})


def _sets_profiling(reader: Reader) -> bool:
    return reader.kind in _SETTINGS and any("PROFIL" in word or word == "TRACKED_METRICS" for word in reader.words)


def _table_name(targets: dict[str, None]) -> str:
    if len(targets) == 1:
        (name,) = targets
        return bounded(_unquoted(name), SUMMARY_LIMIT)
    names = {name.casefold(): name for name in map(_unquoted, reversed(targets))}
    joined = ",".join(sorted(names.values()))
    return joined if len(joined) <= SUMMARY_LIMIT else bounded(joined, SUMMARY_LIMIT)


def _unquoted(target: str) -> str:
    return ".".join(map(unquote, scan(target)[1::4])) if '"' in target or "`" in target else target


def _summary(readers: list[Reader]) -> str:
    if len(readers) == 1:
        return _cut(readers[0].summary)
    if not readers:
        return ""
    first = readers[0].summary
    return _cut([BATCH, *(first if all(reader.summary == first for reader in readers) else ())])


def _cut(words: list[str]) -> str:
    """The words joined by spaces, as many as the limit allows."""
    summary = " ".join(words)
    if len(summary) <= SUMMARY_LIMIT:
        return summary
    ends = [end - 1 for end in accumulate(len(word) + 1 for word in words) if end - 1 <= SUMMARY_LIMIT]
    return summary[: ends[-1]] if ends else ""


class _Cache(dict[str, Statement]):
    """Statements by their text, in two generations: the older goes when the younger has grown too long.

    There is no lock, for a signal handler may come in between: at worst a text is analysed once more.
    """

    def __init__(self) -> None:
        super().__init__()
        self._older: dict[str, Statement] = {}
        self._characters = 0

    def __missing__(self, text: str) -> Statement:
        statement = self._older.get(text) or _analyse(text)
        if len(text) <= _CACHE_TEXT:
            self._keep(text, statement)
        return statement

    def _keep(self, text: str, statement: Statement) -> None:
        if self._characters > _CACHE_CHARACTERS // 2 or len(self) >= _CACHE_ENTRIES // 2:
            self._older = dict(self)
            self.clear()
            self._characters = 0
        self[text] = statement
        self._characters += len(text)


parse: Final[Callable[[str], Statement]] = _Cache().__getitem__
"""What a text says; a text seen before costs one look into a dictionary. Never raises."""
