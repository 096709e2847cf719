"""A buffer table as it stands: its columns, how each travels, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import duckdb

from otel_duckdb.sync.errors import SyncConfigError, SyncError, UnsupportedTypeError
from otel_duckdb.sync.identity import KEY_FORMS, hash_arguments
from otel_duckdb.sync.types import Kind, of_name, quoted
from otel_duckdb.sync.wire import travelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection

    from otel_duckdb.sync.names import Location

SOURCE_COLUMN: Final = "_sync_source"
BATCH_COLUMN: Final = "_sync_batch"
VERSION_COLUMN: Final = "_sync_version"
DELETED_COLUMN: Final = "_sync_deleted"
RESERVED: Final = "otel_duckdb_"
_OURS: Final = (SOURCE_COLUMN, BATCH_COLUMN, VERSION_COLUMN, DELETED_COLUMN)

Signature = tuple[tuple[str, str, bool], ...]
"""A table's columns in order, each by its name, DuckDB type, and whether it takes NULL."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a buffer table; `required` ones may hold no NULL, because the target sorts by them."""

    name: str
    type: str
    optional: bool
    kind: Kind
    required: bool = False

    @property
    def flag(self) -> str | None:
        """The target column that keeps NULL apart from an empty list, map or struct, where there is need of one."""
        return f"{self.name}_is_null" if self.kind.composite and self.optional else None

    @property
    def expression(self) -> str:
        """The column in the form that travels, as SQL."""
        return f"{travelling(self.kind, quoted(self.name))} AS {quoted(self.name)}"

    @property
    def enumeration(self) -> bool:
        """Whether it is an ENUM, rather than a list of some."""
        return is_enumeration(self.type)

    @property
    def target_type(self) -> str:
        """The type of the target's column."""
        if self.required:
            return self.kind.clickhouse
        if self.enumeration:
            return f"LowCardinality({self.kind.nullable})"
        return self.kind.nullable


@dataclass(frozen=True, slots=True)
class Schema:
    """A buffer table: its name in the journal, its full name as SQL, its columns, and those the target sorts by."""

    table: str
    reference: str
    columns: tuple[Column, ...]
    sorting: tuple[str, ...]
    location: Location

    @property
    def signature(self) -> Signature:
        """What a change of the table changes."""
        return tuple((column.name, column.type, column.optional) for column in self.columns)

    def has_columns(self, found: Iterable[tuple[str, str, bool]]) -> bool:
        """Whether a description of the table has just these columns, in any order."""
        return sorted(found) == sorted(self.signature)

    @property
    def row_hash(self) -> str:
        """The hash of the values of a row of `buffer`, as SQL; the same on every line of DuckDB so far."""
        parts = (hash_arguments(column.kind, f"buffer.{quoted(column.name)}") for column in self.columns)
        return f"hash({', '.join(parts)})"

    @property
    def selection(self) -> str:
        """The columns in the form that travels, then their NULL flags, as SQL."""
        flags = (f"{quoted(column.name)} IS NULL AS {quoted(column.flag)}" for column in self.columns if column.flag)
        return ", ".join([*(column.expression for column in self.columns), *flags])

    def arranged(self, known: Signature) -> Schema:
        """The table with its columns in the order of `known`, then those it lacks: the order that hashes are taken in.

        Hashes tell values apart by their places. Columns that changed their names with each other have other hashes
        thereby, and a table made anew with its columns in another order has the same.
        """
        places = {name: place for place, (name, _, _) in enumerate(known)}
        columns = sorted(self.columns, key=lambda column: places.get(column.name, len(places)))
        return replace(self, columns=tuple(columns))

    def only(self, names: Iterable[str]) -> Schema:
        """The table with some of its columns."""
        wanted = set(names)
        return replace(self, columns=tuple(column for column in self.columns if column.name in wanted))

    @property
    def sorted_by(self) -> list[Column]:
        """The columns that the target sorts by, in order."""
        columns = {column.name: column for column in self.columns}
        return [columns[name] for name in self.sorting]

    def target_columns(self) -> dict[str, str]:
        """The target's columns for this table's, name to ClickHouse type."""
        columns = {column.name: column.target_type for column in self.columns}
        return columns | {column.flag: "Bool" for column in self.columns if column.flag}

    def target_names(self, known: Signature) -> list[str]:
        """The target's columns for those that this table had as `known` tells."""
        columns = {column.name: column for column in self.columns}
        had = [replace(columns[name], optional=optional) for name, _, optional in known if name in columns]
        return [name for column in had for name in (column.name, column.flag) if name]

    def flags(self) -> set[str]:
        """The target's columns that tell NULL from empty."""
        return {column.flag for column in self.columns if column.flag}


def is_enumeration(kind: str) -> bool:
    """Whether a DuckDB type is an ENUM, rather than a list of some."""
    return kind.startswith("ENUM(") and kind.endswith(")")


def _kind(cursor: DuckDBPyConnection, table: str, column: str, kind: str, times: bool) -> Kind:
    try:
        return of_name(cursor, kind, times)
    except UnsupportedTypeError as error:
        raise UnsupportedTypeError(
            f"table {table!r}, column {column!r} holds {error}; leave the column out of the buffer, or cast it there"
        ) from None


def _refuse_names(table: str, names: Sequence[str]) -> None:
    lowered = [name.lower() for name in names]
    for name in names:
        if name.lower() == "rowid":
            raise UnsupportedTypeError(
                f"table {table!r} has a column named 'rowid', which hides DuckDB's own; rename the column"
            )
        if name.lower() in _OURS or (name.lower().endswith("_is_null") and lowered.count(name.lower()) > 1):
            raise UnsupportedTypeError(
                f"table {table!r}, column {name!r} has a name the sync needs in the target; rename the column"
            )


def read_schema(
    cursor: DuckDBPyConnection, location: Location, sorting: Sequence[str] = (), times: bool = True
) -> Schema:
    """Read the definition of a buffer table; `sorting` are the columns that the target sorts by, in any case.

    Raises:
        SyncConfigError: the table is gone, or a column is not in it.
        UnsupportedTypeError: a column's type or name has no place in ClickHouse.
    """
    table = location.journal_name
    rows = describe(cursor, location)
    found = {column.lower(): column for column, _, _ in rows}
    for column in sorting:
        if column.lower() not in found:
            raise SyncConfigError(
                f"tables: {table} has no column {column!r}; its columns are {', '.join(found.values())}"
            )
    required = tuple(dict.fromkeys(found[column.lower()] for column in sorting))
    columns = tuple(
        Column(column, kind, optional, _kind(cursor, table, column, kind, times), column in required)
        for column, kind, optional in rows
    )
    flags = [column.flag for column in columns if column.flag]
    _refuse_names(table, [*found.values(), *flags])
    return Schema(table, location.reference, columns, required, location)


def describe(cursor: DuckDBPyConnection, location: Location) -> Signature:
    """The columns of a table as it stands: name, DuckDB type, and whether it takes NULL.

    Raises:
        SyncConfigError: the table is gone.
    """
    try:
        rows = cursor.execute(
            'SELECT name, type, NOT "notnull" FROM pragma_table_info($1) ORDER BY cid ASC', [location.reference]
        ).fetchall()
    except duckdb.CatalogException:
        rows = _described_by_parts(cursor, location)
    if not rows:
        raise SyncConfigError(
            f"table {location.journal_name!r} is gone from the DuckDB database; bring it back, tell the sync where it "
            "went with `otel-duckdb sync --rename OLD=NEW`, or leave it out"
        )
    return tuple(rows)


def _described_by_parts(cursor: DuckDBPyConnection, location: Location) -> list[tuple[str, str, bool]]:
    """Read the columns from the list of all: DuckDB 1.4 cannot describe a full name with a quote in it."""
    return cursor.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE database_name = $1 AND schema_name = $2 AND table_name = $3 ORDER BY column_index ASC",
        list(location),
    ).fetchall()


def refuse_keys(schema: Schema) -> None:
    """Refuse a key that ClickHouse cannot sort by, and columns that are named as what the comparison adds to them.

    Raises:
        UnsupportedTypeError: a column of the key is a list, a struct or a map, or a column has a name of ours.
    """
    for name in (column.name for column in schema.columns):
        if name.lower().startswith(RESERVED):
            raise UnsupportedTypeError(
                f"table {schema.table!r}, column {name!r}: in a table with a key, names that begin with {RESERVED!r} "
                "are the sync's own; rename the column"
            )
    for column in schema.sorted_by:
        if column.kind.form not in KEY_FORMS:
            raise UnsupportedTypeError(
                f"table {schema.table!r}, column {column.name!r} ({column.type}) cannot be sorted by in ClickHouse; "
                "name other columns"
            )


def added(schema: Schema, before: Signature) -> bool:
    """Whether columns were added to a table since `before`, which had none that are gone or changed.

    Raises:
        SyncError: a column is gone or has another type.
    """
    now = {name: kind for name, kind, _ in schema.signature}
    for name, kind, _ in before:
        grown = is_enumeration(kind) and is_enumeration(now.get(name, ""))  # text in the target, whatever its values
        if now.get(name) != kind and not grown:
            change = "is gone" if name not in now else f"is now {now[name]}"
            raise SyncError(
                f"table {schema.table!r}, column {name!r} ({kind}) {change}; rows already sent keep the old form: "
                f"bring the column back, or start over with `otel-duckdb sync --reset {schema.table}`"
            )
    return schema.signature != before
