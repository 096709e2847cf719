"""Reports: what the monitor saw in a number of hours, as JSON, as one HTML page, as Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.report.html import html_report
from otel_duckdb.monitor.report.markdown import markdown_report
from otel_duckdb.monitor.report.report import make_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORMATS", "make_report", "render"]


def _json_report(report: Mapping[str, Any]) -> str:
    return json.dumps(report, indent=2, allow_nan=False, default=str) + "\n"


FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "json": _json_report,
    "html": html_report,
    "md": markdown_report,
}


def render(report: Mapping[str, Any], shape: str) -> str:
    """Return a report of `make_report` as text.

    Raises:
        ValueError: there is no such format.
    """
    if shape not in FORMATS:
        raise ValueError(f"format is {shape!r}; allowed is {', '.join(FORMATS)}")
    return FORMATS[shape](report)
