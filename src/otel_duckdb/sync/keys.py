"""How a table with a key differs from what the journal remembers of it, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.sync.types import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_duckdb.sync.schema import Schema

HASH: Final = "otel_duckdb_row_hash"
"""The column of the journal's keys that holds the hash of the row sent, NULL where it may not have arrived."""


def differing(schema: Schema, key: Sequence[str], keys: str) -> str:
    """From the buffer's rows (`buffer`) those that are not remembered as they are."""
    return (
        f"FROM {schema.reference} AS buffer WHERE NOT EXISTS (SELECT 1 FROM {keys} AS sent "
        f"WHERE {_same(key)} AND sent.{HASH} = {schema.row_hash})"
    )


def gone(schema: Schema, key: Sequence[str], keys: str) -> str:
    """From the remembered keys (`sent`) those the buffer no longer holds."""
    return f"FROM {keys} AS sent WHERE NOT EXISTS (SELECT 1 FROM {schema.reference} AS buffer WHERE {_same(key)})"


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f"sent.{quoted(name)} = buffer.{quoted(name)}" for name in key)
