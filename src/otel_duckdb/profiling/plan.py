"""A profile as a compact tree, as span attributes and as metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.core.listener import Listener
from otel_duckdb.core.profile import COLLECTOR
from otel_duckdb.profiling.plan_details import remark, scan_target
from otel_duckdb.telemetry.cardinality import CardinalityLimit
from otel_duckdb.telemetry.counter import Counter
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.core.profile import Operator, Profile

_LINES: Final = 60
_CHARACTERS: Final = 8000
_MARKED: Final = 3
_TRIFLE: Final = 0.01
"""Share of the thread time below which an operator that only passes rows on is left out, and none is marked."""


def figures(profile: Profile) -> dict[str, AttributeValue]:
    """The profile's totals as span attributes; what this line of DuckDB does not tell is left out."""
    found: dict[str, AttributeValue | None] = {
        contract.DUCKDB_CPU_TIME: _milliseconds(profile.cpu_seconds),
        contract.DUCKDB_BLOCKED_TIME: _milliseconds(profile.blocked_seconds),
        contract.DUCKDB_PLANNING_TIME: _milliseconds(profile.planning_seconds),
        contract.DUCKDB_OPTIMIZING_TIME: _milliseconds(profile.optimizing_seconds),
        contract.DUCKDB_ROWS_SCANNED: profile.rows_scanned,
        contract.DUCKDB_ROW_GROUPS_SCANNED: profile.row_groups_scanned,
        contract.DUCKDB_BYTES_READ: profile.bytes_read,
        contract.DUCKDB_BYTES_WRITTEN: profile.bytes_written,
        contract.DUCKDB_PEAK_MEMORY: profile.peak_memory,
        contract.DUCKDB_PEAK_TEMPORARY: profile.peak_temporary,
        contract.DUCKDB_RESULT_ROWS: profile.result_rows,
        contract.DUCKDB_PROFILE_PARTIAL: profile.partial or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def tree(profile: Profile, database: str, text: str | None) -> str:
    """The plan, a line for each operator: type, share and amount of thread time, rows, what it scans or compares.

    The operators that took most are marked, the hottest with `◀ 1`. Words of the remarks that are not in `text`, the
    redacted text of the query, are hidden as `?`; None hides only secrets. Tables of `database` go without its name.
    """
    total = sum(operator.seconds for operator in profile.walk()) or 1.0
    hot = sorted(profile.walk(), key=lambda each: -each.seconds)
    ranks = {id(each): rank for rank, each in enumerate(hot[:_MARKED], 1) if each.seconds >= total * _TRIFLE}
    lines: list[str] = []
    left_out = 0
    size = 0
    for operator, indent in _shown(profile.operators, total, ""):
        line = f"{indent}{_figures(operator, total)}{_remarks(operator, database, text)}"
        line += f" ◀ {ranks[id(operator)]}" if id(operator) in ranks else ""
        size += len(line) + 1
        if left_out or len(lines) >= _LINES or size > _CHARACTERS:
            left_out += 1
        else:
            lines.append(line)
    if left_out:
        lines.append(f"… {left_out} more operators")
    return "\n".join(lines)


def _shown(operators: tuple[Operator, ...], total: float, indent: str) -> Iterator[tuple[Operator, str]]:
    for operator in operators:
        if _is_trifle(operator, total):
            yield from _shown(operator.children, total, indent)
        else:
            yield operator, indent
            yield from _shown(operator.children, total, indent + "  ")


def _is_trifle(operator: Operator, total: float) -> bool:
    passes_on = operator.kind in {COLLECTOR, "PROJECTION"} and len(operator.children) == 1
    return passes_on and operator.seconds < total * _TRIFLE


def _figures(operator: Operator, total: float) -> str:
    return f"{operator.kind} {operator.seconds / total:.0%} {_duration(operator.seconds)} · {operator.rows:,} rows"


def _remarks(operator: Operator, database: str, text: str | None) -> str:
    target = scan_target(operator, database, hide=text is not None)
    if target:
        target = f"scanned {operator.scanned:,} of {target}" if operator.scanned else f"scan of {target}"
    return "".join(f" · {part}" for part in (target, remark(operator, text)) if part)


def _duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"  # noqa: PLR2004 - one millisecond


def hottest(profile: Profile) -> str:
    """The operator that took most thread time, in a few words; empty if none took any."""
    total = sum(operator.seconds for operator in profile.walk())
    found = max(profile.walk(), key=lambda each: each.seconds)
    return f"{found.kind} {found.seconds / total:.0%} {_duration(found.seconds)}" if found.seconds else ""


class Plans(Listener):
    """Writes profiles to spans, and adds them up in metrics."""

    component = "plans"

    def __init__(self, meter: Meter, labels: Callable[[], Mapping[str, AttributeValue]], *, raw: bool) -> None:
        """Take the labels of every point; `raw` shows literals."""
        self._labels = labels
        self._raw = raw
        self._time = Counter(meter, contract.OPERATOR_TIME)
        self._rows = Counter(meter, contract.OPERATOR_ROWS)
        self._spilled = Counter(meter, contract.SPILLED_BYTES)
        self._databases = CardinalityLimit()

    def tree(self, operation: Operation) -> str:
        """The operation's plan, with literals hidden like those of its text."""
        if operation.profile is None:
            return ""
        return encodable(tree(operation.profile, operation.database, self._shown_text(operation)))

    def _shown_text(self, operation: Operation) -> str | None:
        return None if self._raw else operation.statement.redacted

    def describe(self, operation: Operation, span: Span) -> None:
        """Put the operation's profile on its span: figures as attributes, the plan as one event."""
        if operation.profile is not None:
            span.set_attributes(figures(operation.profile))
            span.add_event(contract.EVENT_PLAN, {contract.DUCKDB_PLAN: self.tree(operation)}, operation.end_unix_ns)

    def record(self, operation: Operation) -> None:
        """Add the operation's profile up."""
        profile = operation.profile
        if profile is None:
            return
        common = self._labels()
        for operator in profile.walk():
            labels = {**common, contract.OPERATOR_TYPE: operator.kind}
            self._time.add(operator.seconds * 1000, labels)
            self._rows.add(operator.rows, labels)
        label = operation.database if operation.connection is None else operation.connection.label
        database = {**common, contract.DATABASE: self._databases(encodable(label))}
        self._spilled.add(profile.peak_temporary or 0, database)
