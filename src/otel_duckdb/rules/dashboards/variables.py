"""The variables that choose a program, its process, its DuckDB instance and its database."""

from __future__ import annotations

from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import annotation, interval_variable, label_variable
from otel_duckdb.rules.dashboards.promql import INSTANCE, JOB

_LATENCY: Final = f"{contract.QUERY_LATENCY.prometheus_name}_count"
_ENGINE: Final = contract.MEMORY_USED.prometheus_name

_RUNNING: Final = contract.RUNNING.prometheus_name
_UPTIME: Final = contract.PROCESS_UPTIME.prometheus_name
_VERSIONS: Final = f"job, {contract.VERSION}, {contract.DUCKDB_VERSION}"
_CHOSEN: Final = f'{JOB}=~"${JOB}"'

ANNOTATIONS: Final = (
    annotation(
        "Alerts that fire",
        "red",
        f'ALERTS{{alertstate="firing", {_CHOSEN}}}',
        "{{alertname}}",
        "{{job}} {{database}} {{table_name}}",
    ),
    annotation("Starts", "blue", f"{_UPTIME}{{{_CHOSEN}}} < 30", "{{job}} started", "{{instance}}"),
    annotation(
        "Versions",
        "purple",
        f"count by ({_VERSIONS}) ({_RUNNING}{{{_CHOSEN}}}) unless count by ({_VERSIONS}) ({_RUNNING}{{{_CHOSEN}}}"
        " offset 2m)",
        "{{job}} runs otel-duckdb {{version}}",
        "DuckDB {{duckdb_version}}",
    ),
)
"""What changed: alerts, restarts and versions, over all panels."""

PROGRAM: Final = (
    label_variable(JOB, "Program", f"label_values({_LATENCY}, {JOB})"),
    label_variable(INSTANCE, "Process", f'label_values({_LATENCY}{{{JOB}=~"$job"}}, {INSTANCE})'),
    interval_variable(),
)
PROGRAM_NAMES: Final = (JOB, INSTANCE)


def with_database(metric: contract.Metric) -> tuple[dict[str, object], ...]:
    """The program's variables, and those of the DuckDB instances and databases that the metric knows of."""
    name = metric.prometheus_name
    chosen = f'{JOB}=~"$job", {INSTANCE}=~"$instance"'
    return (
        label_variable(JOB, "Program", f"label_values({name}, {JOB})"),
        label_variable(INSTANCE, "Process", f'label_values({name}{{{JOB}=~"$job"}}, {INSTANCE})'),
        label_variable(
            contract.INSTANCE_ID, "DuckDB instance", f"label_values({name}{{{chosen}}}, {contract.INSTANCE_ID})"
        ),
        label_variable(contract.DATABASE, "Database", f"label_values({name}{{{chosen}}}, {contract.DATABASE})"),
        interval_variable(),
    )


DATABASE_NAMES: Final = (*PROGRAM_NAMES, contract.INSTANCE_ID, contract.DATABASE)
