"""The pipeline, run once for all tests of this folder, in the environment of the newest DuckDB only."""

import contextlib
import functools
import re
from pathlib import Path

import clickhouse_connect
import duckdb
import pytest

from otel_duckdb.rules import Thresholds, prometheus_rules
from stack import Programs, Service, Stack, Webhook, render_alertmanager

TIME_SCALE = 0.03
"""Five minutes become nine seconds."""
EXPIRATION = "5s"
"""Of series whose program ended: longer than the export interval, and shorter than any alert waits."""

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]


def pytest_itemcollected(item):
    """Mark what asks for the programs, itself or through the pipeline."""
    if "programs" in item.fixturenames:
        item.add_marker("go_programs")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Build what is to be built before the first test, whose time is limited; the fixture tells of a failure."""
    if any(item.get_closest_marker("go_programs") for item in items):
        with contextlib.suppress(RuntimeError):
            find_programs()


@functools.cache
def find_programs() -> Programs:
    return Programs.find()


@pytest.fixture(scope="session")
def programs():
    """Where the pipeline's programs are."""
    return find_programs()


@pytest.fixture(scope="session")
def webhook():
    """Where Alertmanager sends alerts."""
    with Webhook() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def stack(programs, webhook, tmp_path_factory):
    """The running pipeline: with the rules and routes that users deploy, but all of their waiting times shortened."""
    routes = re.sub(
        r"(group_wait|group_interval): \w+", r"\1: 1s", render_alertmanager(DUCKDB_ALERT_WEBHOOK_URL=webhook.url)
    )
    rules = prometheus_rules(Thresholds(time_scale=TIME_SCALE, running_query_seconds=5, wal_bytes=5e6))
    home = tmp_path_factory.mktemp("stack")
    shorter = {"OTELCOL_METRIC_EXPIRATION": EXPIRATION}
    with Stack(programs, home, rules=rules, alertmanager=routes, environment=shorter) as running:
        yield running


@pytest.fixture(scope="session")
def clickhouse(stack):
    """A client of the database that the collector fills."""
    with clickhouse_connect.get_client(
        host=stack.clickhouse.host, port=stack.clickhouse.port, database="otel"
    ) as client:
        yield client


@pytest.fixture(scope="session")
def start_service(stack, tmp_path_factory):
    """Start the workload under `opentelemetry-instrument` with a name of its own; all are stopped at the end."""
    started = []

    def start(name: str, **environment: str) -> Service:
        home = tmp_path_factory.mktemp(name)
        service = Service(name, stack.otlp_endpoint, home / "log", environment)
        started.append(service.start(Path(__file__).with_name("workload.py"), str(home)))
        return service

    yield start
    for service in started:
        if service.running:
            service.stop()


@pytest.fixture(scope="session")
def gateway(start_service):
    """One instrumented program that has served a request."""
    service = start_service("gateway")
    service.request = service.do("trade")
    return service


@pytest.fixture(scope="session")
def busy(stack, start_service):
    """One instrumented program that uses DuckDB in every way, all the time."""
    service = start_service("busy", OTEL_DUCKDB_PROFILE="all", OTEL_DUCKDB_SLOW_THRESHOLD_MS="1")
    service.do("start_everything", clickhouse_port=stack.clickhouse.port)
    return service
