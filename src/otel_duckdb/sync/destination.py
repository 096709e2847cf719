"""The table in ClickHouse: made, widened, and refused where it would not keep rows exactly once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.errors import TargetChangedError
from otel_duckdb.sync.schema import BATCH_COLUMN, DELETED_COLUMN, SOURCE_COLUMN, VERSION_COLUMN
from otel_duckdb.sync.shape import (
    DEDUPLICATION_WINDOW,
    REPLACING_ARGUMENTS,
    Shape,
    check_plain,
    check_replacing,
    engine_of,
    read_columns,
    read_shapes,
    remembers,
)
from otel_duckdb.sync.types import backticked, literal

if TYPE_CHECKING:
    from otel_duckdb.sync.config import Table
    from otel_duckdb.sync.inventory import Seen
    from otel_duckdb.sync.schema import Schema, Signature
    from otel_duckdb.sync.target import Clickhouse

_TIMES: Final = {"enable_time_time64_type": 1}
_TRIAL: Final = "otel_duckdb_trial"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a target holds of one source: its rows, and its highest batch or version."""

    rows: int
    last: int


class Destination:
    """The target table of one buffer table."""

    def __init__(self, clickhouse: Clickhouse, options: Table, seen: Seen | None = None) -> None:
        """Tell where the rows of a table go, and what the target table was a moment ago, where that is known."""
        self._clickhouse = clickhouse
        self._options = options
        self._seen = seen
        self.name = options.target_name
        self.full = clickhouse.table(self.name)
        self._cluster = f" ON CLUSTER {backticked(clickhouse.cluster)}" if clickhouse.cluster else ""

    def prepare(self, schema: Schema, acknowledged: int, known: Signature = ()) -> None:
        """Make the target table, or add the columns it lacks; `acknowledged` rows it should hold, with `known` columns.

        A table, or a database, that was made here and turns out to be wrong is removed again.

        Raises:
            TargetError: it is gone, is no table that keeps rows exactly once, or has a column of another type.
        """
        statements = self._plan(schema, acknowledged, known, self._seen.shape() if self._seen else self.shape())
        made: list[str] = []
        if statements and self._seen is not None:
            self._seen.changed()
        try:
            for statement in statements:
                self._clickhouse.command(statement, _TIMES)
                made += [statement] if statement.startswith("CREATE") else []
            if statements:  # a server may make another table than it was asked for
                self.plan(schema, acknowledged, known)
        except Exception:
            with suppress(Exception):
                self._undo(made)
            raise

    def _undo(self, made: list[str]) -> None:
        """Remove what was made just now, as long as it is empty."""
        if any(one.startswith("CREATE TABLE") for one in made) and not self._total():
            self._clickhouse.command(f"DROP TABLE {self.full}{self._cluster} SYNC")
        if any(one.startswith("CREATE DATABASE") for one in made):
            database = self._clickhouse.database
            if not self._clickhouse.rows(f"SELECT 1 FROM system.tables WHERE database = {literal(database)} LIMIT 1"):
                self._clickhouse.command(f"DROP DATABASE {backticked(database)}{self._cluster}")

    def plan(self, schema: Schema, acknowledged: int, known: Signature = ()) -> list[str]:
        """The statements that would make the target table, or add the columns it lacks; none run here.

        Raises:
            TargetError: as prepare() does.
        """
        return self._plan(schema, acknowledged, known, self.shape())

    def _plan(self, schema: Schema, acknowledged: int, known: Signature, shape: Shape | None) -> list[str]:
        wanted = self._wanted(schema)
        if shape is None and acknowledged:
            raise TargetChangedError(
                f"table {schema.table!r}: its target {self.full} is gone, though {acknowledged} rows of it were "
                f"acknowledged; bring it back, or send what the buffer holds anew with `otel-duckdb sync --reset "
                f"{schema.table}`"
            )
        if shape is None:
            database = literal(self._clickhouse.database)
            there = self._clickhouse.rows(f"SELECT 1 FROM system.databases WHERE name = {database}")
            return self.creation(schema)[1 if there else 0 :]
        shape.check(schema, wanted, self._own_columns(), keyed=bool(self._options.key))
        missing = wanted.keys() - shape.columns
        if acknowledged:
            self._refuse_lost(schema, [name for name in schema.target_names(known) if name in missing], acknowledged)
        # Rows sent before have NULL in a column that is new; of one that only takes NULL since, they have a value.
        unknown = {column.flag for column in schema.columns if column.flag and column.name in missing}
        return [
            f"ALTER TABLE {self.full}{self._cluster} ADD COLUMN IF NOT EXISTS {backticked(column)} {kind}"
            + (" DEFAULT true" if column in unknown else "")
            for column, kind in wanted.items()
            if column in missing
        ]

    def _refuse_lost(self, schema: Schema, lost: list[str], acknowledged: int) -> None:
        if lost:
            raise TargetChangedError(
                f"table {schema.table!r}: its target {self.full} has no column {lost[0]!r} any more, though "
                f"{acknowledged} rows were acknowledged with it; bring it back with its values, or send what the "
                f"buffer holds anew with `otel-duckdb sync --reset {schema.table}`"
            )

    def creation(self, schema: Schema) -> list[str]:
        """The statements that make the target's database, and the target table, where there is none.

        Raises:
            TargetError: the engine would not keep rows exactly once.
        """
        database = f"CREATE DATABASE IF NOT EXISTS {backticked(self._clickhouse.database)}{self._cluster}"
        return [database, f"CREATE TABLE IF NOT EXISTS {self.full}{self._cluster} {self._definition(schema)}"]

    def _definition(self, schema: Schema, engine: str | None = None) -> str:
        lines = [f"{backticked(name)} {kind}" for name, kind in self._wanted(schema).items()]
        if not self._options.key:
            lines.append(f"INDEX {BATCH_COLUMN}_range {BATCH_COLUMN} TYPE minmax GRANULARITY 1")
        engine = engine or self._engine()
        partition = f" PARTITION BY {self._options.partition_by}" if self._options.partition_by else ""
        order = ", ".join(map(backticked, schema.sorting)) or "tuple()"
        window = "" if remembers(engine) else f" SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}"
        return f"({', '.join(lines)}) ENGINE = {engine}{partition} ORDER BY ({order}){window}"

    def try_creation(self, schema: Schema) -> None:
        """Let ClickHouse check what would be created, on a temporary table that ends with the call.

        A Replicated or Shared engine is tried without the replication.

        Raises:
            TargetError: the partitions do not suit the key.
            Exception: as clickhouse-connect raises it, ClickHouse would refuse the table.
        """
        name, arguments = engine_of(self._engine())
        plain = name.removeprefix("Replicated").removeprefix("Shared")
        inner = ", ".join(one for one in arguments if not one.startswith("'"))
        definition = self._definition(schema, f"{plain}({inner})" if inner else plain)
        trial = backticked(_TRIAL)
        with self._clickhouse.session() as session:
            session.command(f"CREATE TEMPORARY TABLE {trial} {definition}", _TIMES)
            try:
                if self._options.key:
                    columns = read_columns(session, f"table = {literal(_TRIAL)}").get(_TRIAL, {})
                    Shape(self.full, plain, "", "", columns).check_partitions(schema)
            finally:
                session.command(f"DROP TEMPORARY TABLE {trial}")

    def stored(self, source: int, batch: int) -> int:
        """How many rows of a batch the target holds."""
        where = f"{SOURCE_COLUMN} = {source:d} AND {BATCH_COLUMN} = {batch:d}"
        return int(self._clickhouse.rows(f"SELECT count() FROM {self.full} WHERE {where}")[0][0])

    def replicated(self) -> bool:
        """Whether the target remembers a token together with its rows, so that rows it lacks are only late."""
        shape = self.shape()
        return shape is not None and shape.replicated

    def discard(self, source: int, batch: int | None = None) -> None:
        """Delete the rows of a batch, or of a whole source; returns when they are gone."""
        where = f"{SOURCE_COLUMN} = {source:d}" + ("" if batch is None else f" AND {BATCH_COLUMN} = {batch:d}")
        self._clickhouse.command(f"ALTER TABLE {self.full}{self._cluster} DELETE WHERE {where}", {"mutations_sync": 2})

    def holdings(self) -> dict[int, Holding]:
        """What the target holds of each source; source 0 are rows from before it had a column for that."""
        last = VERSION_COLUMN if self._options.key else BATCH_COLUMN
        rows = self._clickhouse.rows(
            f"SELECT {SOURCE_COLUMN}, count(), max({last}) FROM {self.full} GROUP BY {SOURCE_COLUMN}"
        )
        return {int(source): Holding(int(count), int(highest)) for source, count, highest in rows}

    def live(self, source: int) -> tuple[int, int]:
        """How many keys of a source are not deleted, and the sum of their versions."""
        query = f"SELECT count(), sum({VERSION_COLUMN}) FROM {self.full} FINAL WHERE {SOURCE_COLUMN} = {source:d}"
        ((count, versions),) = self._clickhouse.rows(query)
        return int(count), int(versions)

    def shape(self) -> Shape | None:
        """The target table as it is, None where there is none."""
        return read_shapes(self._clickhouse, [self.name])[self.name]

    def _total(self) -> int:
        return int(self._clickhouse.rows(f"SELECT count() FROM {self.full}")[0][0])

    def _wanted(self, schema: Schema) -> dict[str, str]:
        wanted = schema.target_columns() | self._own_columns()
        return wanted | {SOURCE_COLUMN: "UInt64"}

    def _own_columns(self) -> dict[str, str]:
        """The sync's own columns that a table must have before it is filled; others are added."""
        if self._options.key:
            return {VERSION_COLUMN: "UInt64", DELETED_COLUMN: "UInt8"}
        return {SOURCE_COLUMN: "UInt64", BATCH_COLUMN: "UInt64"}

    def _engine(self) -> str:
        """The engine to create the table with.

        Raises:
            TargetError: it would not keep rows exactly once.
        """
        keyed = bool(self._options.key)
        engine = self._options.engine or ("ReplacingMergeTree" if keyed else "MergeTree")
        if keyed and "(" not in engine:
            engine += f"({', '.join(REPLACING_ARGUMENTS)})"
        if keyed:
            check_replacing(self.full, engine)
        else:
            check_plain(self.full, engine_of(engine)[0])
        return engine
