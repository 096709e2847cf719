"""The dashboards show programs of all kinds of lives: renamed, forked and short ones, each by its own labels."""

from __future__ import annotations

import time

import pytest

from stack import eventually
from stack.panels import as_prometheus_gets_it, that_ask

LIVES = ("renamed", "forked", "short")
SEEN = 6
"""Scrapes that saw a program before it ended: enough for a rate, however many a busy machine missed."""
PROFILED = {"OTEL_DUCKDB_PROFILE": "all"}
"""Some panels tell of profiles."""


@pytest.fixture(scope="module")
def lives(stack, start_service):
    """A program that had another name before, a worker that was forked, and a program that has ended."""
    port = stack.clickhouse.port
    for name in ("its-name-before", "short"):
        service = start_service(name, **PROFILED)
        service.do("start_everything", clickhouse_port=port)
        scrapes = f'max(count_over_time(duckdb_sync_success_count{{job="{name}"}}[5m]))'
        eventually(lambda scrapes=scrapes: (stack.prometheus_probe.value(scrapes) or 0) >= SEEN)
        service.stop()
    start_service("renamed", **PROFILED).do("start_everything", clickhouse_port=port)
    forked = start_service("forked", OTEL_EXPORTER_OTLP_HEADERS="connection=close", **PROFILED)
    forked.do("fork_everything", clickhouse_port=port)
    return LIVES


@pytest.mark.parametrize("dashboard", ["queries", "engine", "sync"])
@pytest.mark.parametrize("life", LIVES)
def test_every_panel_shows_a_program_of_each_life(stack, lives, dashboard, life):
    def empty() -> list[str]:
        asked = [(title, as_prometheus_gets_it(each, {"job": life})) for title, each in that_ask(dashboard, "job")]
        assert asked
        return [
            f"{title}: {query}" for title, query in asked if not stack.prometheus_probe.range(query, time.time() - 300)
        ]

    eventually(empty, lambda found: not found, within=40)


def test_a_name_that_a_program_had_before_is_not_among_those_that_run(stack, lives):
    """It is shown where it was, and offered by no variable once its series are gone."""
    eventually(
        lambda: {one["metric"]["job"] for one in stack.prometheus_probe.query("count by (job) (otel_duckdb_running)")},
        lambda jobs: "renamed" in jobs and not {"its-name-before", "short"} & jobs,
    )


def test_a_forked_worker_has_a_process_of_its_own(stack, lives):
    instances = eventually(
        lambda: {
            one["metric"].get("instance_id")
            for one in stack.prometheus_probe.query('count by (instance_id) (duckdb_memory_used_bytes{job="forked"})')
        },
        lambda found: len(found) >= 2,
    )
    assert None not in instances
