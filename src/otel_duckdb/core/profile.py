"""What DuckDB's profiler says of one query, in one form for all lines of DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COLLECTOR: Final = "RESULT_COLLECTOR"
"""DuckDB 2's root operator, which hands the rows over; DuckDB's own rendering leaves it out."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the plan that ran.

    Attributes:
        kind: DuckDB's type of the operator, such as `HASH_JOIN`.
        seconds: Thread time it took itself, added up over all threads.
        rows: Rows it produced.
        scanned: Rows it read from storage.
        details: DuckDB's remarks on it, with literals, such as filters, conditions and the table it scans.
        children: The operators it takes its rows from.
    """

    kind: str
    seconds: float
    rows: int
    scanned: int
    details: Mapping[str, str | list[str]]
    children: tuple[Operator, ...]

    def walk(self) -> Iterator[Operator]:
        """This operator and all below it, from the top down."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class Profile:
    """One query's profile. A figure that this line of DuckDB does not give is None.

    Attributes:
        sql: The statement it belongs to, as DuckDB was given it; empty where DuckDB does not tell.
        partial: Whether the result had not been used up, so that only the operators are known, as far as they got.
        cpu_seconds: Thread time of all operators.
        blocked_seconds: Time threads waited, for memory or for input.
        planning_seconds: Time of the binder, the planner and the physical planner.
        optimizing_seconds: Time of the optimizer.
        rows_scanned: Rows read from storage.
        row_groups_scanned: Row groups read from storage.
        bytes_read: Bytes read from disk or network; on DuckDB 2 temporary files count, too.
        bytes_written: Bytes written, likewise.
        peak_memory: Most bytes the buffer manager held.
        peak_temporary: Most bytes of temporary files the database had meanwhile: what spilled.
        result_rows: Rows of the result.
        operators: The roots of the plan.
    """

    sql: str
    partial: bool
    operators: tuple[Operator, ...]
    cpu_seconds: float | None = None
    blocked_seconds: float | None = None
    planning_seconds: float | None = None
    optimizing_seconds: float | None = None
    rows_scanned: int | None = None
    row_groups_scanned: int | None = None
    bytes_read: int | None = None
    bytes_written: int | None = None
    peak_memory: int | None = None
    peak_temporary: int | None = None
    result_rows: int | None = None

    def walk(self) -> Iterator[Operator]:
        """All operators, from the top down."""
        for root in self.operators:
            yield from root.walk()
