"""The contract, the rules, the dashboards and the docs name the same metrics, in both directions."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otel_duckdb import contract
from otel_duckdb.features import OTHER_NAMES
from otel_duckdb.rules import alerts
from otel_duckdb.rules.dashboards import dashboards

ROOT = Path(__file__).parents[2]
NAMES = {metric.prometheus_name for metric in contract.METRICS}
HISTOGRAMS = {metric.prometheus_name for metric in contract.METRICS if metric.kind is contract.Kind.HISTOGRAM}
# What looks like a metric's name and is none.
OTHERS = {"duckdb_prometheus", "duckdb_engine", "duckdb_memory", "duckdb_temporary_files", "duckdb_", "duckdb_version"}
NAME = re.compile(r"\b(?:(?:otel_)?duckdb|db_client|process)_[a-z_]+\b")


def named_in(text):
    """The metrics a text names; a histogram's series count as its name."""
    found = set()
    for name in NAME.findall(text):
        base = re.sub("_(bucket|sum|count)$", "", name)
        found.add(base if base in HISTOGRAMS else name)
    return found - OTHERS - {"db_client_connection_state", "db_client_connection_pool_name"}


def queries_of(dashboard):
    """The PromQL and SQL of a dashboard's panels and variables."""
    made = json.loads(dashboard)
    targets = [target for panel in made["panels"] for target in panel.get("targets", ())]
    return [target.get("expr") or target["rawSql"] for target in targets] + [
        variable["query"]["query"] if isinstance(variable["query"], dict) else variable["query"]
        for variable in made["templating"]["list"]
    ]


def metrics_document():
    """docs/metrics.md without the section on the ordinary exporter, which is about other names."""
    text = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    return re.sub(r"(?s)## The ordinary exporter.*?(?=\n## )", "", text)


def test_what_is_committed_is_what_would_be_generated():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_rule_asks_for_metrics_of_the_contract():
    for alert in alerts():
        assert named_in(alert.expression) <= NAMES, alert.name


@pytest.mark.parametrize("name", dashboards())
def test_every_panel_asks_for_metrics_of_the_contract(name):
    for query in queries_of(dashboards()[name]):
        text = query.replace("otel_duckdb'", "'")  # the scope's name, in SQL
        assert named_in(text) <= NAMES, query


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"], ids=lambda path: path.name
)
def test_the_docs_name_metrics_of_the_contract(path):
    text = metrics_document() if path.name == "metrics.md" else path.read_text(encoding="utf-8")
    code = re.findall(r"`[^`\n]+`", text)
    others = {"otel_duckdb", "otel_duckdb_sync"}  # the scope, and the schema of the sync's journal
    if path.name == "monitor.md":  # names of others' scripts, and what the API calls them
        others |= {"duckdb_memory_percent", "duckdb_memory_warning", "duckdb_memory_critical", *OTHER_NAMES}
    assert named_in(" ".join(code)) - others <= NAMES


def test_every_metric_of_the_contract_is_documented():
    assert named_in(metrics_document()) >= NAMES


def test_every_metric_of_the_contract_is_in_a_dashboard():
    shown = set().union(*(named_in(query) for text in dashboards().values() for query in queries_of(text)))
    assert shown >= NAMES


def test_every_label_that_a_query_groups_by_is_of_the_metrics_it_asks():
    labels = {
        metric.prometheus_name: {label.replace(".", "_") for label in metric.labels} for metric in contract.METRICS
    }
    grouped = re.compile(r"(?:sum|max) by \(([^)]*)\) \((?:rate|increase)?\(?((?:otel_)?(?:duckdb|db|process)_\w+)")
    for text in dashboards().values():
        for query in queries_of(text):
            for names, series in grouped.findall(query):
                (metric,) = named_in(series)
                assert set(names.split(", ")) <= labels[metric] | {"le", "job", "instance"}, query
