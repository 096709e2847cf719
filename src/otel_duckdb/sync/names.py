"""Finds the table that a configured name means, as DuckDB does: without regard to case, and in no other's stead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from otel_duckdb.sync.errors import SyncConfigError
from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from duckdb import DuckDBPyConnection

JOURNAL_SCHEMA: Final = "otel_duckdb_sync"
_DEFAULT_SCHEMA = "main"
_PARTS = 3


class Location(NamedTuple):
    """Where a table is, in DuckDB's own spelling."""

    database: str
    schema: str
    table: str

    @property
    def reference(self) -> str:
        """The full name, as SQL."""
        return ".".join(map(quoted, self))

    @property
    def shown(self) -> str:
        """The full name, with quotes around the parts that have a dot or a quote in them."""
        return ".".join(quoted(part) if "." in part or '"' in part else part for part in self)

    @property
    def journal_name(self) -> str:
        """The name the journal knows it by, whatever way the configuration spells it: 'ticks', or 'book.ticks'."""
        return self.table if self.schema == _DEFAULT_SCHEMA else f"{self.schema}.{self.table}"


class Tables:
    """Tables, each found by any way to spell its name."""

    def __init__(self, locations: Sequence[Location]) -> None:
        """Take the tables of all attached databases."""
        self._spelled: dict[str, list[Location]] = {}
        self._databases: dict[str, str] = {}
        for one in locations:
            for spelling in _spellings(one):
                self._spelled.setdefault(spelling, []).append(one)
            self._databases |= dict.fromkeys(_full(one), one.database)
        for one in locations:
            short = f"{one.database}.{one.table}".lower()  # 'buffer.ticks', where no schema has the database's name
            if one.schema == _DEFAULT_SCHEMA and short not in self._spelled:
                self._spelled[short] = [one]
                self._databases[short] = one.database

    def named_databases(self, names: Sequence[str]) -> set[str]:
        """The databases of the names that say which."""
        return {self._databases[name.lower()] for name in names if name.lower() in self._databases}

    def find(self, name: str, database: str, journalled: Collection[str] = ()) -> Location:
        """The table that a name means: 'ticks', 'main.ticks' or 'buffer.main.ticks'; `database` is the sync's own.

        A name that is in several attached databases means the one whose rows were sent before: `journalled` are the
        journal's names.

        Raises:
            SyncConfigError: there is no such table, more than one, or only one in another database.
        """
        matching = self._spelled.get(name.lower(), [])
        own = [one for one in matching if one.database == database and one.journal_name in journalled]
        matching = own if len(own) == 1 else matching
        if not matching:
            raise SyncConfigError(
                f"table {name!r} is not in the DuckDB database; name a table (no view, no temporary table, none of the "
                "sync's own), with its schema if that is not 'main'"
            )
        if len(matching) > 1:
            places = ", ".join(sorted(one.shown for one in matching))
            raise SyncConfigError(f"table {name!r} may mean {places}; name it with its database and schema")
        if matching[0].database != database:
            raise SyncConfigError(
                f"table {name!r} is in the attached database {matching[0].database!r}, and this sync works in "
                f"{database!r}; name all tables with their database, as in {matching[0].shown!r}, and give each "
                "database a Sync of its own"
            )
        return matching[0]


def tables(cursor: DuckDBPyConnection) -> Tables:
    """All tables of all attached databases, without views, temporary tables and DuckDB's own."""
    rows = cursor.execute(
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() "
        f"WHERE NOT temporary AND NOT internal AND schema_name <> '{JOURNAL_SCHEMA}'"
    ).fetchall()
    return Tables([Location(*row) for row in rows])


def _full(one: Location) -> set[str]:
    return {".".join(one).lower(), one.shown.lower()}


def _spellings(one: Location) -> set[str]:
    short = {one.table.lower()} if one.schema == _DEFAULT_SCHEMA else set()
    return {*_full(one), f"{one.schema}.{one.table}".lower(), *short}
