"""Alerts that only the process itself can judge; Prometheus has no metric, or no past, that would tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_duckdb.rules.condition import ALARM, CALM, USUAL

RESIDENT_MEMORY: Final = "DuckDBResidentMemoryHigh"
CPU: Final = "DuckDBCpuHigh"
BACKLOG: Final = "DuckDBQueryBacklog"
CHANGED_LATENCY: Final = "DuckDBLatencyChanged"


@dataclass(frozen=True, slots=True)
class ProcessAlert:
    """One alert of the process.

    Attributes:
        name: Its name, in the style of the Prometheus alerts.
        levels: Thresholds of warning, critical and emergency; it fires above them. None leaves a level out.
        lasting: For how many seconds it must have been above.
        unit: What the value is: `share`, `times`, or empty for a count.
        meaning: What is wrong.
    """

    name: str
    levels: tuple[float | None, float | None, float | None]
    lasting: float
    unit: str
    meaning: str


PROCESS_ALERTS: Final = (
    ProcessAlert(
        RESIDENT_MEMORY,
        (CALM, USUAL, ALARM),
        60,
        "share",
        "The process holds much of the memory that the machine or its cgroup has, whatever DuckDB says of its own:"
        " DuckDB counts what its buffer manager holds, and not what its allocator keeps after it was freed.",
    ),
    ProcessAlert(CPU, (CALM, USUAL, None), 60, "share", "The processors of the machine are busy."),
    ProcessAlert(
        BACKLOG,
        (10, 20, None),
        30,
        "",
        "Many operations are at work in DuckDB, or wait for a connection of a pool: they come faster than they are"
        " served.",
    ),
    ProcessAlert(
        CHANGED_LATENCY,
        (3, None, None),
        60,
        "times",
        "A statement takes several times as long as it used to.",
    ),
)
"""The alerts of the process, with the thresholds they have where nobody sets others."""
