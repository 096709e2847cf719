"""The first row of a dashboard: is it healthy, since when, what changed, and who is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import Panel, Query, Row
from otel_duckdb.rules.dashboards.panels import number, table
from otel_duckdb.rules.dashboards.promql import INSTANCE, JOB

if TYPE_CHECKING:
    from otel_duckdb.rules.dashboards.promql import Filtered

_CHOSEN: Final = f'{JOB}=~"${JOB}"'


def health(see: Filtered) -> Row:
    """The row, of the programs that the dashboard's variables choose."""
    return Row("Is it healthy?", (_firing(), _programs(see), _started(see)), height=6)


def _firing() -> Panel:
    nothing = 'label_replace(vector(0), "alertname", "nothing fires", "", "")'
    return table(
        "Alerts that fire",
        "Which alerts fire, and for whom; their runbooks are in docs/alerts.md. Alerts on the pipeline name no"
        " program.",
        Query(
            f"max by (alertname, {JOB}, {contract.DATABASE}, severity)"
            f' (ALERTS{{alertstate="firing", {_CHOSEN}}})\nor on () {nothing}',
            instant=True,
            format="table",
        ),
        units={},
        width=8,
        sort="severity",
        transformations=_columns("Value", alertname="Alert", job="Program", database="Database", severity="Severity"),
    )


def _programs(see: Filtered) -> Panel:
    versions = f"{contract.VERSION}, {contract.DUCKDB_VERSION}"
    running = f"max by ({JOB}, {INSTANCE}, {versions}) ({see.series(contract.RUNNING)})"
    uptime = f"max by ({JOB}, {INSTANCE}) ({see.series(contract.PROCESS_UPTIME)})"
    return table(
        "Programs",
        "The programs that report, for how long each process has been running, and what it runs. 0 s: it ends.",
        Query(f"{running} * on ({JOB}, {INSTANCE}) group_left () {uptime}", instant=True, format="table"),
        units={"Running for": "s"},
        width=12,
        sort="Running for",
        transformations=_columns(
            job="Program", instance="Process", version="otel-duckdb", duckdb_version="DuckDB", Value="Running for"
        ),
    )


def _started(see: Filtered) -> Panel:
    return number(
        "Started in the last hour",
        "Processes that were started within the last hour: a program with many of them is in a crash loop.",
        Query(f"sum({see.series(contract.PROCESS_UPTIME)} < bool 3600)"),
        unit="short",
    )


def _columns(*hidden: str, **names: str) -> tuple[dict[str, object], ...]:
    excluded = {"Time": True, **dict.fromkeys(hidden, True)}
    return ({"id": "organize", "options": {"excludeByName": excluded, "renameByName": names, "indexByName": {}}},)
