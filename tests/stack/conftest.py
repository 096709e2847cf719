"""The pipeline, run once for all tests of this folder, in the environment of the newest DuckDB only."""

from pathlib import Path

import clickhouse_connect
import duckdb
import pytest

from stack import Programs, Service, Stack

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]


@pytest.fixture(scope="session")
def programs():
    """Where the pipeline's programs are; the first run builds them."""
    return Programs.find()


@pytest.fixture(scope="session")
def stack(programs, tmp_path_factory):
    """The running pipeline."""
    with Stack(programs, tmp_path_factory.mktemp("stack")) as running:
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
