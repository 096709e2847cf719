"""How actions are run: which may be, for show, one after another, told as spans and counts; and what fails or hangs."""

import time

import duckdb
import pytest
from opentelemetry.trace import StatusCode

from otel_duckdb import contract
from otel_duckdb.monitor.actions.action import Outcome
from otel_duckdb.monitor.actions.ladder import AUTOMATIC, EMERGENCY, clean_up
from otel_duckdb.settings import SettingError


def test_what_is_not_switched_on_is_refused_and_what_is_unknown_is_an_error(runner, make_runner, tmp_path):
    duckdb.connect(str(tmp_path / "x.db"))
    runner.allowed = frozenset()
    with pytest.raises(SettingError, match="'checkpoint' is not switched on"):
        runner.run("checkpoint", by="test")
    with pytest.raises(SettingError, match="no action is called 'drop'"):
        runner.run("drop", by="test")
    with pytest.raises(SettingError, match="no action is called 'drop'"):
        make_runner([], ["drop"])
    assert clean_up(runner, by="test") == []


def test_a_dry_run_says_what_would_be_done_and_changes_nothing(runner, fill):
    con = fill(300_000)
    settings = "select name, value from duckdb_settings() where name like 'allocator%' or name like '%memory%'"
    before = con.execute(settings).fetchall()
    results = clean_up(runner, by="test", emergency=True, dry_run=True)
    assert [result.action for result in results] == list(EMERGENCY)
    assert {result.outcome for result in results} <= {Outcome.PLANNED, Outcome.NOTHING, Outcome.REFUSED}
    assert con.execute(settings).fetchall() == before


def test_every_action_is_a_span_and_a_count_with_what_came_of_it(runner, telemetry, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    results = clean_up(runner, by="test")
    assert [result.action for result in results] == list(AUTOMATIC)
    spans = telemetry.spans("duckdb.action")
    assert [span.attributes["duckdb.action.name"] for span in spans] == list(AUTOMATIC)
    for span, result in zip(spans, results, strict=True):
        assert span.attributes["duckdb.action.outcome"] == result.outcome.value
        assert span.attributes["duckdb.action.detail"] == result.detail
        assert ("duckdb.action.resident_bytes_before" in span.attributes) == bool(result.after)
        assert telemetry.value(contract.MONITOR_ACTIONS.name, action=result.action, outcome=result.outcome.value) == 1
    assert runner.results()[0]["action"] == AUTOMATIC[-1]
    con.close()


def test_an_action_that_duckdb_refuses_fails_by_itself(make_runner, telemetry, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))

    class Broken:
        name, meaning, measures = "broken", "", ()

        def run(self, target):
            target.cursor.run("select 'secret' + 1 from nowhere")

    result = make_runner([Broken()], ["broken"]).run_one("broken")
    assert (result.outcome, result.detail) == (Outcome.FAILED, "CatalogException")
    (span,) = telemetry.spans("duckdb.action")
    assert span.status.status_code is StatusCode.ERROR
    assert telemetry.faults() == 1
    con.close()


def test_an_action_that_hangs_in_duckdb_is_interrupted_at_its_deadline(make_runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))

    class Endless:
        name, meaning, measures = "endless", "", ()

        def run(self, target):
            target.cursor.rows("select count(*) from range(1000000) a(i), range(1000000) b(j) where (i * j) % 7 = 3")

    runner = make_runner([Endless()], ["endless"], deadline=0.3)
    began = time.monotonic()
    assert runner.run_one("endless").detail == "InterruptException"
    assert time.monotonic() - began < 5
    con.close()


def test_closing_the_database_meanwhile_is_no_fault(runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    (database,) = runner.source.live_databases()
    con.close()
    assert runner.run("checkpoint", by="test") == []
    assert database.open_cursor() is None
