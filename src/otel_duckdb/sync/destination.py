"""The table in ClickHouse: made, widened, and refused where it would not keep rows exactly once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.errors import TargetError
from otel_duckdb.sync.schema import BATCH_COLUMN, DELETED_COLUMN, SOURCE_COLUMN, VERSION_COLUMN
from otel_duckdb.sync.types import backticked

if TYPE_CHECKING:
    from otel_duckdb.sync.config import Table
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.target import Clickhouse

DEDUPLICATION_WINDOW: Final = 10_000
"""Inserts whose tokens a table without replication remembers."""
_PLAIN: Final = re.compile(r"(Replicated|Shared)?MergeTree")
_WINDOW: Final = re.compile(r"non_replicated_deduplication_window = ([1-9]\d*)")


class Destination:
    """The target table of one buffer table."""

    def __init__(self, clickhouse: Clickhouse, options: Table) -> None:
        """Tell where the rows of a table go."""
        self._clickhouse = clickhouse
        self._options = options
        self.name = options.target_name
        self._full = clickhouse.table(self.name)

    def prepare(self, schema: Schema, acknowledged: int) -> None:
        """Make the target table, or add the columns it lacks; `acknowledged` rows it should hold already.

        Raises:
            TargetError: it is gone, is no table that keeps rows exactly once, or has a column of another type.
        """
        statements = self.plan(schema, acknowledged)
        for statement in statements:
            self._clickhouse.command(statement, {"enable_time_time64_type": 1})
        if statements:  # a server may make another table than it was asked for
            self.plan(schema, acknowledged)

    def plan(self, schema: Schema, acknowledged: int) -> list[str]:
        """The statements that would make the target table, or add the columns it lacks; none run here.

        Raises:
            TargetError: as prepare() does.
        """
        wanted = schema.target_columns() | self._own_columns()
        present = self._columns()
        if not present and acknowledged:
            raise TargetError(
                f"table {schema.table!r}: its target {self._full} is gone, though {acknowledged} rows of it were "
                "acknowledged; bring it back, or send what the buffer holds anew with `otel-duckdb sync --reset`"
            )
        if not present:
            return self.creation(schema)
        self._check_engine()
        self._check_types(schema, wanted, present)
        return [
            f"ALTER TABLE {self._full} ADD COLUMN IF NOT EXISTS {backticked(column)} {kind}"
            + (" DEFAULT true" if column in schema.flags() else "")  # rows sent before have NULL there
            for column, kind in wanted.items()
            if column not in present
        ]

    def creation(self, schema: Schema) -> list[str]:
        """The statements that make the target table, where there is none."""
        options = self._options
        columns = schema.target_columns() | self._own_columns()
        lines = [f"{backticked(name)} {kind}" for name, kind in columns.items()]
        if not options.key:
            lines.append(f"INDEX {BATCH_COLUMN}_range {BATCH_COLUMN} TYPE minmax GRANULARITY 1")
        engine = self._engine()
        partition = f" PARTITION BY {options.partition_by}" if options.partition_by else ""
        order = ", ".join(map(backticked, options.key or options.order_by)) or "tuple()"
        window = f" SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        table = (
            f"CREATE TABLE IF NOT EXISTS {self._full} ({', '.join(lines)}) ENGINE = {engine}{partition} "
            f"ORDER BY ({order}){'' if _remembers(engine) else window}"
        )
        return [f"CREATE DATABASE IF NOT EXISTS {backticked(self._clickhouse.database)}", table]

    def stored(self, source: int, batch: int) -> int:
        """How many rows of a batch the target holds."""
        where = f"{SOURCE_COLUMN} = {source} AND {BATCH_COLUMN} = {batch}"
        return int(self._clickhouse.rows(f"SELECT count() FROM {self._full} WHERE {where}")[0][0])

    def replicated(self) -> bool:
        """Whether the target remembers a token together with its rows, so that rows it lacks are only late."""
        where = f"database = {_text(self._clickhouse.database)} AND name = {_text(self.name)}"
        return _remembers(str(self._clickhouse.rows(f"SELECT engine FROM system.tables WHERE {where}")[0][0]))

    def discard(self, source: int, batch: int) -> None:
        """Delete the rows of a batch, of which only some partitions arrived; returns when they are gone."""
        where = f"{SOURCE_COLUMN} = {source} AND {BATCH_COLUMN} = {batch}"
        self._clickhouse.command(f"ALTER TABLE {self._full} DELETE WHERE {where}", {"mutations_sync": 2})

    def last_batch(self, source: int) -> int:
        """The highest batch number of a source that the target holds, 0 where it holds none."""
        return int(
            self._clickhouse.rows(f"SELECT max({BATCH_COLUMN}) FROM {self._full} WHERE {SOURCE_COLUMN} = {source}")[0][
                0
            ]
        )

    def last_version(self) -> int:
        """The highest version of any row that the target of a table with a key holds."""
        return int(self._clickhouse.rows(f"SELECT max({VERSION_COLUMN}) FROM {self._full}")[0][0])

    def _own_columns(self) -> dict[str, str]:
        if self._options.key:
            return {VERSION_COLUMN: "UInt64", DELETED_COLUMN: "UInt8"}
        return {SOURCE_COLUMN: "UInt64", BATCH_COLUMN: "UInt64"}

    def _columns(self) -> dict[str, str]:
        where = f"database = {_text(self._clickhouse.database)} AND table = {_text(self.name)}"
        return dict(self._clickhouse.rows(f"SELECT name, type FROM system.columns WHERE {where}"))  # type: ignore[arg-type]

    def _engine(self) -> str:
        plain = "ReplacingMergeTree" if self._options.key else "MergeTree"
        engine = self._options.engine or plain
        if self._options.key and "(" not in engine:
            engine += f"({VERSION_COLUMN}, {DELETED_COLUMN})"
        return engine

    def _check_engine(self) -> None:
        where = f"database = {_text(self._clickhouse.database)} AND name = {_text(self.name)}"
        engine, full = self._clickhouse.rows(f"SELECT engine, engine_full FROM system.tables WHERE {where}")[0]
        if self._options.key:
            if "Replacing" not in engine or VERSION_COLUMN not in full:
                raise TargetError(
                    f"target {self._full} has engine {full or engine}; a table with a key needs "
                    f"ReplacingMergeTree({VERSION_COLUMN}, {DELETED_COLUMN}): name another target, or remake this one"
                )
        elif not _PLAIN.fullmatch(engine):
            raise TargetError(
                f"target {self._full} has engine {engine}, which does not keep every row; name another target"
            )
        elif not _remembers(engine) and not _WINDOW.search(full):
            raise TargetError(
                f"target {self._full} does not deduplicate inserts; run ALTER TABLE {self._full} MODIFY SETTING "
                f"non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
            )

    def _check_types(self, schema: Schema, wanted: dict[str, str], present: dict[str, str]) -> None:
        for column in self._own_columns():
            if column not in present:
                raise TargetError(
                    f"target {self._full} was not made by this sync: it has no column {column}; run ALTER TABLE "
                    f"{self._full} ADD COLUMN {column} {wanted[column]}, or name another target"
                )
        for column, kind in wanted.items():
            if column in present and _bare(present[column]) != _bare(kind):
                raise TargetError(
                    f"table {schema.table!r}, column {column!r}: target {self._full} has {present[column]}, which does "
                    f"not keep every value; it takes {kind}"
                )


def _remembers(engine: str) -> bool:
    """Whether an engine remembers tokens without being told to."""
    return engine.startswith(("Replicated", "Shared"))


def _bare(kind: str) -> str:
    """A type without what ClickHouse writes otherwise, and without LowCardinality, which changes no value."""
    return re.sub(r"LowCardinality|[()`\\\s]", "", kind)


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
