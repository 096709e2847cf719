"""What the journal remembers of the rows of a table with a key, and how the buffer differs from that, as SQL.

Of each row that was sent it keeps the key, the hash of the row, and the version it was sent under. The hash is NULL
where the row may not have arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.types import Form, quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_duckdb.sync.schema import Column, Schema

HASH: Final = "otel_duckdb_row_hash"
VERSION: Final = "otel_duckdb_version"
ROW: Final = "otel_duckdb_rowid"
_KEY: Final = "otel_duckdb_key_"


@dataclass(frozen=True, slots=True)
class Keys:
    """The remembered keys of one table: the table that holds them, and the buffer table they are compared with."""

    table: str
    """Its full name, as SQL."""
    schema: Schema

    @property
    def creation(self) -> str:
        """The statement that makes the table where there is none."""
        columns = (f"{quoted(column.name)} {_remembered_type(column)}" for column in self.schema.sorted_by)
        return f"CREATE TABLE IF NOT EXISTS {self.table} ({', '.join(columns)}, {HASH} UBIGINT, {VERSION} UBIGINT)"

    @property
    def differing(self) -> str:
        """From the buffer's rows (`buffer`) those that are not remembered as they are."""
        return (
            f"FROM {self._buffer(hashes=True)} ANTI JOIN {self._sent} ON {self._same} AND buffer.{HASH} = sent.{HASH}"
        )

    @property
    def gone(self) -> str:
        """From the remembered keys (`sent`) those that the buffer no longer holds."""
        return f"FROM {self._sent} ANTI JOIN {self._buffer(hashes=False)} ON {self._same}"

    @property
    def comparison(self) -> str:
        """A query of one row for unchanged(): what is remembered, what of it arrived, and how the buffer fits it.

        One join does for both directions; by two anti joins it would take twice the time.
        """
        return (
            "SELECT known.remembered, known.arrived, compared.together, compared.odd "
            f"FROM (SELECT count(*) AS remembered, count({HASH}) AS arrived FROM {self.table}) AS known, "
            f"(SELECT count(*) AS together, "
            f"count(*) FILTER (buffer.{HASH} IS NULL OR sent.{HASH} IS NULL OR buffer.{HASH} <> sent.{HASH}) AS odd "
            f"FROM {self._buffer(hashes=True)} FULL JOIN {self._sent} ON {self._same}) AS compared"
        )

    @property
    def duplicates(self) -> str:
        """A query for how many keys more than one row of the buffer has."""
        keys = ", ".join(self._aliases)
        return (
            f"SELECT count(*) FROM (SELECT {keys} FROM {self._buffer(hashes=False)} GROUP BY {keys} "
            "HAVING count(*) > 1)"
        )

    def removal(self, batch: str) -> str:
        """The statement that forgets the keys of a registered batch."""
        same = " AND ".join(
            f"{_identity(column, 'sent')} = {self._of_batch(index, identity=True)}"
            for index, column in enumerate(self.schema.sorted_by)
        )
        return f"DELETE FROM {self.table} AS sent USING {batch} AS batch WHERE {same}"

    def insertion(self, batch: str, version: int) -> str:
        """The statement that remembers the keys and hashes of a registered batch."""
        values = (self._of_batch(index, identity=False) for index in range(len(self.schema.sorted_by)))
        return f"INSERT INTO {self.table} SELECT {', '.join(values)}, {HASH}, {version:d} FROM {batch} AS batch"

    @property
    def _aliases(self) -> list[str]:
        return [f"{_KEY}{index}" for index in range(len(self.schema.sorted_by))]

    @property
    def _same(self) -> str:
        return " AND ".join(f"buffer.{alias} = sent.{alias}" for alias in self._aliases)

    def _identities(self, row: str) -> str:
        columns = zip(self.schema.sorted_by, self._aliases, strict=True)
        return ", ".join(f"{_identity(column, row)} AS {alias}" for column, alias in columns)

    def _buffer(self, *, hashes: bool) -> str:
        extra = f"buffer.rowid AS {ROW}, {self.schema.row_hash} AS {HASH}, buffer.*, " if hashes else ""
        return f"(SELECT {extra}{self._identities('buffer')} FROM {self.schema.reference} AS buffer) AS buffer"

    @property
    def _sent(self) -> str:
        return f"(SELECT sent.*, {self._identities('sent')} FROM {self.table} AS sent) AS sent"

    def _of_batch(self, index: int, *, identity: bool) -> str:
        """A key column of a batch, which has it in the form that travels."""
        column = self.schema.sorted_by[index]
        value = f"CAST(batch.{quoted(column.name)} AS {_remembered_type(column)})"
        return f"encode({value})" if identity and column.kind.form is Form.TEXT else value


def unchanged(found: Sequence[int]) -> bool:
    """Whether no row differs from what was sent, or is gone since, by what Keys.comparison found.

    Where none does, and there are more pairs than keys, rows share a key, each as it was sent.
    """
    remembered, _, together, odd = found
    return odd == 0 and together <= remembered


def _identity(column: Column, row: str) -> str:
    """A key column of `row` in the form that is equal where ClickHouse's sorting holds it equal."""
    name = f"{row}.{quoted(column.name)}"
    return f"encode(CAST({name} AS VARCHAR))" if column.kind.form is Form.TEXT else name


def _remembered_type(column: Column) -> str:
    """The DuckDB type in which the journal remembers a key column: without ENUMs, that may grow, and collations."""
    return "VARCHAR" if column.kind.form is Form.TEXT else column.type
