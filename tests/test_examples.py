"""The examples run on every line of DuckDB, and say what is true of their data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from otel_duckdb.settings import Settings

EXAMPLES = Path(__file__).parents[1] / "examples"
ANSWERS = (
    "336,776 flights left New York City in 2013.",
    "Frontier Airlines Inc. (20.2 minutes)",
    "Over 2,000 miles: 51,695 flights",
    "{'age': 'new', 'flights': 192846, 'delay': 7.9}",
    "In the air: 93.8 years",
    "BinderException",
)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def observed():
    return run(Path(sys.executable).with_name("otel-duckdb"), "demo", "--json", EXAMPLES / "flights.py")


def test_the_flights_answer_the_same_with_and_without_instrumentation(observed):
    plain = run(sys.executable, "-W", "error", EXAMPLES / "flights.py")
    assert plain.stderr == ""
    assert observed.stderr == plain.stdout
    for answer in ANSWERS:
        assert answer in plain.stdout


def test_every_operation_of_the_flights_is_one_span(observed):
    spans = sorted(json.loads(observed.stdout)["spans"], key=lambda span: span["start"])
    names = [span["name"] for span in spans]
    assert names[:6] == [
        "connect flights",
        *("CREATE TABLE flights SELECT", "CREATE TABLE airlines SELECT", "CREATE TABLE planes SELECT"),
        *("SELECT flights", "SELECT flights airlines"),
    ]
    assert names[-6:] == [
        *("CREATE TABLE report", "BEGIN", "BATCH INSERT report", "UPDATE report", "COMMIT", "SELECT flights")
    ]
    assert len(spans) == 15


def test_rows_batches_and_errors_of_the_flights_are_told(observed):
    spans = json.loads(observed.stdout)["spans"]
    rows = [span["attributes"].get("db.response.returned_rows") for span in spans]
    assert {1, 2, 16, 51_695, 327_346} <= set(rows)
    (batch,) = [span for span in spans if span["name"] == "BATCH INSERT report"]
    assert batch["attributes"]["db.operation.batch.size"] == 16
    (failed,) = [span for span in spans if span["error"] is not None]
    assert failed["attributes"]["error.type"] == "BinderException"
    assert "Lovelace" not in observed.stdout


def test_a_scan_spends_its_time_in_the_fetches(observed):
    spans = json.loads(observed.stdout)["spans"]
    (scan,) = [span for span in spans if span["attributes"].get("db.response.returned_rows") == 327_346]
    assert scan["attributes"]["duckdb.fetch_time_ms"] > scan["attributes"]["duckdb.execute_time_ms"]


def test_every_example_stands_in_the_table_with_what_it_needs():
    rows = [
        line for line in (EXAMPLES / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("| [")
    ]
    named = {row.split("`")[1] for row in rows}
    assert named == {path.name for path in EXAMPLES.glob("*.py")} | {"kubernetes/"}
    (row,) = [row for row in rows if "`kubernetes/`" in row]
    files = {path.name for path in (EXAMPLES / "kubernetes").iterdir() if not path.name.endswith(".dockerignore")}
    assert {name for name in files if f"`{name}`" not in row} == set()


def test_the_monitor_sees_the_statements_and_an_alert_that_acts_and_is_over():
    told = run(sys.executable, "-W", "error", EXAMPLES / "monitor.py").stdout
    assert re.search(r" 50 +[\d.]+  SELECT avg\(price\) FROM trades WHERE id > \?$", told, re.MULTILINE)
    assert re.search(r"(critical|emergency): memory: what DuckDB cannot drop takes \d\d\.\d% of its memory limit", told)
    assert "release_memory: done" in told


def test_the_buffer_is_synced_to_an_embedded_clickhouse_and_nothing_is_lost_or_comes_twice():
    done = run(sys.executable, EXAMPLES / "trading_buffer.py")
    told = re.search(r"^(\d+) ticks stored, (\d+) acknowledged, (\d+) waiting$", done.stdout, re.MULTILINE)
    stored, acknowledged, waiting = map(int, told.groups())
    assert stored == acknowledged > 0
    assert waiting == 0


def test_the_buffer_needs_nothing_beyond_the_extra_that_the_table_names():
    text = (EXAMPLES / "trading_buffer.py").read_text(encoding="utf-8")
    imported = {
        line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))
    }
    assert imported - sys.stdlib_module_names <= {"clickhouse_connect", "duckdb", "otel_duckdb", "__future__"}


def manifest(name):
    return yaml.safe_load((EXAMPLES / "kubernetes" / name).read_text(encoding="utf-8"))


def test_the_operators_resource_has_the_shape_of_its_schema_and_known_options():
    resource = manifest("instrumentation.yaml")
    assert (resource["apiVersion"], resource["kind"]) == ("opentelemetry.io/v1alpha1", "Instrumentation")
    assert set(resource["spec"]) == {"exporter", "propagators", "python"}  # these parts were held against the schema
    assert set(resource["spec"]["exporter"]) == {"endpoint"}
    assert set(resource["spec"]["python"]) == {"image", "env"}
    values = {entry["name"]: entry["value"] for entry in resource["spec"]["python"]["env"]}
    assert all(isinstance(value, str) for value in values.values())  # a number would be refused
    ours = {name for name in values if "DUCKDB" in name}
    assert ours
    options = {option.metadata["environment"] for option in fields(Settings)}
    assert ours <= options


def test_the_programs_pods_ask_for_the_resource_by_its_name():
    program, resource = manifest("deployment.yaml"), manifest("instrumentation.yaml")
    assert (program["apiVersion"], program["kind"]) == ("apps/v1", "Deployment")
    template = program["spec"]["template"]
    asked = template["metadata"]["annotations"]["instrumentation.opentelemetry.io/inject-python"]
    assert asked == resource["metadata"]["name"]
    labels = template["metadata"]["labels"]
    assert program["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_init_image_is_made_of_files_that_exist_and_reach_its_build():
    text = (EXAMPLES / "kubernetes/Dockerfile").read_text(encoding="utf-8")
    copied = [
        source for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for source in line.split()[:-1]
    ]
    ignored = (EXAMPLES / "kubernetes/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignored == ["*", *(f"!{source}" for source in copied)]
    assert all((EXAMPLES.parent / source).exists() for source in copied)
    assert "/autoinstrumentation" in text  # from where the operator copies
