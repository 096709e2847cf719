"""The alert rules load into Prometheus, fire above their thresholds and not at them, and print with a user's own."""

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
from otel_duckdb.settings import SettingError

PROMETHEUS = Path(__file__).parents[2] / "collector-config/prometheus"


def run(*words):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


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
)
HIGHER = Thresholds(
    latency_ms=130,
    memory_ratio=0.92,
    disk_ratio=0.92,
    sync_failures=6,
    transaction_failure_ratio=0.12,
    failed_connections=6,
    sync_lag_seconds=302,
)


@pytest.mark.parametrize("moved", [LOWER, HIGHER], ids=["lower", "higher"])
def test_the_promtool_tests_notice_each_threshold_that_is_moved(judged, moved):
    failures = judged(prometheus_rules(moved)).stderr
    names = set(re.findall(r'expr: "ALERTS\{alertname=\\"(\w+)\\"', failures))
    names |= set(re.findall(r'expr: "count.*ALERTS\{alertname=\\"(\w+)\\"', failures))
    without_threshold = {"DuckDBCollectorDown", "DuckDBTargetAbsent"}
    assert names == {alert.name for alert in alerts()} - without_threshold


@pytest.mark.parametrize("scale", [0.5, 2])
def test_the_promtool_tests_notice_waiting_times_that_are_changed(judged, scale):
    assert judged(prometheus_rules(Thresholds(time_scale=scale))).returncode == 1


def test_every_alert_is_tested(tools):
    tested = (PROMETHEUS / "tests/rules_test.yml").read_text()
    assert [alert.name for alert in alerts() if f'alertname="{alert.name}"' not in tested] == []


def test_every_alert_says_what_it_means_how_to_check_and_what_to_do():
    rules = yaml.safe_load(prometheus_rules())["groups"][0]["rules"]
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "meaning", "check", "action"}
        assert all(text.endswith(".") for name, text in rule["annotations"].items() if name != "summary")
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
    assert rules["DuckDBQueryLatencyHigh"]["expr"].endswith("[30s]))) > 250")
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


def test_thresholds_refuse_what_is_out_of_bounds():
    with pytest.raises(SettingError, match=r"disk_ratio is 1\.5"):
        Thresholds(disk_ratio=1.5)


@pytest.mark.parametrize(
    ("seconds", "scale", "written"),
    [(300, 1, "5m"), (90, 1, "90s"), (7200, 1, "2h"), (300, 0.01, "3s"), (60, 0.001, "1s")],
)
def test_durations_are_written_as_prometheus_reads_them(seconds, scale, written):
    assert Thresholds(time_scale=scale).duration(seconds) == written
