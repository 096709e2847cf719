"""Finds the table that a configured name means, as DuckDB does: without regard to case, and in no other's stead."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from otel_duckdb.sync.errors import SyncConfigError
from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from duckdb import DuckDBPyConnection

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
        self._locations = locations
        self._spelled: dict[str, list[Location]] = {}
        for one in locations:
            for spelling in _spellings(one):
                self._spelled.setdefault(spelling, []).append(one)

    def __iter__(self) -> Iterator[Location]:
        """All of them."""
        return iter(self._locations)

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
                f"table {name!r} is not in the DuckDB database; name a table (no view, no temporary table), with its "
                "schema if that is not 'main'"
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
        "SELECT database_name, schema_name, table_name FROM duckdb_tables() WHERE NOT temporary AND NOT internal"
    ).fetchall()
    return Tables([Location(*row) for row in rows])


def _spellings(one: Location) -> set[str]:
    spellings = {".".join(one), one.shown, f"{one.schema}.{one.table}"}
    spellings |= {one.table} if one.schema == _DEFAULT_SCHEMA else set()
    return {spelling.lower() for spelling in spellings}


def named_databases(found: Tables, names: Sequence[str]) -> set[str]:
    """The databases that names of three parts ask for."""
    wanted = {name.lower() for name in names}
    return {one.database for one in found if wanted & {".".join(one).lower(), one.shown.lower()}}
