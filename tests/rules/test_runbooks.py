"""Each command that a runbook names is one that its tool takes."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from otel_duckdb.commands.rules import command as rules
from otel_duckdb.commands.sync import command as sync
from otel_duckdb.rules import alerts

PAGE = (Path(__file__).parents[2] / "docs/alerts.md").read_text()
RULES = sorted(set(re.findall(r"otel-duckdb rules((?: --[\w-]+[ =][\w./=-]*[\w/])+)", PAGE)))
SILENCES = sorted(set(re.findall(r"amtool ([^`()\n]*silence add[^`()\n]*)", PAGE)))


@pytest.mark.parametrize("words", RULES)
def test_rules_take_each_option_that_a_runbook_names(words):
    printed = CliRunner().invoke(rules, words.split())
    assert (printed.exit_code, "groups:" in printed.output) == (0, True), printed.output


def test_there_are_such_commands():
    assert len(RULES) >= 4
    assert SILENCES


@pytest.mark.parametrize("words", SILENCES)
def test_a_silence_names_its_alertmanager_and_has_a_comment_which_amtool_asks_for(words):
    assert "--alertmanager.url=" in words
    assert "--comment=" in words
    assert re.search(r"alertname=(\w+)", words)[1] in {alert.name for alert in alerts()}


@pytest.mark.parametrize("option", sorted(set(re.findall(r"otel-duckdb sync sync.toml (--[\w-]+)", PAGE))))
def test_sync_takes_each_option_that_a_runbook_names(option):
    assert option in CliRunner().invoke(sync, ["--help"]).output
