"""A buffer table as it stands: its columns, how each travels, and where it goes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.errors import SyncConfigError, SyncError, UnsupportedTypeError
from otel_duckdb.sync.types import Kind, of_name, quoted

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from duckdb import DuckDBPyConnection

SOURCE_COLUMN: Final = "_sync_source"
BATCH_COLUMN: Final = "_sync_batch"
VERSION_COLUMN: Final = "_sync_version"
DELETED_COLUMN: Final = "_sync_deleted"
_FLOATS: Final = frozenset({"FLOAT", "DOUBLE"})
_AS_TEXT: Final = frozenset({"HUGEINT", "UHUGEINT", "UUID", "INTERVAL"})
_DIGITS_OF_64_BITS: Final = 18
_OURS: Final = (SOURCE_COLUMN, BATCH_COLUMN, VERSION_COLUMN, DELETED_COLUMN)

Signature = tuple[tuple[str, str, bool], ...]
"""Of each column its name, DuckDB type, and whether it takes NULL."""


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
        return f"CAST({quoted(self.name)} AS {self.kind.wire}) AS {quoted(self.name)}"

    def fingerprint(self, row: str) -> str:
        """What DuckDB's hash() is to be given of `row` so that two values differ, as SQL.

        By itself it gives one hash to 0.0 and -0.0, to 30 days and a month, to NULL and an empty list, and to numbers
        of 128 bits whose halves cancel out, such as 0 and -1.
        """
        name = f"{row}.{quoted(self.name)}"
        if self.kind.composite and "WITH TIME ZONE" in self.type:  # its text depends on the session's time zone
            return f"{name}, {name} IS NULL"
        if self.type in _FLOATS:
            return f"{name}, signbit({name})"
        if self.kind.composite or self.type in _AS_TEXT or self.enumeration or self._wide_decimal:
            return f"CAST({name} AS VARCHAR)"
        return name

    @property
    def _wide_decimal(self) -> bool:
        return self.type.startswith("DECIMAL(") and int(self.type[8:].split(",")[0]) > _DIGITS_OF_64_BITS

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
    """A buffer table: its full name as SQL, and its columns."""

    table: str
    reference: str
    columns: tuple[Column, ...]

    @property
    def signature(self) -> Signature:
        """What a change of the table changes."""
        return tuple((column.name, column.type, column.optional) for column in self.columns)

    @property
    def row_hash(self) -> str:
        """The hash of the values of a row of `buffer`, as SQL; the same on every line of DuckDB so far."""
        return f"hash({', '.join(column.fingerprint('buffer') for column in self.columns)})"

    @property
    def selection(self) -> str:
        """The columns in the form that travels, then their NULL flags, as SQL."""
        flags = (f"{quoted(column.name)} IS NULL AS {quoted(column.flag)}" for column in self.columns if column.flag)
        return ", ".join([*(column.expression for column in self.columns), *flags])

    def only(self, names: Iterable[str]) -> Schema:
        """The table with some of its columns."""
        wanted = set(names)
        return replace(self, columns=tuple(column for column in self.columns if column.name in wanted))

    def target_columns(self) -> dict[str, str]:
        """The target's columns for this table's, name to ClickHouse type."""
        columns = {column.name: column.target_type for column in self.columns}
        return columns | {column.flag: "Bool" for column in self.columns if column.flag}

    def flags(self) -> set[str]:
        """The target's columns that tell NULL from empty."""
        return {column.flag for column in self.columns if column.flag}


def is_enumeration(kind: str) -> bool:
    """Whether a DuckDB type is an ENUM, rather than a list of some."""
    return kind.startswith("ENUM(") and kind.endswith(")")


def find(cursor: DuckDBPyConnection, name: str) -> tuple[str, str, str]:
    """The database, schema and name of a table given as 'ticks' or 'main.ticks'.

    Raises:
        SyncConfigError: there is no such table.
    """
    found = cursor.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE database_name = current_database() "
        "AND NOT temporary AND (schema_name || '.' || table_name = $1 OR (table_name = $1 AND schema_name = 'main'))",
        [name],
    ).fetchall()
    if len(found) != 1:
        raise SyncConfigError(
            f"table {name!r} is not in the DuckDB database; name a table (no view, no temporary table), with its "
            "schema if that is not 'main'"
        )
    database, schema, table = found[0]
    return database, schema, table


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


def read(cursor: DuckDBPyConnection, name: str, required: Sequence[str] = (), times: bool = True) -> Schema:
    """Read the definition of a buffer table; `required` columns are those the target sorts by.

    Raises:
        SyncConfigError: there is no such table, or a required column is not in it.
        UnsupportedTypeError: a column's type or name has no place in ClickHouse.
    """
    database, schema, table = find(cursor, name)
    rows = cursor.execute(
        "SELECT column_name, data_type, is_nullable FROM duckdb_columns() "
        "WHERE database_name = $1 AND schema_name = $2 AND table_name = $3 ORDER BY column_index ASC",
        [database, schema, table],
    ).fetchall()
    names = [column for column, _, _ in rows]
    for column in required:
        if column not in names:
            raise SyncConfigError(f"tables: {name} has no column {column!r}; its columns are {', '.join(names)}")
    columns = tuple(
        Column(column, kind, bool(optional), _kind(cursor, name, column, kind, times), column in required)
        for column, kind, optional in rows
    )
    flags = [column.flag for column in columns if column.flag]
    _refuse_names(name, [*names, *flags])
    return Schema(name, ".".join(map(quoted, (database, schema, table))), columns)


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
                "bring the column back, or start over with `otel-duckdb sync --reset`"
            )
    return schema.signature != before
