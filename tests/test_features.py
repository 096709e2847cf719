"""Switches of features: each needs another, by keyword, environment, or the guide's file."""

import sys

import duckdb
import pytest

from command_line import otel_duckdb
from otel_duckdb import DuckDBInstrumentor, SettingError, Settings
from otel_duckdb.features import NEEDS, OTHER_NAMES
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.settings import MonitorSettings

GUIDE = """
features:
  duckdb_analytics:
    enabled: true
    description: "Enable DuckDB analytics integration"

  duckdb_monitoring:
    enabled: {monitoring}
    description: "Enable DuckDB resource monitoring"
    dependencies: ["duckdb_analytics"]

  duckdb_alerting:
    enabled: {alerting}
    description: "Enable DuckDB alerting system"
    dependencies: ["duckdb_monitoring"]

  of_another_program:
    enabled: true
"""
PARENTS = [(name, needed) for name, needed in NEEDS.items() if needed]


@pytest.fixture
def file(tmp_path):
    def write(monitoring="true", alerting="true"):
        path = tmp_path / "feature-flags.yaml"
        path.write_text(GUIDE.format(monitoring=monitoring, alerting=alerting))
        return str(path)

    return write


@pytest.mark.parametrize(("name", "needed"), PARENTS)
def test_a_switch_whose_dependency_is_off_is_an_error_that_says_so(name, needed):
    with pytest.raises(SettingError, match=f"the feature {name} is on, and {needed}, which it needs, is off"):
        Settings.load({"features": {name: True, needed: False}}, {})
    with pytest.raises(SettingError, match=f"the feature {name} is on, and {needed}, which it needs, is off"):
        Settings.load({}, {"OTEL_DUCKDB_FEATURES": f"{name},{needed}=false"})


def test_alerting_alone_needs_the_monitor():
    with pytest.raises(SettingError, match="alerting is on, and monitoring"):
        Settings.load({}, {"OTEL_DUCKDB_FEATURES": "alerting"})
    assert Settings.load({}, {"OTEL_DUCKDB_FEATURES": "alerting", "OTEL_DUCKDB_MONITOR": "true"}).monitor
    with pytest.raises(SettingError, match="monitoring is on, and analytics"):
        Settings.load({"monitor": True, "features": {"analytics": False}}, {})


@pytest.mark.parametrize("given", [{"features": {"monitoring": True}}, {"features": {"duckdb_monitoring": "yes"}}])
def test_a_switch_is_its_option_by_its_own_name_or_the_guide_s(given):
    assert Settings.load(given, {}).monitor
    assert not Settings.load({"features": {"monitoring": False}}, {}).monitor
    assert Settings.load({"features": {"profiling": False}}, {}).profile == "off"
    assert Settings.load({"features": {"profiling": True, "monitoring": True}}, {}).profile == "slow"
    switched = MonitorSettings.load({"features": "alerting=off,page=off"}, {})
    assert (switched.alerting, switched.serve) == (False, False)


def test_what_no_switch_names_stays_as_its_option_says():
    assert Settings.load({"features": {"monitoring": True}, "profile": "all"}, {}).profile == "all"
    assert MonitorSettings.load({"features": {"page": False}}, {}).alerting


@pytest.mark.parametrize(
    ("load", "options", "said"),
    [
        (Settings.load, {"features": "monitoring=false", "monitor": True}, "monitoring is off, and the option monitor"),
        (Settings.load, {"features": "profiling=0", "profile": "all"}, "profiling is off, and the option profile is"),
        (MonitorSettings.load, {"features": "page", "serve": False}, "page is on, and the option serve is False"),
        (MonitorSettings.load, {"features": "alerting,monitoring=false"}, "alerting is on, and monitoring"),
        (Settings.load, {"features": "dashboards"}, "no feature is called 'dashboards'; known are analytics"),
        (Settings.load, {"features": "monitoring=perhaps"}, "monitoring is 'perhaps'; allowed is true or false"),
        (Settings.load, {"features": {"page": {"enabled": 7}}}, "page is 7; allowed is true or false"),
        (Settings.load, {"features": 7}, "features: the features are 7; allowed is a mapping"),
        (Settings.load, {"features_file": "no/such.yaml"}, "no/such.yaml cannot be read: No such file"),
    ],
)
def test_what_contradicts_itself_or_is_unknown_is_one_error(load, options, said):
    with pytest.raises(SettingError, match=said):
        load(options, {})


def test_the_guide_s_file_switches_as_it_says(file):
    environment = {"OTEL_DUCKDB_FEATURES_FILE": file()}
    assert Settings.load({}, environment).monitor
    assert MonitorSettings.load({}, environment).alerting
    assert not MonitorSettings.load({}, {"OTEL_DUCKDB_FEATURES_FILE": file(alerting="false")}).alerting
    assert not Settings.load({}, {"OTEL_DUCKDB_FEATURES_FILE": file("false", "false")}).monitor
    with pytest.raises(SettingError, match="duckdb_alerting is on, and duckdb_monitoring, which it needs, is off"):
        Settings.load({}, {"OTEL_DUCKDB_FEATURES_FILE": file("false")})
    file()
    keyword = Settings.load({"features": {"monitoring": False, "alerting": False}}, environment)
    assert not keyword.monitor  # what is said nearer to the program counts


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("features: [1]", "has no mapping `features`"),
        ("nothing", "has no mapping `features`"),
        ("features: {a: [", "is no YAML"),
        ("features: {duckdb_dashboard: true}", "no feature is called 'duckdb_dashboard'"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_error(tmp_path, text, said):
    path = tmp_path / "flags.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=said):
        Settings.load({"features_file": str(path)}, {})


def test_a_file_may_be_json_without_a_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    path = tmp_path / "flags.json"
    path.write_text('{"features": {"monitoring": {"enabled": true}}}')
    assert Settings.load({"features_file": str(path)}, {}).monitor
    path.write_text("features: {}")
    with pytest.raises(SettingError, match="to read YAML needs PyYAML"):
        Settings.load({"features_file": str(path)}, {})


def test_without_analytics_nothing_of_duckdb_is_touched():
    before = duckdb.connect
    DuckDBInstrumentor().instrument(features={"analytics": False})
    assert duckdb.connect is before
    DuckDBInstrumentor().uninstrument()


def test_a_monitor_whose_feature_is_off_does_not_run_and_says_so(caplog):
    with Monitor(features={"monitoring": False}) as monitor:
        assert not monitor.status()["monitor"]["running"]
    assert "the monitor does not run, for the feature monitoring is off" in caplog.text


def test_a_switch_reaches_the_monitor_that_instrument_starts():
    instrumentor = DuckDBInstrumentor()
    instrumentor.instrument(features={"monitoring": True, "alerting": False, "page": False})
    monitor = instrumentor._running._monitor
    assert (monitor.alerting, monitor.port) == (None, None)
    assert monitor.status()["monitor"]["running"]
    instrumentor.uninstrument()


def test_the_names_of_the_guide_are_all_known():
    assert set(OTHER_NAMES.values()) == set(NEEDS)


def test_a_wrong_switch_is_one_line_of_the_command_line(tmp_path):
    path = tmp_path / "x.duckdb"
    duckdb.connect(path).close()
    for variables, said in (
        ({"OTEL_DUCKDB_FEATURES": "alerting,monitoring=no"}, "alerting is on, and monitoring"),
        ({"OTEL_DUCKDB_FEATURES": "monitoring=no"}, "the feature monitoring is off"),
    ):
        done = otel_duckdb("monitor", path, environment=variables)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert said in done.stderr
