"""What tests ask of a pass of the sync: that its tables went well, or which error one met, and which rows arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.sync import TableReport


def fine(reports: Sequence[TableReport]) -> int:
    """The number of rows that a pass sent, of which no table may have failed."""
    assert [report.error for report in reports] == [None] * len(reports)
    return sum(report.rows for report in reports)


def failure(reports: Sequence[TableReport]) -> Exception:
    """The error of the only table of a pass."""
    (report,) = reports
    assert report.error is not None
    return report.error


def arrived(query: Callable[[str], list[Any]], table: str = "ticks") -> tuple[int, int, int]:
    """How many rows the target holds, how many different values of its column `a`, and their sum; see `rows`."""
    count, different, total = query(f"SELECT count(), uniqExact(a), sum(a) FROM {{}}.{table}")[0]
    return count, different, total


def rows(*numbers: int) -> tuple[int, int, int]:
    """What `arrived` gives where each of these numbers arrived once and nothing else did."""
    return len(numbers), len(set(numbers)), sum(numbers)
