"""What a program costs in series, as Prometheus would see it: one of many tables has a budget."""

from collections import Counter

import duckdb
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.exporters.prometheus import PrometheusReader

TABLES = 50
BUDGET = 1_500


def test_a_program_with_fifty_tables_and_all_four_kinds_of_statements_stays_within_the_budget():
    reader = PrometheusReader(serve=False)
    provider = MeterProvider([reader], resource=Resource.create({"service.instance.id": "one"}))
    DuckDBInstrumentor().instrument(meter_provider=provider)
    connection = duckdb.connect()
    for number in range(TABLES):
        name = f"table_{number}"
        connection.execute(f"CREATE TABLE {name} AS SELECT range AS i FROM range(3)")
        connection.execute(f"INSERT INTO {name} VALUES (4)")
        connection.execute(f"UPDATE {name} SET i = 5 WHERE i = 4")
        connection.execute(f"DELETE FROM {name} WHERE i = 5")
        connection.execute(f"SELECT * FROM {name}").fetchall()
    lines = [line for line in reader.render()[0].decode().splitlines() if line and not line.startswith("#")]
    series = Counter(line.split("{")[0].split(" ")[0] for line in lines)
    assert series["duckdb_delete_latency_ms_count"] == TABLES
    assert sum(series.values()) <= BUDGET, series.most_common()
    provider.shutdown()
