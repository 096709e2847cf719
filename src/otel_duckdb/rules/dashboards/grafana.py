"""Grafana's panels and dashboards, as the plain JSON that Grafana 11 and later import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

PROMETHEUS: Final = {"type": "prometheus", "uid": "prometheus"}
CLICKHOUSE: Final = {"type": "grafana-clickhouse-datasource", "uid": "clickhouse"}
EXPORT_INTERVAL: Final = "export_interval"
"""The variable that says how often programs export: windows follow it."""
WIDTH: Final = 24
"""The columns of Grafana's grid."""
_SCHEMA_VERSION: Final = 39

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL query of a panel; `exemplar` shows dots that lead to traces, `instant` asks for one moment."""

    expression: str
    legend: str = ""
    exemplar: bool = False
    instant: bool = False
    format: str = "time_series"

    def target(self, reference: str) -> Json:
        """The query as a panel's target."""
        return {
            "refId": reference,
            "datasource": PROMETHEUS,
            "editorMode": "code",
            "expr": self.expression,
            "legendFormat": self.legend or "__auto",
            "exemplar": self.exemplar,
            "instant": self.instant,
            "range": not self.instant,
            "format": self.format,
            # $__rate_interval is four times this: a program that exports once a minute has no rate over a few seconds.
            "interval": f"${EXPORT_INTERVAL}",
        }


@dataclass(frozen=True, slots=True)
class Sql:
    """One ClickHouse query of a panel, with the plugin's macros; `table` shows rows, else a line a series."""

    text: str
    table: bool = False

    def target(self, reference: str) -> Json:
        """The query as a panel's target."""
        return {
            "refId": reference,
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "queryType": "table" if self.table else "timeseries",
            "format": 1 if self.table else 0,
            "rawSql": self.text,
        }


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel: what it shows, the question it answers, and how wide it is."""

    kind: str
    title: str
    description: str
    queries: tuple[Query | Sql, ...]
    width: int
    defaults: Json
    options: Json
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()

    def json(self, identity: int, x: int, y: int, height: int) -> Json:
        """The panel at its place in the grid."""
        targets = [query.target(chr(ord("A") + index)) for index, query in enumerate(self.queries)]
        panel: Json = {
            "id": identity,
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": targets[0]["datasource"],
            "gridPos": {"x": x, "y": y, "w": self.width, "h": height},
            "targets": targets,
            "fieldConfig": {"defaults": self.defaults, "overrides": list(self.overrides)},
            "options": self.options,
        }
        return panel | ({"transformations": list(self.transformations)} if self.transformations else {})


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side under a heading; more than the grid is wide go on in the next line."""

    title: str
    panels: tuple[Panel, ...]
    height: int = 8


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard; `uid` is its address in Grafana."""

    uid: str
    title: str
    description: str
    variables: tuple[Json, ...]
    rows: tuple[Row, ...]
    since: str = "now-1h"
    refresh: str = "10s"
    annotations: tuple[Json, ...] = ()

    def json(self) -> Json:
        """What Grafana imports."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": ["duckdb", "otel-duckdb"],
            "schemaVersion": _SCHEMA_VERSION,
            "editable": True,
            "graphTooltip": 1,  # one crosshair over all panels
            "time": {"from": self.since, "to": "now"},
            "timezone": "browser",
            "refresh": self.refresh,
            "templating": {"list": list(self.variables)},
            "annotations": {"list": list(self.annotations)},
            "links": [_links()],
            "panels": _placed(self.rows),
        }


def label_variable(name: str, title: str, query: str) -> Json:
    """A variable whose choices are a label's values; all of them at first, and series without the label too."""
    return {
        "type": "query",
        "name": name,
        "label": title,
        "datasource": PROMETHEUS,
        "query": {"query": query, "refId": name},
        "definition": query,
        **_MANY,
    }


def interval_variable() -> Json:
    """The variable that says how often programs export; the SDK's own minute at first, with which nothing is empty."""
    choices = ("1s", "5s", "10s", "15s", "30s", "60s")
    return {
        "type": "custom",
        "name": EXPORT_INTERVAL,
        "label": "Export interval",
        "description": "How often programs export (OTEL_METRIC_EXPORT_INTERVAL), or Prometheus scrapes.",
        "query": ",".join(choices),
        "options": [{"text": one, "value": one, "selected": one == choices[-1]} for one in choices],
        "current": {"text": choices[-1], "value": choices[-1]},
        "includeAll": False,
        "multi": False,
    }


def annotation(name: str, color: str, expression: str, title: str, text: str) -> Json:
    """Marks on all panels, where an expression has a value; `title` and `text` name its labels."""
    return {
        "name": name,
        "datasource": PROMETHEUS,
        "enable": True,
        "iconColor": color,
        "expr": expression,
        "titleFormat": title,
        "textFormat": text,
        "step": "15s",
    }


def sql_variable(name: str, title: str, query: str) -> Json:
    """A variable whose choices ClickHouse knows."""
    return {"type": "query", "name": name, "label": title, "datasource": CLICKHOUSE, "query": query, **_MANY}


_MANY: Final = {
    "includeAll": True,
    "multi": True,
    "allValue": ".*",
    "current": {"text": "All", "value": "$__all"},
    "refresh": 2,  # when the time range changes
    "sort": 1,
}


def _links() -> Json:
    return {
        "type": "dashboards",
        "title": "DuckDB",
        "tags": ["otel-duckdb"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards on DuckDB",
        "url": "",
    }


def _placed(rows: tuple[Row, ...]) -> list[Json]:
    """The panels with their headings, line by line, filling the grid from the left."""
    placed: list[Json] = []
    y = 0
    for row in rows:
        heading = {"id": len(placed) + 1, "type": "row", "title": row.title, "collapsed": False, "panels": []}
        placed.append(heading | {"gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}})
        y += 1
        x = 0
        for panel in row.panels:
            if x + panel.width > WIDTH:
                x, y = 0, y + row.height
            placed.append(panel.json(len(placed) + 1, x, y, row.height))
            x += panel.width
        y += row.height
    return placed
