"""A report as Markdown, for a ticket, a wiki or a chat."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.figures import bytes_text, duration_text, labels_text, value_text
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_MEANT: Final = re.compile(r"([\\`*_\[\]<>|#~&])")
"""What Markdown would take for its own."""


def markdown_report(report: Mapping[str, Any]) -> str:
    """Return a report of `make_report` as Markdown."""
    period, status = report["period"], report["status"]
    summary = status["summary"]
    lines = [
        "# DuckDB report",
        "",
        (
            f"{period['start']} to {period['end']} ({period['hours']:g} hours), process {status['process']['pid']}, "
            f"otel-duckdb {report['version']}"
        ),
        "",
        f"Status: **{_text(summary['status'])}**",
        *(f"- {_text(reason)}" for reason in summary.get("reasons", ())),
    ]
    for title, table in (
        ("Databases", _databases(status["databases"])),
        ("Figures", _figures(report["figures"])),
        ("Alerts", _alerts(report["alerts"])),
        (f"Statements by total time, since {report['statements']['since']}", _statements(report["statements"])),
    ):
        lines += ["", f"## {title}", "", *table]
    return "\n".join(lines) + "\n"


def _text(value: object) -> str:
    return _MEANT.sub(r"\\\1", encodable(printable(value)))


def _code(value: object) -> str:
    r"""A text in backticks that it does not end itself; `\|` is how a cell holds a bar."""
    plain = encodable(printable(value)).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", plain)), default=0) + 1)
    return f"{fence} {plain} {fence}" if "`" in plain else f"`{plain}`"


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], nothing: str) -> list[str]:
    drawn = [f"| {' | '.join(row)} |" for row in rows]
    return [f"| {' | '.join(names)} |", f"|{' --- |' * len(names)}", *drawn] if drawn else [nothing]


def _databases(databases: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = (
        [
            _text(one["name"]),
            f"{bytes_text(one['memory_bytes'])} of {bytes_text(one['memory_limit_bytes'])}",
            bytes_text(one["disk_bytes"]),
            bytes_text(one["wal_bytes"]),
            bytes_text(one["temporary_bytes"]),
            str(one["connections"]),
        ]
        for one in databases
    )
    names = ("Database", "Memory", "File", "Write-ahead log", "Temporary files", "Connections")
    return _table(names, rows, "No database was open when the report was made.")


def _figures(figures: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = (
        [
            _text(one["metric"]),
            _text(labels_text(one["labels"])),
            *(value_text(one[field], one["unit"]) for field in ("min", "mean", "max", "last")),
        ]
        for one in figures
    )
    return _table(("Metric", "Series", "Min", "Mean", "Max", "Last"), rows, "Nothing was sampled in this time.")


def _alerts(alerts: Mapping[str, Any]) -> list[str]:
    rows = (
        [
            _text(alert["name"]),
            _text(alert["level"]),
            _text(alert["database"] or ""),
            _text(alert["message"]),
            alert["started"],
            alert["ended"] or "still open",
        ]
        for alert in [*alerts["open"], *alerts["resolved"]]
    )
    return _table(("Alert", "Level", "Database", "Message", "Started", "Ended"), rows, "There was no alert.")


def _statements(statistics: Mapping[str, Any]) -> list[str]:
    rows = (
        [
            _code(one["text"]),
            _text(one["database"]),
            f"{one['calls']:,}",
            f"{one['errors']:,}",
            duration_text(one["total_ms"]),
            f"{one['share'] * 100:.1f} %",
            duration_text(one["mean_ms"]),
            duration_text(one["p95_ms"]),
        ]
        for one in statistics["statements"]
    )
    return _table(
        ("Statement", "Database", "Calls", "Errors", "Total", "Share", "Mean", "p95"), rows, "No statement ran."
    )
