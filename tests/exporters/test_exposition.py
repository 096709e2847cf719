"""What is written: exact names in Prometheus' text and OpenMetrics, as prometheus_client's parsers read them."""

import math
import time
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
from otel_duckdb.exporters.prometheus import PrometheusReader


def samples(families):
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample for f in families for sample in f.samples}


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


def test_both_formats_are_what_prometheus_client_writes_of_what_it_read(endpoint):
    record_every_contract_metric(endpoint.meter)
    for text, parse, write in (
        (endpoint.text(), parse_text, generate_text),
        (endpoint.openmetrics(), parse_openmetrics, generate_openmetrics),
    ):
        registry = SimpleNamespace(collect=lambda parse=parse, text=text: parse(text))
        assert set(write(registry).decode().splitlines()) == set(text.splitlines())


def test_half_a_character_in_a_label_a_description_or_the_resource_hides_nothing(openmetrics):
    reader = PrometheusReader("127.0.0.1", 0)
    provider = MeterProvider([reader], Resource({"service.name": "caf\udce9", "odd\ud800": ["\ud801", "b"]}))
    meter = provider.get_meter("test")
    meter.create_counter("made", description="half \ud800").add(1, {"table_name": "t\ud800", "half\ud800": "x"})
    meter.create_counter("other").add(2)
    try:
        for accept in (None, openmetrics):
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
