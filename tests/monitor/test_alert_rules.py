"""The alerts of the process are those of the Prometheus rules, with the same names and thresholds."""

import re

import pytest

from otel_duckdb.monitor.alerts.alert import Alert
from otel_duckdb.monitor.alerts.level import Level
from otel_duckdb.monitor.alerts.messages import _WORDS, amount, sentence
from otel_duckdb.monitor.alerts.rule import make_rules
from otel_duckdb.rules import Measure, Thresholds, alerts
from otel_duckdb.rules.process import PROCESS_ALERTS
from otel_duckdb.settings import SettingError

TABLE = {alert.name: alert for alert in alerts()}
# What a process cannot see of itself: its own absence, the collector, and latencies, which it compares with their past.
OF_THE_PIPELINE = {
    *("DuckDBQueryLatencyHigh", "DuckDBSyncStopped", "DuckDBProgramGone", "DuckDBTargetAbsent", "DuckDBExportDropped"),
    *("DuckDBCollectorDown", "DuckDBPartDown", "DuckDBCollectorQueueHigh", "DuckDBExporterStalled"),
    "DuckDBTelemetryDropped",
}


def test_every_alert_of_the_table_is_judged_unless_only_the_pipeline_can():
    judged = {rule.name for rule in make_rules()} - {alert.name for alert in PROCESS_ALERTS}
    assert judged == TABLE.keys() - OF_THE_PIPELINE


def test_a_condition_asks_at_the_threshold_of_its_expression():
    for alert in alerts(Thresholds(memory_ratio=0.83, wal_bytes=12345, running_query_seconds=77)):
        if alert.condition is not None:
            asked = {float(number) for number in re.findall(r"> ([0-9.e+-]+)", alert.expression)}
            assert alert.condition.above in asked, alert.name


def test_a_condition_waits_as_long_as_its_rule_and_names_its_metric():
    for alert in TABLE.values():
        condition = alert.condition
        if condition is not None:
            assert Thresholds().duration(condition.lasting) == alert.lasting, alert.name
            assert condition.metric.prometheus_name in alert.expression, alert.name
            if condition.other is not None:
                assert condition.other.prometheus_name in alert.expression, alert.name
            if condition.window:
                assert f"[{Thresholds().duration(condition.window)}]" in alert.expression, alert.name


def test_a_share_of_something_limited_has_three_levels():
    memory = next(rule for rule in make_rules() if rule.name == "DuckDBMemoryHigh")
    assert memory.levels == {Level.WARNING: 0.75, Level.CRITICAL: 0.9, Level.EMERGENCY: 0.97}
    shares = {name for name, alert in TABLE.items() if alert.condition and alert.condition.measure is Measure.SHARE}
    assert {rule.name for rule in make_rules() if len(rule.levels) == 3} == shares | {"DuckDBResidentMemoryHigh"}


def test_thresholds_set_for_prometheus_move_the_levels():
    rules = {rule.name: rule for rule in make_rules(Thresholds(memory_ratio=0.6))}
    assert list(rules["DuckDBMemoryHigh"].levels.values()) == [pytest.approx(0.5), 0.6, 0.97]


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        ({"DuckDBMemoryLow": {"warning": 1}}, "no alert is called 'DuckDBMemoryLow'"),
        ({"DuckDBMemoryHigh": {"bad": 1}}, "no level 'bad'"),
        ({"DuckDBMemoryHigh": {"warning": 0.95}}, "contradict each other: warning 0.95, critical 0.9"),
        ({"DuckDBMemoryHigh": {"warning": -1}}, "DuckDBMemoryHigh.warning is -1; allowed is a number from 0"),
        ({"DuckDBMemoryHigh": {"warning": float("nan")}}, "DuckDBMemoryHigh.warning is nan; allowed is a number"),
        (
            {"DuckDBCpuHigh": {"warning": 75, "critical": 90}},
            "DuckDBCpuHigh.warning is 75; it is a share: 75 %",
        ),
    ],
)
def test_thresholds_that_mean_nothing_are_one_error_that_names_them(levels, said):
    with pytest.raises(SettingError, match=re.escape(said)) as raised:
        make_rules(levels=levels)
    assert "\n" not in str(raised.value)


def test_a_level_is_its_word_and_ordered_by_how_bad_it_is():
    assert Level.CRITICAL == "critical"
    assert f"{Level.CRITICAL}" == Level.CRITICAL.word == "critical"
    assert Level.WARNING < Level.CRITICAL < Level.EMERGENCY
    assert max(Level) is Level.EMERGENCY
    assert Level.EMERGENCY >= "critical" > Level.WARNING  # by how bad it is, and not by the alphabet
    assert (Level.WARNING <= Level.WARNING) is (Level.CRITICAL > Level.WARNING) is True


def test_every_rule_has_a_sentence_and_every_unit_is_written():
    assert _WORDS.keys() == {rule.name for rule in make_rules()}
    assert [amount(0.753, "share"), amount(61, "s"), amount(3.14, "times"), amount(2**21, "bytes"), amount(7, "")] == [
        *("75.3%", "61 s", "3.1 times", "2.0 MiB", "7"),
    ]


@pytest.mark.parametrize(("value", "said"), [(1.0, "1 fault inside"), (11.0, "11 faults inside")])
def test_one_is_not_several(value, said):
    rule = next(rule for rule in make_rules() if rule.name == "DuckDBInstrumentationErrors")
    alert = Alert("a", rule, "", {}, Level.WARNING, "", value, 0.0, 0.0)
    assert sentence(alert) == f"{said} the instrumentation (above 0)"
