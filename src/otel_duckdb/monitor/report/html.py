"""A report as one HTML page: nothing is loaded from elsewhere, no script, light and dark, fit to be printed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.figures import bytes_text, duration_text, labels_text, value_text
from otel_duckdb.monitor.report.svg import LINES, chart
from otel_duckdb.text import encodable, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LIGHT: Final = ("#0b62c4", "#b3500f", "#137a3f", "#8a2be2", "#a8123e", "#00707a")
_DARK: Final = ("#6cb2ff", "#ffab66", "#63d391", "#c9a0ff", "#ff8aa8", "#54d3de")


def _colours(colours: Iterable[str]) -> str:
    return "".join(f"--series{number}:{colour};" for number, colour in enumerate(colours))


_STYLE: Final = (
    f":root{{color-scheme:light dark;--ground:#fff;--text:#1a1a1a;--soft:#595959;--rule:#d0d0d0;{_colours(_LIGHT)}}}"
    f"@media(prefers-color-scheme:dark){{:root{{--ground:#15171a;--text:#e8e8e8;--soft:#a8a8a8;--rule:#3c4046;"
    f"{_colours(_DARK)}}}}}"
    f"@media print{{:root{{color-scheme:light;--ground:#fff;--text:#000;--soft:#444;--rule:#bbb;{_colours(_LIGHT)}}}"
    "figure,tr,h2{break-inside:avoid}h2{break-after:avoid}body{max-width:none;margin:0}}"
    "body{background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif;max-width:62rem;"
    "margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}"
    "figure{margin:1.2rem 0}figcaption{font-weight:600}"
    "svg{width:100%;height:auto;overflow:visible}svg text{fill:var(--soft);font-size:11px}"
    "polyline{fill:none;stroke-width:1.5}polygon{opacity:.18}.axis{fill:none;stroke:var(--rule)}"
    + "".join(
        f".line{number}{{stroke:var(--series{number})}}.area{number},.dot{number}{{fill:var(--series{number})}}"
        f".key{number}{{color:var(--series{number})}}"
        for number in range(LINES)
    )
    + ".key{margin-right:1rem;font-size:.85rem;white-space:nowrap}"
    "table{border-collapse:collapse;width:100%;font-size:.85rem}.wide{overflow-x:auto}"
    "th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid var(--rule)}"
    ".number{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
    "code{white-space:pre-wrap;overflow-wrap:anywhere;font-size:.8rem}p.soft{color:var(--soft)}"
)
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def html_report(report: Mapping[str, Any]) -> str:
    """Return a report of `make_report` as a page."""
    period, status = report["period"], report["status"]
    summary = status["summary"]
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in summary.get("reasons", ()))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<title>DuckDB report, {_text(period['end'])}</title><style>{_STYLE}</style></head><body><main>",
            "<h1>DuckDB report</h1>",
            (
                f'<p class="soft">{_text(period["start"])} to {_text(period["end"])} ({period["hours"]:g} hours), '
                f"process {_text(status['process']['pid'])}, otel-duckdb {_text(report['version'])}</p>"
            ),
            f"<p>Status: <strong>{_text(summary['status'])}</strong></p>",
            f"<ul>{reasons}</ul>" if reasons else "",
            "<h2>Databases</h2>",
            _databases(status["databases"]),
            "<h2>History</h2>",
            _history(report["metrics"]),
            "<h2>Alerts</h2>",
            _alerts(report["alerts"]),
            "<h2>Statements by total time</h2>",
            _statements(report["statements"]),
            "</main></body></html>\n",
        ]
    )


def _text(value: object) -> str:
    return escape(printable(value))


def _table(names: Sequence[str], rows: Iterable[Sequence[tuple[str, bool]]], nothing: str) -> str:
    """A table of cells, each its HTML and whether it is a number; `nothing` where there is no row."""
    drawn = [
        "<tr>" + "".join(f"<td{_NUMBER if number else ''}>{cell}</td>" for cell, number in row) + "</tr>"
        for row in rows
    ]
    if not drawn:
        return f'<p class="soft">{_text(nothing)}</p>'
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(drawn)}</tbody></table></div>'


_NUMBER: Final = ' class="number"'


def _databases(databases: Iterable[Mapping[str, Any]]) -> str:
    rows = (
        [
            (_text(one["name"]), False),
            (f"{bytes_text(one['memory_bytes'])} of {bytes_text(one['memory_limit_bytes'])}", True),
            (f"{one['memory_percent']:.1f} %", True),
            (bytes_text(one["disk_bytes"]), True),
            (bytes_text(one["wal_bytes"]), True),
            (bytes_text(one["temporary_bytes"]), True),
            (_text(one["connections"]), True),
        ]
        for one in databases
    )
    names = ("Database", "Memory", "Of limit", "File", "Write-ahead log", "Temporary files", "Connections")
    return _table(names, rows, "No database was open when the report was made.")


def _history(metrics: Mapping[str, Any]) -> str:
    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for series in metrics["series"]:
        if any(value is not None for value in series["mean"]):
            by_metric.setdefault(series["metric"], []).append(series)
    figures = "".join(_chart(name, metrics["times"], series) for name, series in by_metric.items())
    return figures or '<p class="soft">Nothing was sampled in this time.</p>'


def _chart(name: str, times: Sequence[float], series: list[Mapping[str, Any]]) -> str:
    keys = "".join(
        f'<span class="key key{number}">&#9632; {_text(labels_text(one["labels"]) or name)}</span>'
        for number, one in enumerate(series[:LINES])
    )
    more = f'<span class="key">and {len(series) - LINES} more series</span>' if len(series) > LINES else ""
    drawing = chart(encodable(name), times, series)
    return f"<figure><figcaption>{_text(name)}</figcaption>{drawing}<div>{keys}{more}</div></figure>"


def _alerts(alerts: Mapping[str, Any]) -> str:
    rows = (
        [
            (_text(alert["name"]), False),
            (_text(alert["level"]), False),
            (_text(alert["database"] or ""), False),
            (_text(alert["message"]), False),
            (_text(value_text(alert["peak"], alert.get("unit", ""))), True),
            (_text(alert["started"]), False),
            (_text(alert["ended"] or "still open"), False),
            (_text(", ".join(f"{one['action']}: {one['outcome']}" for one in alert["actions"])), False),
        ]
        for alert in [*alerts["open"], *alerts["resolved"]]
    )
    return _table(
        ("Alert", "Level", "Database", "Message", "Peak", "Started", "Ended", "Actions"), rows, "There was no alert."
    )


def _statements(statistics: Mapping[str, Any]) -> str:
    rows = (
        [
            (f"<code>{_text(one['text'])}</code>", False),
            (_text(one["database"]), False),
            (f"{one['calls']:,}", True),
            (f"{one['errors']:,}", True),
            (duration_text(one["total_ms"]), True),
            (f"{one['share'] * 100:.1f} %", True),
            (duration_text(one["mean_ms"]), True),
            (duration_text(one["p95_ms"]), True),
            (duration_text(one["max_ms"]), True),
            (f"{one['rows']:,}", True),
        ]
        for one in statistics["statements"]
    )
    names = ("Statement", "Database", "Calls", "Errors", "Total", "Share", "Mean", "p95", "Max", "Rows")
    since = f'<p class="soft">Since {_text(statistics["since"])}.</p>'
    return since + _table(names, rows, "No statement ran.")
