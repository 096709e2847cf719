"""The dashboards are what Grafana takes, and every query in them can be answered."""

import json
import re
import subprocess
import sys

import promql_parser
import pytest

from otel_duckdb.rules.dashboards import dashboards

MADE = {name.removesuffix(".json"): json.loads(text) for name, text in dashboards().items()}
PANELS = [(name, panel) for name, made in MADE.items() for panel in made["panels"] if panel["type"] != "row"]
SQL = [
    target["rawSql"]
    for _, panel in PANELS
    for target in panel["targets"]
    if target["datasource"]["type"] == "grafana-clickhouse-datasource"
]
EXPRESSIONS = [
    (panel["title"], target["expr"]) for _, panel in PANELS for target in panel["targets"] if "expr" in target
]
EVERY_PANEL = pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {p['title']}" for name, p in PANELS])
EVERY_DASHBOARD = pytest.mark.parametrize("made", MADE.values(), ids=MADE)

# One row in each of the collector's tables that the dashboards read, then each query, told by its count of rows.
ANSWER = """
import json, sys
import chdb
connection = chdb.connect(":memory:")
ask = lambda sql: json.loads(str(connection.query(sql, "JSON")) or '{"rows": -1}')
text = "LowCardinality(String)"
common = f"ServiceName {text}, ResourceAttributes Map({text}, String), Attributes Map({text}, String)"
metric = f"{common}, MetricName String, StartTimeUnix DateTime64(9), TimeUnix DateTime64(9), Value Float64"
for ddl in (
    f"otel_traces (Timestamp DateTime64(9), TraceId String, SpanName {text}, ServiceName {text}, ScopeName String,"
    f" SpanAttributes Map({text}, String), StatusCode {text})",
    f"otel_logs (Timestamp DateTime64(9), TraceId String, ServiceName {text}, Body String, EventName String)",
    f"otel_metrics_gauge ({metric})",
    f"otel_metrics_sum ({metric}, IsMonotonic Bool)",
):
    connection.query(f"CREATE TABLE {ddl} ENGINE = MergeTree ORDER BY tuple()")
attributes = {
    "db.system.name": "duckdb", "duckdb.query.type": "SELECT", "duckdb.execute_time_ms": "1.5", "error.type": "E",
    "db.response.returned_rows": "3",
}
connection.query(
    "INSERT INTO otel_traces VALUES (now64(9), 'abc', 'SELECT trades', 'app', 'otel_duckdb', "
    f"{attributes}, 'Error')")
connection.query("INSERT INTO otel_logs VALUES (now64(9), 'abc', 'app', 'slow', 'duckdb.slow_query')")
for name in ("duckdb_memory_used_bytes", "duckdb_disk_usage_bytes"):
    connection.query(
        f"INSERT INTO otel_metrics_gauge VALUES ('app', {{}}, {{'database': 'a'}}, '{name}', now64(9), now64(9), 5)")
for age, value in ((20, 10), (10, 25), (0, 25)):
    connection.query(
        "INSERT INTO otel_metrics_sum VALUES ('app', {}, {'table_name': 'trades'}, 'duckdb_sync_rows',"
        f" '2026-01-01 00:00:00', now64(9) - {age}, {value}, true)")
print(json.dumps([ask(sql) for sql in json.load(sys.stdin)]))
"""


def test_there_are_five_dashboards_with_addresses_of_their_own():
    assert set(MADE) == {"queries", "engine", "sync", "history", "pipeline"}
    assert len({made["uid"] for made in MADE.values()}) == 5
    assert len({made["title"] for made in MADE.values()}) == 5


@EVERY_DASHBOARD
def test_ids_are_unique_and_titles_too(made):
    for key in ("id", "title"):
        values = [panel[key] for panel in made["panels"]]
        assert len(set(values)) == len(values)


@EVERY_DASHBOARD
def test_panels_fill_the_grid_without_holes_or_overlaps(made):
    taken = {}
    for panel in made["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24
                assert (x, y) not in taken, (panel["title"], taken[x, y])
                taken[x, y] = panel["title"]
    bottom = max(y for _, y in taken)
    holes = {y for y in range(bottom) for x in range(24) if (x, y) not in taken}
    assert not holes


@EVERY_PANEL
def test_a_panel_says_what_it_is_for_and_where_its_data_is(name, panel):
    assert panel["description"].endswith(".")
    assert panel["datasource"]["uid"] in ("prometheus", "clickhouse")
    assert all(target["datasource"] == panel["datasource"] for target in panel["targets"])
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)


@EVERY_PANEL
def test_a_panel_with_values_has_a_unit(name, panel):
    if panel["type"] in ("timeseries", "stat", "gauge"):
        assert panel["fieldConfig"]["defaults"]["unit"]


@EVERY_DASHBOARD
def test_every_variable_that_a_query_reads_is_the_dashboards_and_the_other_way_round(made):
    queries = json.dumps([panel.get("targets", []) for panel in made["panels"]])
    read = set(re.findall(r"\$\{?(\w+)", queries)) - {"__rate_interval", "__range", "__timeFilter", "__timeInterval"}
    assert read == {variable["name"] for variable in made["templating"]["list"]}


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS, ids=[title for title, _ in EXPRESSIONS])
def test_an_expression_is_promql(title, expression):
    promql_parser.parse(expression.replace("$__rate_interval", "1m").replace("$__range", "1h"))


def test_every_sql_query_is_answered_with_rows():
    queries = [
        re.sub(
            r"\$__timeInterval\((\w+)\)",
            r"toStartOfInterval(toDateTime(\1), INTERVAL 3600 second)",
            re.sub(r"\$__timeFilter\((\w+)\)", r"\1 >= now() - INTERVAL 1 DAY", sql),
        )
        .replace("${service:pipe}", ".*")
        .replace("${job:pipe}", ".*")
        for sql in SQL
    ]
    done = subprocess.run(
        [sys.executable, "-c", ANSWER], input=json.dumps(queries), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = dict(zip(SQL, json.loads(done.stdout), strict=True))
    assert len(answers) >= 8
    for sql, answer in answers.items():
        assert answer["rows"] >= 1, sql
    (synced,) = (answer for sql, answer in answers.items() if "grown" in sql)
    assert sum(row["rows"] for row in synced["data"]) == 15


def test_histograms_are_shown_with_exemplars():
    with_exemplars = {panel["title"] for _, panel in PANELS if any(t.get("exemplar") for t in panel["targets"])}
    assert {"Latency percentiles", "Latency heatmap"} <= with_exemplars


def test_a_trace_of_the_history_opens_in_grafana_itself():
    links = [
        made["value"][0]["url"]
        for _, panel in PANELS
        for override in panel["fieldConfig"]["overrides"]
        for made in override["properties"]
        if made["id"] == "links"
    ]
    assert len(links) == 4
    for link in links:
        address, _, panes = link.partition("&panes=")
        assert address == "/explore?schemaVersion=1"
        assert json.loads(panes)["trace"]["queries"][0]["query"] == "${__value.raw}"
