"""The variables that choose a program, its process, its DuckDB instance and its database."""

from __future__ import annotations

from typing import Final

from otel_duckdb import contract
from otel_duckdb.rules.dashboards.grafana import label_variable
from otel_duckdb.rules.dashboards.promql import INSTANCE, JOB

_LATENCY: Final = f"{contract.QUERY_LATENCY.prometheus_name}_count"
_ENGINE: Final = contract.MEMORY_USED.prometheus_name

PROGRAM: Final = (
    label_variable(JOB, "Program", f"label_values({_LATENCY}, {JOB})"),
    label_variable(INSTANCE, "Process", f'label_values({_LATENCY}{{{JOB}=~"$job"}}, {INSTANCE})'),
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
    )


DATABASE_NAMES: Final = (*PROGRAM_NAMES, contract.INSTANCE_ID, contract.DATABASE)
