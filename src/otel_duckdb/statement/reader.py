"""The state of reading one SQL statement: what was found so far, and inside which brackets the reading stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from otel_duckdb.statement.redaction import masked
from otel_duckdb.statement.scanner import is_name, unquote
from otel_duckdb.statement.text import HIDDEN

QUERY_WORDS: Final = frozenset(
    {"SELECT", "FROM", "WITH", "VALUES", "TABLE", "DESCRIBE", "DESC", "SHOW", "SUMMARIZE"}
    | {"PIVOT", "PIVOT_WIDER", "UNPIVOT", "PIVOT_LONGER"}
)
"""Keywords that begin a query."""
_NO_TARGET = QUERY_WORDS | {"SET", "WHERE", "JOIN", "ON", "USING", "DATABASE"}
_CHANGES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE_INTO", "CREATE", "DROP", "ALTER", "COPY_DATABASE"})
BEFORE_TARGET: Final = frozenset({"IF", "NOT", "EXISTS", "ONLY", "LATERAL", "TABLE"})


@dataclass(slots=True)
class Level:
    """One pair of brackets, or the statement itself: what is being read there."""

    operation: str = ""
    in_from: bool = False
    in_values: bool = False
    """Whether rows of VALUES are being read in FROM."""
    in_with: bool = False
    is_recursive: bool = False
    of_cte: bool = False
    is_cte: bool = False
    """Whether the bracket is a CTE's own, which may hold a statement that writes."""
    used_using: bool = False
    declared: frozenset[str] = frozenset()
    declaring: frozenset[str] = frozenset()
    own: frozenset[str] = frozenset()
    """The name of the recursive CTE whose query this bracket holds: from its UNION on it is no table."""


@dataclass(slots=True)
class Reader:
    """What reading a statement's tokens once, from left to right, has found; `tokens` hold no comments."""

    tokens: list[str]
    words: list[str]
    """The tokens in upper case, and some empty ones, so that what follows is looked at without asking for the end."""
    kind: str = ""
    inner_kind: str = ""
    """The kind of the statement that is explained or prepared, else the same."""
    targets: dict[str, None] = field(default_factory=dict)
    summary: list[str] = field(default_factory=list)
    returning: bool = False
    changes: bool = False
    """Whether something in it changes the database, be it a CTE."""
    is_analyzed: bool = False
    """Whether EXPLAIN runs it, too."""
    pivots: list[int] = field(default_factory=list)
    """Where a PIVOT statement begins."""
    level: Level = field(default_factory=Level)
    levels: list[Level] = field(default_factory=list)
    start: int = 0
    """Where an operation's keyword may stand."""
    table_bracket: int = -1
    """A bracket that stands where a table may: a subquery or a join."""
    since_operation: int = 0
    """Where in the summary the last operation's targets begin."""

    @property
    def writes(self) -> bool:
        """Whether it changes the database when it is run."""
        return self.changes and (self.kind not in ("EXPLAIN", "PREPARE") or self.is_analyzed)

    @property
    def given_name(self) -> str:
        """The folded name of a PREPARE or EXECUTE; empty where it has none."""
        return _folded(self.summary[1]) if len(self.summary) > 1 else ""

    def operate(self, kind: str, label: str, operation: str = "") -> None:
        """Note that an operation begins at this level."""
        level = self.level
        level.operation = operation or kind
        level.in_from = level.in_with = False
        level.declared |= level.declaring
        self.changes = self.changes or kind in _CHANGES
        if not level.of_cte:
            self._set_kind(kind)
        self.summary.append(label)
        self.since_operation = len(self.summary)

    def _set_kind(self, kind: str) -> None:
        if not self.kind:
            self.kind = self.inner_kind = kind
        elif self.inner_kind in ("EXPLAIN", "PREPARE"):
            self.inner_kind = kind

    def declare(self, index: int) -> None:
        """Note a name that WITH gives; it hides a table only after its own query, unless that is recursive."""
        level = self.level
        level.declared |= level.declaring
        is_string = self.words[index][:1] == "'"
        level.declaring = (
            frozenset((_folded(self.tokens[index]),)) if self._is_name(index) or is_string else frozenset()
        )

    def name(self, index: int) -> None:
        """Note a name for the summary that is no table."""
        if self._is_name(index) and masked(self.tokens[index]) != HIDDEN:
            self.summary.append(self.tokens[index])

    def target(self, index: int) -> None:
        """Note the table that is named here."""
        index = self.skip(index)
        self._note(index, self._end_of_name(index))

    def target_of_column(self, index: int) -> None:
        """Note the table whose column is named here."""
        self._note(index, self._end_of_name(index) - 2)

    def source(self, index: int) -> None:
        """Note the table that is named here, unless it is a CTE, a function, a file or a bracket."""
        index = self.skip(index)
        end = self._end_of_name(index)
        while self.words[end] == ":" and self.words[end + 1] != ":":  # FROM alias: table
            index = self.skip(end + 1)
            end = self._end_of_name(index)
        if self.words[index] == "(":
            self.table_bracket = index
        elif self.words[end] != "(" and not self._is_declared(index, end):
            self._note(index, end)

    def skip(self, index: int) -> int:
        """The position after the words that may stand before a table's name."""
        while self.words[index] in BEFORE_TARGET:
            index += 1
        return index

    def _is_declared(self, index: int, end: int) -> bool:
        declared = self.level.declared
        if end == index + 1:
            return self._is_name(index) and _folded(self.tokens[index]) in declared
        # The table that a recursive CTE with USING KEY has built so far is named like this.
        return end == index + 3 and self.words[index] == "RECURRING" and _folded(self.tokens[index + 2]) in declared

    def _is_name(self, index: int) -> bool:
        return index < len(self.tokens) and is_name(self.tokens[index])

    def _end_of_name(self, index: int) -> int:
        while self._is_name(index) and self.words[index + 1] == "." and self._is_name(index + 2):
            index += 2
        return index + 1

    def _note(self, index: int, end: int) -> None:
        if not self._is_name(index) or (end == index + 1 and self.words[index] in _NO_TARGET):
            return
        parts = self.tokens[index:end]
        if HIDDEN in map(masked, parts):
            return
        target = "".join(parts)
        self.targets[target] = None
        if target not in self.summary[self.since_operation :]:
            self.summary.append(target)


def _folded(name: str) -> str:
    return (name.strip("'") if name[:1] == "'" else unquote(name)).casefold()
