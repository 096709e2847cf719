"""What a pass over one table works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.sync.config import Limits, Table
    from otel_duckdb.sync.destination import Destination
    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.schema import Schema
    from otel_duckdb.sync.sender import Sender


@dataclass(frozen=True, slots=True)
class Task:
    """One table's options, and the parts that bring it over.

    `schema_for` reads the table's definition for a target with or without Time64; `progress` hears of every
    acknowledged batch how many rows it had.
    """

    options: Table
    limits: Limits
    schema_for: Callable[[bool], Schema]
    journal: Journal
    sender: Sender
    destination: Destination
    progress: Callable[[int], None]
