"""What the monitor tells of itself: its options without secrets, its cost, and the actions there are."""

import json

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor, SettingError
from otel_duckdb.monitor import Monitor


def test_the_options_are_told_without_what_lets_others_in(tmp_path):
    options = {"api_key": "planted-key", "notify": "slack://planted/token", "audit_file": str(tmp_path / "audit.jsonl")}
    told = Monitor(serve=False, actions="checkpoint", **options).about()["settings"]

    assert "planted" not in json.dumps(told)
    assert told["api_key"] == told["notify"] == "hidden"
    assert told["audit_key"] is None
    assert told["actions"] == ["checkpoint"]
    assert told["interval_ms"] is None


def test_the_cost_is_that_of_its_own_threads():
    DuckDBInstrumentor().instrument()
    with Monitor(serve=False, interval_ms=100) as monitor, duckdb.connect() as con:
        con.execute("SELECT 1").fetchall()
        monitor.traces()
        monitor.statements()
        cost = monitor.about()["cost"]

    assert 0 <= cost["processor_percent"] < 100
    assert cost["statements"] == 1
    assert cost["trace_bytes"] > 0


def test_the_actions_are_told_with_whether_they_are_switched_on_and_what_came_of_them():
    DuckDBInstrumentor().instrument()
    with Monitor(serve=False, actions="checkpoint") as monitor, duckdb.connect():
        monitor.run_action("checkpoint")
        told = monitor.actions()

    assert [each["name"] for each in told["actions"] if each["on"]] == ["checkpoint"]
    assert all(each["meaning"] for each in told["actions"])
    assert [each["action"] for each in told["history"]] == ["checkpoint"]


@pytest.mark.parametrize(
    "template", ["http://jaeger/trace/{trace}", "javascript:{trace_id}", "//jaeger/{trace_id}", ""]
)
def test_an_address_that_leads_to_no_trace_is_refused(template):
    with pytest.raises(SettingError, match=r"trace_url is .*\{trace_id\}"):
        Monitor(trace_url=template)


def test_the_page_is_told_the_address_of_a_trace():
    template = "https://grafana.example/explore?trace={trace_id}&from={start_ms}&to={end_ms}"

    assert Monitor(trace_url=template, serve=False).status()["monitor"]["trace_url"] == template
