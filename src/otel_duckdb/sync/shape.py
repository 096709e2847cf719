"""The shape of a target table: engine, sorting, partitions and columns, and whether it keeps rows exactly."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.errors import TargetError
from otel_duckdb.sync.schema import DELETED_COLUMN, VERSION_COLUMN
from otel_duckdb.sync.types import literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.target import Clickhouse

DEDUPLICATION_WINDOW: Final = 10_000
"""Inserts whose tokens a table without replication remembers."""
REPLACING_ARGUMENTS: Final = (VERSION_COLUMN, DELETED_COLUMN)
_PLAIN: Final = re.compile(r"(Replicated|Shared)?MergeTree")
_REPLACING: Final = re.compile(r"(Replicated|Shared)?ReplacingMergeTree")
_WINDOW: Final = re.compile(r"non_replicated_deduplication_window = ([1-9]\d*)")
_ENGINE: Final = re.compile(r"\s*(\w+)\s*(\()?")
_PIECE: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"|.", re.DOTALL)
_ESCAPED: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_NAME: Final = re.compile(r"`((?:[^`\\]|\\.)*)`|([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """One column of a target table; `computed` ones take no values."""

    type: str
    computed: bool
    partitions: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A target table as ClickHouse describes it."""

    full: str
    """Its full name, as SQL."""
    engine: str
    engine_full: str
    sorting_key: str
    columns: dict[str, TargetColumn]

    @property
    def replicated(self) -> bool:
        """Whether it remembers a token together with its rows, so that rows it lacks are only late."""
        return remembers(self.engine)

    @property
    def expires(self) -> bool:
        """Whether it has a TTL."""
        return " TTL " in self.engine_full

    def check(self, schema: Schema, wanted: dict[str, str], own: dict[str, str], *, keyed: bool) -> None:
        """Refuse a table that would not keep rows as the sync means them; `own` are the sync's columns of `wanted`.

        Raises:
            TargetError: the engine, the sorting, the partitions or a column is not as it must be.
        """
        if keyed:
            check_replacing(self.full, self.engine_full or self.engine)
            self._check_columns(schema, wanted, own)
            self._check_sorting(schema)
            self.check_partitions(schema)
        else:
            check_plain(self.full, self.engine)
            self._check_columns(schema, wanted, own)
            if not self.replicated and not _WINDOW.search(self.engine_full):
                raise TargetError(
                    f"target {self.full} does not deduplicate inserts; run ALTER TABLE {self.full} MODIFY SETTING "
                    f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
                )

    def _check_columns(self, schema: Schema, wanted: dict[str, str], own: dict[str, str]) -> None:
        for column, kind in wanted.items():
            present = self.columns.get(column)
            if present is None and column in own:
                raise TargetError(
                    f"target {self.full} was not made by this sync: it has no column {column}; run ALTER TABLE "
                    f"{self.full} ADD COLUMN {column} {kind}, or name another target"
                )
            alike = [name for name in self.columns if present is None and name.lower() == column.lower()]
            if alike:
                raise TargetError(
                    f"table {schema.table!r}: target {self.full} has {alike[0]!r}, and no column {column!r}: "
                    "ClickHouse minds the case of a name; rename one of the two, or name another target"
                )
            if present is not None and present.computed:
                raise TargetError(f"target {self.full} computes its column {column!r} itself; name another target")
            if present is not None and _bare(present.type) != _bare(kind):
                raise TargetError(
                    f"table {schema.table!r}, column {column!r}: target {self.full} has {present.type}, and not "
                    f"{kind}, which keeps each value as it is; name another target, or remake this one"
                )

    def _check_sorting(self, schema: Schema) -> None:
        found = sorting_columns(self.sorting_key)
        if found is None or sorted(found) != sorted(schema.sorting):
            raise TargetError(
                f"target {self.full} is sorted by ({self.sorting_key}), and rows replace each other by that; a table "
                f"with a key needs ORDER BY ({', '.join(schema.sorting)}): name another target, or remake this one"
            )

    def check_partitions(self, schema: Schema) -> None:
        """Refuse partitions that depend on more than the key: rows of two partitions do not replace each other.

        Raises:
            TargetError: they do.
        """
        foreign = [name for name, one in self.columns.items() if one.partitions and name not in schema.sorting]
        if foreign:
            raise TargetError(
                f"target {self.full} is partitioned by {', '.join(foreign)}, which the key lacks, so that a row that "
                "changes its partition would not replace its earlier self; partition by columns of the key alone"
            )


def check_plain(full: str, engine: str) -> None:
    """Refuse an engine that does not keep every row.

    Raises:
        TargetError: it merges rows, or is no table of its own.
    """
    if not _PLAIN.fullmatch(engine):
        local = "; name the local table behind it" if engine == "Distributed" else "; name another target"
        raise TargetError(f"target {full} has engine {engine}, which does not keep every row{local}")


def check_replacing(full: str, text: str) -> None:
    """Refuse an engine that does not replace by version and deletion.

    Raises:
        TargetError: it does not.
    """
    name, arguments = engine_of(text)
    if not _REPLACING.fullmatch(name) or tuple(arguments[-2:]) != REPLACING_ARGUMENTS or _odd(arguments[:-2]):
        shown = f"{name}({', '.join(arguments)})" if arguments else name
        raise TargetError(
            f"target {full} has engine {shown}; a table with a key needs "
            f"ReplacingMergeTree({', '.join(REPLACING_ARGUMENTS)}): name another target, or remake this one"
        )


def _odd(arguments: list[str]) -> bool:
    """Whether arguments before the version are others than a path and a replica's name."""
    return not all(one.startswith("'") for one in arguments)


def remembers(engine: str) -> bool:
    """Whether an engine remembers tokens without being told to."""
    return engine.startswith(("Replicated", "Shared"))


def engine_of(text: str) -> tuple[str, list[str]]:
    """The name and the arguments of an engine, as in "ReplacingMergeTree(version)"."""
    found = _ENGINE.match(text)
    if found is None:
        return text, []
    if not found[2]:
        return found[1], []
    arguments = _split(text[found.end() :])
    return found[1], [_bare_name(argument) for argument in arguments if argument]


def _split(text: str) -> list[str]:
    """What commas part, up to a bracket that closes more than was opened, or the end."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece in "([") - (piece in ")]")
        if depth < 0:
            break
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return [part.strip() for part in parts]


def sorting_columns(text: str) -> list[str] | None:
    """The columns of a sorting key, None where it is more than columns."""
    if not text.strip() or text.strip() == "tuple()":
        return []
    inner = _split(text.strip()[1:])
    if text.strip().startswith("(") and text.strip() == f"({', '.join(inner)})":
        return sorting_columns(", ".join(inner))
    names = [_NAME.fullmatch(part) for part in _split(text)]
    return None if None in names else [_unquoted(name) for name in names if name]


def _unquoted(name: re.Match[str]) -> str:
    return name[2] or re.sub(r"\\(.)", lambda found: _ESCAPED.get(found[1], found[1]), name[1])


def _bare_name(argument: str) -> str:
    found = _NAME.fullmatch(argument)
    return _unquoted(found) if found else argument


def _bare(kind: str) -> str:
    """A type without what ClickHouse writes otherwise, and without LowCardinality, which changes no value."""
    return re.sub(r"LowCardinality|[()`\\\s]", "", kind)


def read_shapes(clickhouse: Clickhouse, names: Sequence[str]) -> dict[str, Shape | None]:
    """Tables of the target's database as they are, None for one that is not there; raises what `clickhouse` does."""
    shapes: dict[str, Shape | None] = dict.fromkeys(names)
    database, wanted = f"database = {literal(clickhouse.database)}", ", ".join(map(literal, names))
    found = clickhouse.rows(
        f"SELECT name, engine, engine_full, sorting_key FROM system.tables WHERE {database} AND name IN ({wanted})"
    )
    columns = read_columns(clickhouse, f"{database} AND table IN ({wanted})") if found else {}
    for name, engine, engine_full, sorting_key in found:
        shapes[name] = Shape(clickhouse.table(name), engine, engine_full, sorting_key, columns.get(name, {}))
    return shapes


def read_columns(clickhouse: Clickhouse, where: str) -> dict[str, dict[str, TargetColumn]]:
    """The columns of tables, by table and name."""
    columns: dict[str, dict[str, TargetColumn]] = {}
    query = f"SELECT table, name, type, default_kind, is_in_partition_key FROM system.columns WHERE {where}"
    for table, name, kind, default_kind, partitions in clickhouse.rows(query):
        computed = default_kind not in ("", "DEFAULT")
        columns.setdefault(table, {})[name] = TargetColumn(kind, computed, bool(partitions))
    return columns
