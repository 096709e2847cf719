"""The exact-name endpoint, asked over HTTP and read by prometheus_client's own parsers."""

import faulthandler
import gc
import gzip
import http.client
import logging
import math
import os
import socket
import threading
import time
import weakref
from types import SimpleNamespace

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from otel_duckdb import contract
from otel_duckdb.exporters.prometheus import PrometheusReader, pull_exporter
from otel_duckdb.settings import SettingError

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


def samples(families):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample for f in families for sample in f.samples}


@pytest.fixture
def endpoint():
    endpoint = Endpoint()
    yield endpoint
    endpoint.provider.shutdown()


@pytest.fixture
def make_endpoint():
    made = []

    def make(**options):
        made.append(Endpoint(**options))
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.provider.shutdown()


def record_every_contract_metric(meter):
    for metric in contract.METRICS:
        name, unit, about = metric.name, metric.unit, metric.description
        match metric.kind:
            case contract.Kind.HISTOGRAM:
                meter.create_histogram(name, unit, about, explicit_bucket_boundaries_advisory=metric.buckets).record(3)
            case contract.Kind.COUNTER:
                meter.create_counter(name, unit, about).add(1)
            case contract.Kind.OBSERVABLE_COUNTER:
                meter.create_observable_counter(name, [lambda _: [Observation(1)]], unit, about)
            case contract.Kind.OBSERVABLE_GAUGE:
                meter.create_observable_gauge(name, [lambda _: [Observation(1)]], unit, about)
            case contract.Kind.OBSERVABLE_UP_DOWN_COUNTER:
                meter.create_observable_up_down_counter(name, [lambda _: [Observation(1)]], unit, about)


def test_every_contract_metric_has_its_exact_name_and_type_in_the_text(endpoint):
    record_every_contract_metric(endpoint.meter)
    lines = [line.split() for line in endpoint.text().splitlines() if line.startswith("# TYPE")]
    types = {name: kind for _, _, name, kind in lines}
    assert types.pop("target_info") == "gauge"
    assert types == {
        metric.prometheus_name: metric.kind.prometheus_type.replace("counter", "untyped") for metric in contract.METRICS
    }
    parsed = {family.name for family in parse_text(endpoint.text())} - {"target_info"}
    assert parsed == {metric.prometheus_name for metric in contract.METRICS}


def test_every_contract_metric_has_its_exact_name_in_openmetrics(endpoint):
    record_every_contract_metric(endpoint.meter)
    families = {family.name: family for family in parse_openmetrics(endpoint.openmetrics())}
    del families["target"]
    assert set(families) == {metric.prometheus_name for metric in contract.METRICS}
    for metric in contract.METRICS:
        expected = metric.prometheus_name
        if metric.kind is contract.Kind.HISTOGRAM:
            assert {sample.name.removeprefix(expected) for sample in families[expected].samples} == {
                "_bucket",
                "_count",
                "_sum",
            }
        else:
            assert [sample.name for sample in families[expected].samples] == [expected]


def test_the_format_is_negotiated(endpoint):
    assert endpoint.get()[1]["Content-Type"].startswith("text/plain; version=0.0.4")
    assert endpoint.get(Accept="text/html, */*")[1]["Content-Type"].startswith("text/plain; version=0.0.4")
    status, headers, body = endpoint.get(Accept=OPENMETRICS + ", text/plain;q=0.5")
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_the_answer_is_compressed_for_who_accepts_it(endpoint):
    endpoint.meter.create_counter("made").add(1)
    _, headers, body = endpoint.get(Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert b"target_info" in gzip.decompress(body)
    assert "Content-Encoding" not in endpoint.get()[1]


def test_a_histogram_is_cumulative_with_whole_bounds_written_whole(endpoint):
    histogram = endpoint.meter.create_histogram(
        "duckdb_query_latency_ms", "ms", explicit_bucket_boundaries_advisory=[0.25, 5, 100]
    )
    for value in (0.25, 5, 5.5, 1000):
        histogram.record(value, {"query_type": "SELECT"})
    found = samples(parse_text(endpoint.text()))
    assert 'duckdb_query_latency_ms_bucket{le="5",query_type="SELECT"} 2.0' in endpoint.text()
    buckets = {
        dict(labels)["le"]: found[name, labels].value
        for name, labels in found
        if name == "duckdb_query_latency_ms_bucket"
    }
    assert buckets == {"0.25": 1, "5": 2, "100": 3, "+Inf": 4}
    assert found["duckdb_query_latency_ms_count", (("query_type", "SELECT"),)].value == 4
    assert found["duckdb_query_latency_ms_sum", (("query_type", "SELECT"),)].value == 1010.75


def test_no_series_carries_the_scope_and_the_resource_is_target_info(endpoint):
    endpoint.meter.create_counter("duckdb_failed_connections").add(2)
    found = samples(parse_text(endpoint.text()))
    assert found["duckdb_failed_connections", ()].value == 2
    info = dict(next(labels for name, labels in found if name == "target_info"))
    assert info["service_name"] == "gateway"
    assert info["host_cpus"] == "2"
    assert info["process_command_args"] == '["a", "b"]'


def test_exemplars_lead_to_the_trace_and_stay_for_every_scraper(endpoint):
    tracer = TracerProvider().get_tracer("test")
    histogram = endpoint.meter.create_histogram("latency", explicit_bucket_boundaries_advisory=[1, 10])
    with tracer.start_as_current_span("query") as span:
        histogram.record(10)
    context = span.get_span_context()
    for _ in range(3):  # the SDK forgets exemplars at each collection
        found = samples(parse_openmetrics(endpoint.openmetrics()))
        exemplar = found["latency_bucket", (("le", "10"),)].exemplar
        assert exemplar.labels == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}
        assert exemplar.value == 10
        assert time.time() - float(exemplar.timestamp) < 60
        assert found["latency_bucket", (("le", "1"),)].exemplar is None
    with tracer.start_as_current_span("later") as later:
        histogram.record(9)
    found = samples(parse_openmetrics(endpoint.openmetrics()))
    newest = found["latency_bucket", (("le", "10"),)].exemplar
    assert newest.labels["trace_id"] == f"{later.get_span_context().trace_id:032x}"


def test_concurrent_scrapes_see_the_same_counts_and_share_collections(endpoint):
    collections = []

    def observe(_):
        collections.append(1)
        time.sleep(0.02)
        return [Observation(1)]

    endpoint.meter.create_observable_gauge("slow_gauge", [observe])
    endpoint.meter.create_counter("duckdb_failed_connections").add(7)
    texts = []
    threads = [threading.Thread(target=lambda: texts.append(endpoint.text())) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 12
    assert all("\nduckdb_failed_connections 7.0\n" in text and "\nslow_gauge 1.0\n" in text for text in texts)
    assert len(collections) < 12


def test_a_scrape_shows_what_was_recorded_just_before_it(endpoint):
    counter = endpoint.meter.create_counter("duckdb_failed_connections")
    for total in range(1, 30):
        counter.add(1)
        assert f"\nduckdb_failed_connections {total}.0\n" in endpoint.reader.render()[0].decode()


def test_an_exponential_histogram_is_left_out_with_one_warning(make_endpoint, caplog):
    endpoint = make_endpoint(views=[View(instrument_name="power", aggregation=ExponentialBucketHistogramAggregation())])
    endpoint.meter.create_histogram("power").record(1)
    endpoint.meter.create_counter("duckdb_failed_connections").add(1)
    for _ in range(3):
        assert endpoint.get()[0] == 200
        assert "duckdb_failed_connections 1.0" in endpoint.text()
    assert "power" not in endpoint.text()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "power" in caplog.text


def test_attributes_whose_names_become_one_are_joined(endpoint):
    counter = endpoint.meter.create_counter("made")
    counter.add(1, {"db.name": "a", "db_name": "b", "db-name": "c", "0th": "z"})
    labels = next(dict(labels) for name, labels in samples(parse_text(endpoint.text())) if name == "made")
    assert labels == {"db_name": "c;a;b", "key_0th": "z"}


@pytest.mark.parametrize("value", ['say "hi"', "back\\slash", "two\nlines", "Grüße 🦆", "a=b,c}", ""])
def test_label_values_survive_both_formats(endpoint, value):
    endpoint.meter.create_counter("made").add(1, {"table_name": value})
    for families in (parse_text(endpoint.text()), parse_openmetrics(endpoint.openmetrics())):
        assert ("made", (("table_name", value),)) in samples(families)


def test_values_that_are_no_numbers_are_written_as_prometheus_reads_them(endpoint):
    # The SDK drops what is not finite when it is recorded, but sums of finite values may overflow.
    endpoint.meter.create_counter("made").add(1e308)
    endpoint.meter.create_counter("made").add(1e308)
    endpoint.meter.create_observable_gauge("nan", [lambda _: [Observation(math.nan)]])
    text = endpoint.text()
    assert "\nmade +Inf\n" in text
    assert "\nnan " not in text or "\nnan NaN\n" in text  # old lines of the SDK pass it on
    assert samples(parse_openmetrics(endpoint.openmetrics()))["made", ()].value == math.inf


def test_a_gauge_that_has_no_value_any_more_is_not_shown(endpoint):
    values = [[Observation(3)], []]
    endpoint.meter.create_observable_gauge("made", [lambda _: values.pop(0)])
    assert "\nmade 3.0\n" in endpoint.text()
    assert "made" not in endpoint.text()


def test_a_description_of_several_lines_stays_one_help_line(endpoint):
    endpoint.meter.create_counter("made", description="first\n# TYPE made counter\\").add(1)
    (family,) = (family for family in parse_text(endpoint.text()) if family.name == "made")
    assert (family.type, family.documentation) == ("unknown", "first\n# TYPE made counter\\")


def test_a_counter_that_is_named_total_keeps_its_name(endpoint):
    endpoint.meter.create_counter("requests_total").add(3)
    assert "\n# TYPE requests_total counter\nrequests_total 3.0\n" in endpoint.text()
    assert "\n# TYPE requests counter\nrequests_total 3.0\n" in endpoint.openmetrics()


def test_the_same_point_from_two_scopes_is_shown_once_with_one_warning(endpoint, caplog):
    endpoint.meter.create_counter("made").add(1)
    endpoint.provider.get_meter("other").create_counter("made").add(5)
    assert endpoint.text().count("\nmade ") == 1
    endpoint.text()
    assert len(caplog.records) == 1
    assert "several scopes" in caplog.text


def test_a_name_of_two_kinds_is_shown_as_the_first_with_one_warning(endpoint, caplog):
    endpoint.meter.create_counter("made").add(1)
    endpoint.provider.get_meter("other").create_histogram("made").record(5)
    assert "made_bucket" not in endpoint.text()
    assert endpoint.get()[0] == 200
    assert len(caplog.records) == 1


def test_several_readers_stand_side_by_side():
    readers = [PrometheusReader("127.0.0.1", 0) for _ in range(3)]
    provider = MeterProvider(readers)
    provider.get_meter("test").create_counter("made").add(4)
    try:
        assert len({reader.port for reader in readers}) == 3
        for reader in readers:
            assert b"\nmade 4.0\n" in reader.render()[0]
    finally:
        provider.shutdown()


def test_without_a_server_render_gives_the_text(make_endpoint):
    reader = PrometheusReader(serve=False)
    provider = MeterProvider([reader])
    provider.get_meter("test").create_counter("made").add(4)
    body, content_type = reader.render()
    assert reader.port is None
    assert b"\nmade 4.0\n" in body
    assert content_type.startswith("text/plain")
    assert reader.render(OPENMETRICS)[0].endswith(b"# EOF\n")
    provider.shutdown()


def test_a_reader_that_no_provider_has_yet_shows_nothing(caplog):
    reader = PrometheusReader(serve=False)
    assert b"made" not in reader.render()[0]
    assert not caplog.records
    reader.shutdown()


def test_a_port_in_use_is_one_clear_error_and_the_program_goes_on(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        reader = PrometheusReader("127.0.0.1", port)
        provider = MeterProvider([reader])
        (record,) = caplog.records
        assert record.levelno == logging.ERROR
        assert record.exc_info is None
        message = record.getMessage()
        assert "\n" not in message
        for part in ("127.0.0.1", str(port), "in use", "OTEL_EXPORTER_PROMETHEUS_PORT"):
            assert part in message
        assert reader.port is None
        provider.get_meter("test").create_counter("made").add(1)
        assert b"made 1.0" in reader.render()[0]
        provider.shutdown()


def test_a_host_that_is_not_of_this_machine_is_one_clear_error(caplog):
    reader = PrometheusReader("192.0.2.1", 0)
    assert reader.port is None
    assert "192.0.2.1" in caplog.text
    reader.shutdown()


def test_shutdown_frees_the_port_and_twice_is_once(make_endpoint):
    endpoint = make_endpoint()
    port = endpoint.reader.port
    endpoint.reader.shutdown()
    endpoint.reader.shutdown()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert not any("http server" in thread.name for thread in threading.enumerate())


def test_a_failing_collection_answers_500_and_the_next_one_200(endpoint, monkeypatch, caplog):
    endpoint.meter.create_counter("made").add(1)
    monkeypatch.setattr(endpoint.reader._exposition, "write", lambda *_, **__: 1 / 0)
    status, _, body = endpoint.get()
    assert (status, body) == (500, b"A collection failed; the program's log says why.\n")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    monkeypatch.undo()
    assert "\nmade 1.0\n" in endpoint.text()


def test_other_paths_and_methods_collect_nothing(endpoint):
    calls = []
    endpoint.meter.create_observable_gauge("g", [lambda _: calls.append(1) or []])
    assert endpoint.get("/favicon.ico")[0] == 404
    assert endpoint.get(method="POST")[0] == 405
    assert not calls
    assert endpoint.get("/")[0] == endpoint.get("/metrics")[0] == 200
    assert calls


def test_both_formats_are_what_prometheus_client_writes_of_what_it_read(endpoint):
    record_every_contract_metric(endpoint.meter)
    for text, parse, write in (
        (endpoint.text(), parse_text, generate_text),
        (endpoint.openmetrics(), parse_openmetrics, generate_openmetrics),
    ):
        registry = SimpleNamespace(collect=lambda parse=parse, text=text: parse(text))
        assert set(write(registry).decode().splitlines()) == set(text.splitlines())


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_bad_port_names_the_variable_the_value_and_what_is_allowed(monkeypatch, port):
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", port)
    with pytest.raises(SettingError, match=f"OTEL_EXPORTER_PROMETHEUS_PORT is '{port}'; allowed is .* 0 to 65535"):
        PrometheusReader()


def test_the_address_comes_from_the_environment(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", str(port))
    reader = PrometheusReader()
    assert reader.port == port
    reader.shutdown()


def test_the_declarative_exporter_refuses_unknown_options():
    with pytest.raises(SettingError, match="unknown option 'adress'; known are host, port, allowed_hosts"):
        pull_exporter(adress="127.0.0.1")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_leaves_the_port_to_the_parent_and_ends_without_hanging(endpoint):
    endpoint.meter.create_counter("made").add(1)
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(10, exit=True)
        report = b"fault"
        try:
            endpoint.meter.create_counter("made").add(1)
            rendered = b"made 2.0" in endpoint.reader.render()[0]
            endpoint.provider.shutdown()
            report = b"fine" if rendered and endpoint.reader.port is None else b"wrong"
        finally:
            os.write(write_end, report)
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as reports:
        assert reports.read() == b"fine"
    os.waitpid(child, 0)
    assert "\nmade 1.0\n" in endpoint.text()


def test_a_reader_that_was_shut_down_leaves_no_trace_in_memory():
    reader = PrometheusReader("127.0.0.1", 0)
    reader.shutdown()
    remembered = weakref.ref(reader)
    del reader
    gc.collect()
    assert remembered() is None


def test_half_a_character_in_a_label_a_description_or_the_resource_hides_nothing():
    reader = PrometheusReader("127.0.0.1", 0)
    provider = MeterProvider([reader], Resource({"service.name": "caf\udce9", "odd\ud800": ["\ud801", "b"]}))
    meter = provider.get_meter("test")
    meter.create_counter("made", description="half \ud800").add(1, {"table_name": "t\ud800", "half\ud800": "x"})
    meter.create_counter("other").add(2)
    try:
        for accept in (None, OPENMETRICS):
            text = reader.render(accept)[0].decode()
            assert "\nother 2.0\n" in text
            assert r'table_name="t\\ud800"' in text
            parsed = samples((parse_openmetrics if accept else parse_text)(text))
            assert ("made", (("half_", "x"), ("table_name", r"t\ud800"))) in parsed
    finally:
        provider.shutdown()


def test_a_series_that_cannot_be_written_is_left_out_alone_with_one_warning(endpoint, caplog):
    counter = endpoint.meter.create_counter("made")
    for _ in range(2):
        counter.add(2**1023, {"odd": "the sum is more than a float holds"})
    counter.add(2, {"odd": "well"})
    for _ in range(2):
        assert '\nmade{odd="well"} 2.0\n' in endpoint.text()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_beyond_loopback_is_warned_of_in_one_line_that_says_what_is_shown_to_whom(host, caplog):
    reader = PrometheusReader(host, 0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in ("whoever reaches this machine", "without a password", "tables", "command line", "PROMETHEUS_HOST"):
        assert part in record.getMessage()
    reader.shutdown()


def test_a_name_of_another_site_is_refused_unless_it_is_configured(endpoint, monkeypatch, caplog):
    assert endpoint.get(Host="evil.example")[0] == 421
    assert endpoint.get(Host=f"localhost:{endpoint.reader.port}")[0] == 200
    assert not caplog.records
    monkeypatch.setenv("OTEL_DUCKDB_ALLOWED_HOSTS", "metrics.internal, other")
    named = Endpoint()
    assert [named.get(Host=host)[0] for host in ("metrics.internal:9464", "other", "evil.example")] == [200, 200, 421]
    named.provider.shutdown()
