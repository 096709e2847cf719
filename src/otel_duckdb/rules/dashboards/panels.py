"""The kinds of panels the dashboards are made of, each with one look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.rules.dashboards.grafana import Panel

if TYPE_CHECKING:
    from otel_duckdb.rules.dashboards.grafana import Json, Query, Sql

GREEN: Final = "green"
_THIRD: Final = 8
_NOTHING: Final = {
    "noValue": "-",
    "mappings": [{"type": "special", "options": {"match": "null+nan", "result": {"text": "-", "index": 0}}}],
}
"""A quantile or a ratio of nothing is NaN; a dash says so better."""


def lines(
    title: str,
    description: str,
    *queries: Query | Sql,
    unit: str,
    width: int = _THIRD,
    stacked: bool = False,
    limit: float | None = None,
    legend: bool = True,
    maximum: float | None = None,
) -> Panel:
    """Values over time; `stacked` adds them up, `limit` draws a line where an alert would fire."""
    custom: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 8,
        "gradientMode": "none" if stacked else "opacity",
        "showPoints": "auto",
        "pointSize": 4,
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if stacked else "none"},
        "thresholdsStyle": {"mode": "off" if limit is None else "dashed"},
        "axisSoftMin": 0,
    }
    defaults = _defaults(unit, limit) | {"custom": custom, "color": {"mode": "palette-classic"}}
    if maximum is not None:
        defaults["max"] = maximum
    options = {
        "legend": {
            "showLegend": legend,
            "displayMode": "table",
            "placement": "bottom",
            "calcs": ["mean", "max", "lastNotNull"],
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, description, queries, width, defaults, options)


def number(
    title: str,
    description: str,
    query: Query | Sql,
    *,
    unit: str,
    width: int = 4,
    limit: float | None = None,
    named: bool = False,
) -> Panel:
    """One number, the newest, over a faint line of its past; red above `limit`, and whose it is where `named`."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "textMode": "value_and_name" if named else "auto",
        "orientation": "auto",
    }
    return Panel("stat", title, description, (query,), width, _defaults(unit, limit) | _NOTHING, options)


def part(title: str, description: str, query: Query, *, limit: float, width: int = 4) -> Panel:
    """A part of a whole, from 0 to 1, as a dial; red above `limit`."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showThresholdLabels": False,
        "showThresholdMarkers": True,
        "orientation": "auto",
    }
    defaults = _defaults("percentunit", limit) | {"min": 0, "max": 1} | _NOTHING
    return Panel("gauge", title, description, (query,), width, defaults, options)


def heatmap(title: str, description: str, query: Query, *, unit: str, width: int = 12) -> Panel:
    """A histogram's buckets over time; exemplars are dots that lead to traces."""
    options = {
        "calculate": False,
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64},
        "exemplars": {"color": "rgba(87, 148, 242, 0.9)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "tooltip": {"mode": "single", "showColorScale": True, "yHistogram": True},
        "yAxis": {"axisPlacement": "left", "unit": unit, "reverse": False},
    }
    defaults: Json = {"custom": {"scaleDistribution": {"type": "linear"}}}
    return Panel("heatmap", title, description, (query,), width, defaults, options)


def table(
    title: str,
    description: str,
    *queries: Query | Sql,
    units: dict[str, str],
    width: int = 24,
    sort: str,
    links: dict[str, tuple[str, str]] | None = None,
    transformations: tuple[Json, ...] = (),
) -> Panel:
    """Rows, the largest `sort` first; `units` are by column, `links` give a column a title and an address."""
    overrides = [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in units.items()
    ]
    overrides += [
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "links", "value": [{"title": text, "url": address, "targetBlank": True}]}],
        }
        for name, (text, address) in (links or {}).items()
    ]
    options = {
        "showHeader": True,
        "cellHeight": "sm",
        "sortBy": [{"displayName": sort, "desc": True}],
        "footer": {"show": False},
    }
    defaults: Json = {"custom": {"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}}}
    return Panel("table", title, description, queries, width, defaults, options, tuple(overrides), transformations)


def joined(label: str, title: str, columns: tuple[str, ...]) -> tuple[Json, ...]:
    """Join instant queries to one table by a label, and name the columns, in the order of the queries."""
    # Grafana calls the only query's column `Value`.
    values = [f"Value #{chr(ord('A') + index)}" for index in range(len(columns))] if len(columns) > 1 else ["Value"]
    names = {label: title} | dict(zip(values, columns, strict=True))
    times = {f"Time {index + 1}": True for index in range(len(columns))}
    return (
        {"id": "joinByField", "options": {"byField": label, "mode": "outer"}},
        {
            "id": "organize",
            "options": {"excludeByName": {"Time": True, **times}, "renameByName": names, "indexByName": {}},
        },
    )


def _defaults(unit: str, limit: float | None) -> Json:
    steps: list[Json] = [{"color": GREEN, "value": None}]
    if limit is not None:
        steps.append({"color": "red", "value": limit})
    return {
        "unit": unit,
        "color": {"mode": "palette-classic" if limit is None else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
