"""What an alert says in one sentence."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.alerts.alert import Alert

_WORDS: Final = {
    "DuckDBMemoryHigh": "what DuckDB cannot drop takes {value} of its memory limit",
    "DuckDBResidentMemoryHigh": "the process holds {value} of the memory it may use",
    "DuckDBDiskHigh": "DuckDB uses {value} of the disk space it may use",
    "DuckDBWalGrowing": "the write-ahead log has grown to at least {value}",
    "DuckDBQueryRunningLong": "a query has been running for {value}",
    "DuckDBOutOfMemory": "{value} operations failed because DuckDB had no memory left",
    "DuckDBTransactionFailuresHigh": "{value} of the transactions fail",
    "DuckDBConnectionsFailing": "{value} calls of duckdb.connect() failed",
    "DuckDBPoolTimeouts": "{value} requests for a pool's connection timed out",
    "DuckDBSyncFailing": "{value} sync attempts to ClickHouse failed",
    "DuckDBSyncLagHigh": "the sync is {value} behind",
    "DuckDBInstrumentationErrors": "{value} faults inside the instrumentation",
    "DuckDBCpuHigh": "{value} of the machine's processors are busy",
    "DuckDBQueryBacklog": "{value} operations are at work or wait",
    "DuckDBLatencyChanged": "a statement takes {value} as long as it used to",
}
_ONE: Final = re.compile(r"^1 (operation|call|request|sync attempt|fault)s\b")
_MEMORY: Final = 1024


def sentence(alert: Alert) -> str:
    """The alert in one sentence: where, what, how much, and above which threshold."""
    said = _WORDS.get(alert.name, f"{alert.name} is {{value}}").format(value=amount(alert.value, alert.rule.unit))
    said = _ONE.sub(r"1 \1", said)
    where = ", ".join(printable(encodable(value)) for value in alert.labels.values())
    text = (
        f"{where}: {said} (above {amount(alert.threshold, alert.rule.unit)})"
        if where
        else (f"{said[:1].upper()}{said[1:]} (above {amount(alert.threshold, alert.rule.unit)})")
    )
    return text + _memory(alert)


def _memory(alert: Alert) -> str:
    """Both figures, for one says nothing of the other: what DuckDB counts, and what the process holds."""
    memory = alert.metrics.get("memory", {})
    own, resident = memory.get("duckdb_memory_bytes"), memory.get("resident_bytes")
    if alert.rule.subject != "memory" or own is None or resident is None:
        return ""
    return f"; DuckDB counts {amount(own, 'bytes')}, the process holds {amount(resident, 'bytes')}"


def amount(value: float, unit: str) -> str:
    """A value as a person reads it."""
    if unit == "share":
        return f"{value:.1%}"
    if unit == "s":
        return f"{value:.0f} s"
    if unit == "times":
        return f"{value:.1f} times"
    if unit != "bytes":
        return f"{value:g}"
    for prefix in ("", "Ki", "Mi", "Gi"):
        if abs(value) < _MEMORY:
            return f"{value:.0f} {prefix}B" if not prefix else f"{value:.1f} {prefix}B"
        value /= _MEMORY
    return f"{value:.1f} TiB"
