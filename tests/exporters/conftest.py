"""The endpoint on a free port, for tests that run with the newest DuckDB only: nothing here depends on its version."""

import http.client

import duckdb
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource

from otel_duckdb import contract
from otel_duckdb.exporters.prometheus import PrometheusReader

collect_ignore_glob = [] if duckdb.__version__.startswith("2.") else ["test_*"]
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Endpoint:
    """A reader on a free port with a provider, and what a scraper sees of it."""

    def __init__(self, views=(), **options):
        self.reader = PrometheusReader("127.0.0.1", 0, **options)
        resource = Resource({"service.name": "gateway", "host.cpus": 2, "process.command_args": ["a", "b"]})
        self.provider = MeterProvider([self.reader], resource, views=views)
        self.meter = self.provider.get_meter(contract.SCOPE)

    def get(self, path="/metrics", method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.reader.port, timeout=10)
        try:
            connection.request(method, path, headers={key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def text(self):
        return self.get()[2].decode()

    def openmetrics(self):
        return self.get(Accept=OPENMETRICS)[2].decode()


@pytest.fixture
def openmetrics():
    """What a scraper sends that reads OpenMetrics."""
    return OPENMETRICS


@pytest.fixture
def endpoint():
    """The endpoint of a program, and what asks it."""
    endpoint = Endpoint()
    yield endpoint
    endpoint.provider.shutdown()


@pytest.fixture
def make_endpoint():
    """Makes endpoints as the test wants them; all are shut down in the end."""
    made = []

    def make(**options):
        made.append(Endpoint(**options))
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.provider.shutdown()
