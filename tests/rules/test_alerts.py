"""The alert rules load into Prometheus, fire above their thresholds and not at them, and print with a user's own."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from otel_duckdb.commands._group import run as main
from otel_duckdb.commands.rules import command
from otel_duckdb.rules import Thresholds, alerts, prometheus_rules
from otel_duckdb.rules.dashboards import dashboards
from otel_duckdb.settings import SettingError

PROMETHEUS = Path(__file__).parents[2] / "collector-config/prometheus"


def run(*words):
    environment = {**os.environ, "GOMAXPROCS": "1", "GOGC": "400"}  # a third less of the processor
    return subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def judged(tools, tmp_path):
    """Runs the committed promtool tests against a rule file."""
    (tmp_path / "tests").mkdir()
    shutil.copy(PROMETHEUS / "tests/rules_test.yml", tmp_path / "tests")

    def judge(rules):
        (tmp_path / "rules.yml").write_text(rules)
        return run(tools / "promtool", "test", "rules", tmp_path / "tests/rules_test.yml")

    return judge


def test_prometheus_accepts_the_rules_and_finds_nothing_to_improve(tools):
    done = run(tools / "promtool", "check", "rules", "--lint=all", "--lint-fatal", PROMETHEUS / "rules.yml")
    assert f"{len(alerts())} rules found" in done.stdout, done.stdout + done.stderr


def test_every_alert_fires_above_its_threshold_and_not_at_it(judged):
    done = judged(prometheus_rules())
    assert done.returncode == 0, done.stdout + done.stderr


LOWER = Thresholds(
    latency_ms=99,
    memory_ratio=0.89,
    disk_ratio=0.89,
    sync_failures=4,
    transaction_failure_ratio=0.09,
    failed_connections=4,
    sync_lag_seconds=299,
    sync_stopped_seconds=540,
    latency_min_per_second=0.01,
    running_query_seconds=599,
    wal_bytes=60e6,
    pool_timeouts=4,
    queue_ratio=0.49,
)
HIGHER = Thresholds(
    latency_ms=130,
    memory_ratio=0.92,
    disk_ratio=0.92,
    sync_failures=6,
    transaction_failure_ratio=0.12,
    failed_connections=6,
    sync_lag_seconds=302,
    sync_stopped_seconds=660,
    running_query_seconds=602,
    out_of_memory_errors=1,
    wal_bytes=80e6,
    pool_timeouts=6,
    queue_ratio=0.52,
    internal_errors=1,
)


WITHOUT_THRESHOLD = {
    "DuckDBCollectorDown",
    "DuckDBTargetAbsent",
    "DuckDBProgramGone",
    "DuckDBExportDropped",
    "DuckDBPartDown",
    "DuckDBExporterStalled",
    "DuckDBTelemetryDropped",
}
NOT_LOWER = {"DuckDBOutOfMemory", "DuckDBInstrumentationErrors"}
"""Whose threshold is 0."""


@pytest.mark.slow
@pytest.mark.parametrize(("moved", "fixed"), [(LOWER, NOT_LOWER), (HIGHER, set())], ids=["lower", "higher"])
def test_the_promtool_tests_notice_each_threshold_that_is_moved(judged, moved, fixed):
    failures = judged(prometheus_rules(moved)).stderr
    names = set(re.findall(r'expr: "ALERTS\{alertname=\\"(\w+)\\"', failures))
    names |= set(re.findall(r'expr: "count.*ALERTS\{alertname=\\"(\w+)\\"', failures))
    names |= set(re.findall(r'alertname=~\\"(\w+)\|', failures))
    assert names >= {alert.name for alert in alerts()} - WITHOUT_THRESHOLD - fixed


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.5, 2])
def test_the_promtool_tests_notice_waiting_times_that_are_changed(judged, scale):
    assert judged(prometheus_rules(Thresholds(time_scale=scale))).returncode == 1


def test_every_alert_is_tested(tools):
    tested = (PROMETHEUS / "tests/rules_test.yml").read_text()
    assert [alert.name for alert in alerts() if alert.name not in tested] == []


def test_every_alert_says_what_it_means_how_to_check_and_what_to_do():
    rules = yaml.safe_load(prometheus_rules())["groups"][0]["rules"]
    for rule in rules:
        annotations = rule["annotations"]
        assert set(annotations) >= {"summary", "meaning", "check", "action", "runbook_url", "dashboard_url"}
        assert all(annotations[name].endswith(".") for name in ("meaning", "check", "action"))
        assert rule["keep_firing_for"]
        assert rule["labels"]["severity"] in ("warning", "critical")
    assert [rule["alert"] for rule in rules] == [alert.name for alert in alerts()]


def test_the_command_prints_the_committed_rules():
    printed = CliRunner().invoke(command, [])
    assert printed.exit_code == 0
    assert printed.output == (PROMETHEUS / "rules.yml").read_text()


def test_the_command_prints_rules_with_the_users_thresholds(tools, tmp_path):
    words = "--latency-ms 250 --memory-ratio 0.8 --failed-connections 0 --sync-lag-seconds 60 --time-scale 0.1"
    printed = CliRunner().invoke(command, words.split())
    rules = {rule["alert"]: rule for rule in yaml.safe_load(printed.output)["groups"][0]["rules"]}
    assert rules["DuckDBQueryLatencyHigh"]["expr"].count("[30s]))) > 250\n") == 1
    assert rules["DuckDBQueryLatencyHigh"]["for"] == "30s"
    assert rules["DuckDBMemoryHigh"]["expr"].endswith("> 0.8")
    assert rules["DuckDBConnectionsFailing"]["expr"].endswith("> 0")
    assert rules["DuckDBSyncLagHigh"]["expr"].endswith("> 60")
    (tmp_path / "rules.yml").write_text(printed.output)
    assert run(tools / "promtool", "check", "rules", tmp_path / "rules.yml").returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--memory-ratio", "90"], "memory_ratio is 90; allowed is a number from 0 to 1"),
        (["--latency-ms", "-1"], "latency_ms is -1; allowed is a number from 0"),
        (["--latency-ms", "nan"], "latency_ms is nan; allowed is a number from 0"),
        (["--time-scale", "0"], "time_scale is 0; allowed is a number from 0.001 to 100"),
    ],
)
def test_a_threshold_out_of_bounds_is_wrong_usage(words, message):
    printed = CliRunner().invoke(command, words)
    assert printed.exit_code == 2
    assert message in printed.output


def test_the_command_line_knows_the_command_and_tells_errors_in_one_line(capsys):
    assert main(["rules", "--disk-ratio", "0.5"]) == 0
    assert "duckdb_max_disk_usage_bytes > 0.5\n" in capsys.readouterr().out
    assert main(["rules", "--disk-ratio", "2"]) == 2
    assert capsys.readouterr().err == "otel-duckdb: disk_ratio is 2; allowed is a number from 0 to 1\n"


def test_every_alert_leads_to_its_runbook_and_to_a_panel_that_there_is():
    headings = re.findall(r"^## (\w+)$", (PROMETHEUS.parents[1] / "docs/alerts.md").read_text(), re.MULTILINE)
    made = {json.loads(text)["uid"]: json.loads(text) for text in dashboards().values()}
    for rule in yaml.safe_load(prometheus_rules())["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"].endswith(f"#{rule['alert'].lower()}")
        assert rule["alert"] in headings
        uid, panel = re.search(r"/d/([\w-]+)\?viewPanel=(\d+)", rule["annotations"]["dashboard_url"]).groups()
        assert int(panel) in [one["id"] for one in made[uid]["panels"] if one["type"] != "row"]


def test_a_program_or_a_kind_of_statement_has_a_latency_threshold_of_its_own_in_one_line(tools, tmp_path):
    words = ["--latency-ms-of", "nightly=60000", "--latency-ms-of", "api/INSERT=500", "--latency-ms-of", "report=off"]
    printed = CliRunner().invoke(command, words)
    (rule,) = (
        rule
        for rule in yaml.safe_load(printed.output)["groups"][0]["rules"]
        if rule["alert"] == "DuckDBQueryLatencyHigh"
    )
    (tmp_path / "rules.yml").write_text(printed.output)
    slow = {"nightly": 30_000, "api": 30_000, "report": 30_000, "web": 30_000}
    series = [
        f"      - {{series: 'duckdb_query_latency_ms_bucket"
        f"""{{job="{job}", query_type="{kind}", le="{le}"}}', values: {values}}}"""
        for job in slow
        for kind in ("SELECT", "INSERT")
        for le, values in (
            ("250", "0x40"),
            ("500", "0+100x40" if (job, kind) == ("api", "INSERT") else "0x40"),
            ("30000", "0+100x40"),
            ("+Inf", "0+100x40"),
        )
    ]
    (tmp_path / "test.yml").write_text(
        "rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n  - interval: 30s\n    input_series:\n"
        + "\n".join(series)
        + """
    promql_expr_test:
      - expr: count by (job, query_type) (ALERTS{alertname="DuckDBQueryLatencyHigh", alertstate="firing"})
        eval_time: 15m
        exp_samples:
          - {labels: '{job="api", query_type="SELECT"}', value: 1}
          - {labels: '{job="web", query_type="SELECT"}', value: 1}
          - {labels: '{job="web", query_type="INSERT"}', value: 1}
"""
    )
    done = run(tools / "promtool", "test", "rules", tmp_path / "test.yml")
    assert done.returncode == 0, done.stdout + done.stderr + rule["expr"]


@pytest.mark.parametrize("wrong", ["nightly", "=5", "nightly=fast", "nightly=-1", "nightly=nan", "a/b/c=1"])
def test_a_latency_threshold_that_cannot_be_read_is_wrong_usage(wrong):
    printed = CliRunner().invoke(command, ["--latency-ms-of", wrong])
    assert printed.exit_code == 2
    assert f"latency_ms_of is '{wrong}'" in printed.output


def test_thresholds_refuse_what_is_out_of_bounds():
    with pytest.raises(SettingError, match=r"disk_ratio is 1\.5"):
        Thresholds(disk_ratio=1.5)


@pytest.mark.parametrize(
    ("seconds", "scale", "written"),
    [(300, 1, "5m"), (90, 1, "90s"), (7200, 1, "2h"), (300, 0.01, "3s"), (60, 0.001, "1s")],
)
def test_durations_are_written_as_prometheus_reads_them(seconds, scale, written):
    assert Thresholds(time_scale=scale).duration(seconds) == written
