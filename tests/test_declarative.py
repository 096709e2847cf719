"""What the SDK's declarative file says of this instrumentation is obeyed, and what it gets wrong keeps it off."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_duckdb.declarative import is_settled
from otel_duckdb.settings import SettingError

pytest.importorskip("opentelemetry.configuration", reason="the SDK of this line reads no file")

FILE = """
file_format: "1.0"
tracer_provider:
  processors: [{{simple: {{exporter: {{console: {{}}}}}}}}]
{section}
"""
SECTION = "instrumentation/development: {{python: {{duckdb: {options}}}}}"
PROGRAM = "import duckdb; duckdb.sql(\"SELECT 'apple'\").fetchall()"


def run(folder, section, **variables):
    file = folder / "otel.yaml"
    file.write_text(FILE.format(section=section))
    return subprocess.run(
        [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable, "-c", PROGRAM],
        env={**os.environ, "OTEL_CONFIG_FILE": str(file), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def said(done):
    """What is on stderr beside the SDK's own remark on its configurator."""
    return [line for line in done.stderr.splitlines() if "ignoring configurator kwargs" not in line]


def spans(done):
    return done.stdout.count('"db.query.text"')


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("{no_such: 1}", "unknown option 'no_such'; known are"),
        ("{query_text_limit: [1]}", "query_text_limit is [1]; allowed is"),
        *(
            pytest.param(options, error, marks=pytest.mark.slow)
            for options, error in (
                ("{query_text_limit: none}", "query_text_limit is 'none'; allowed is a whole number"),
                ("{raw_query_text: maybe}", "raw_query_text is 'maybe'; allowed is true or false"),
            )
        ),
        (
            "{features: {monitoring: false, alerting: {enabled: true}}}",
            "the feature alerting is on, and monitoring, which",
        ),
    ],
)
def test_a_wrong_option_means_no_instrumentation_and_one_setting_error(tmp_path, options, error):
    done = run(tmp_path, SECTION.format(options=options))
    assert spans(done) == 0
    assert done.stderr.count("SettingError: ") == 1
    assert f"SettingError: {error}" in done.stderr
    assert "TypeError" not in done.stderr
    assert "Attempting" not in done.stderr


def test_a_section_that_switches_it_off_is_obeyed_without_a_word(tmp_path):
    done = run(tmp_path, SECTION.format(options="{enabled: false}"))
    assert (spans(done), said(done)) == (0, [])


@pytest.mark.parametrize("section", ["", SECTION.format(options="{}")])
def test_it_is_instrumented_once_and_nothing_says_so(tmp_path, section):
    done = run(tmp_path, section)
    assert (spans(done), said(done)) == (1, [])
    assert "apple" not in done.stdout


def test_options_of_the_file_apply_and_the_environment_adds_those_it_leaves_out(tmp_path):
    assert spans(run(tmp_path, SECTION.format(options="{min_duration_ms: 60000}"))) == 0
    done = run(tmp_path, SECTION.format(options="{min_duration_ms: 0}"), OTEL_DUCKDB_RAW_QUERY_TEXT="true")
    assert (spans(done), said(done)) == (1, [])
    assert "apple" in done.stdout


BY_THE_SDK, BY_OPENTELEMETRY_INSTRUMENT = {}, {"skip_dep_check": True}


@pytest.mark.parametrize(
    ("section", "by_the_sdk", "by_opentelemetry_instrument"),
    [
        ("", False, False),
        ("instrumentation/development: {python: {other: {enabled: false}}}", False, False),
        ("instrumentation/development: {python: {duckdb: {}}}", False, True),
        ("instrumentation/development: {python: {duckdb: {enabled: false}}}", False, True),
        ("instrumentation/development: {python: {duckdb: {enabled: 'false'}}}", True, True),
        ("instrumentation/development: {python: {duckdb: {enabled: ' Off '}}}", True, True),
        ("instrumentation/development: {python: {duckdb: {enabled: 'true'}}}", False, True),
        ("instrumentation/development: {python: {duckdb: {skip_dep_check: true}}}", False, False),
    ],
)
def test_who_may_instrument(tmp_path, monkeypatch, section, by_the_sdk, by_opentelemetry_instrument):
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(section=section))
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    assert is_settled(BY_THE_SDK, is_instrumented=False) == by_the_sdk
    assert is_settled(BY_OPENTELEMETRY_INSTRUMENT, is_instrumented=False) == by_opentelemetry_instrument
    assert is_settled(BY_OPENTELEMETRY_INSTRUMENT, is_instrumented=True)


def test_a_word_that_is_neither_true_nor_false_is_refused_once(tmp_path, monkeypatch):
    file = tmp_path / "otel.yaml"
    file.write_text(FILE.format(section="instrumentation/development: {python: {duckdb: {enabled: perhaps}}}"))
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    with pytest.raises(SettingError, match="enabled is 'perhaps'; allowed is true or false"):
        is_settled(BY_THE_SDK, is_instrumented=False)
    assert is_settled(BY_OPENTELEMETRY_INSTRUMENT, is_instrumented=False)


@pytest.mark.parametrize("text", ["", "{", "file_format: 9", None])
def test_a_file_that_cannot_be_read_stops_the_automatic_instrumentation_and_no_program_s_own(
    tmp_path, monkeypatch, text
):
    file = tmp_path / "otel.yaml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("OTEL_CONFIG_FILE", str(file))
    assert not is_settled({}, is_instrumented=False)
    assert not is_settled({"min_duration_ms": 1}, is_instrumented=False)
    with pytest.raises(Exception, match=r"."):
        is_settled(BY_OPENTELEMETRY_INSTRUMENT, is_instrumented=False)
