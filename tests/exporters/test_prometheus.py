"""The endpoint: what it answers over HTTP, where it listens, what it says where it cannot, and how it ends."""

import faulthandler
import gc
import gzip
import logging
import os
import socket
import threading
import time
import weakref

import pytest
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider

from otel_duckdb.exporters.prometheus import PrometheusReader, pull_exporter
from otel_duckdb.settings import SettingError


def test_the_format_is_negotiated(endpoint, openmetrics):
    assert endpoint.get()[1]["Content-Type"].startswith("text/plain; version=0.0.4")
    assert endpoint.get(Accept="text/html, */*")[1]["Content-Type"].startswith("text/plain; version=0.0.4")
    for odd in ("application/openmetrics-text;version=x", "text/plain;version=1..0", "\xff;q=nan", "a;" * 3000):
        assert endpoint.get(Accept=odd)[1]["Content-Type"].startswith("text/plain; version=0.0.4")
    status, headers, body = endpoint.get(Accept=openmetrics + ", text/plain;q=0.5")
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_the_answer_is_compressed_for_who_accepts_it(endpoint):
    endpoint.meter.create_counter("made").add(1)
    _, headers, body = endpoint.get(Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip"
    assert b"target_info" in gzip.decompress(body)
    assert "Content-Encoding" not in endpoint.get()[1]


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


def test_a_name_of_another_site_is_refused_unless_it_is_configured(endpoint, make_endpoint, monkeypatch, caplog):
    assert endpoint.get(Host="evil.example")[0] == 421
    assert endpoint.get(Host=f"localhost:{endpoint.reader.port}")[0] == 200
    assert not caplog.records
    monkeypatch.setenv("OTEL_DUCKDB_ALLOWED_HOSTS", "metrics.internal, other")
    named = make_endpoint()
    assert [named.get(Host=host)[0] for host in ("metrics.internal:9464", "other", "evil.example")] == [200, 200, 421]


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


def test_without_a_server_render_gives_the_text(openmetrics):
    reader = PrometheusReader(serve=False)
    provider = MeterProvider([reader])
    provider.get_meter("test").create_counter("made").add(4)
    body, content_type = reader.render()
    assert reader.port is None
    assert b"\nmade 4.0\n" in body
    assert content_type.startswith("text/plain")
    assert reader.render(openmetrics)[0].endswith(b"# EOF\n")
    provider.shutdown()


def test_a_reader_that_no_provider_has_yet_shows_nothing(caplog):
    reader = PrometheusReader(serve=False)
    assert b"made" not in reader.render()[0]
    assert not caplog.records
    reader.shutdown()


def test_the_address_comes_from_the_environment(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1")
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", str(port))
    reader = PrometheusReader()
    assert reader.port == port
    reader.shutdown()


@pytest.mark.parametrize("port", ["http", "70000", "-1"])
def test_a_bad_port_names_the_variable_the_value_and_what_is_allowed(monkeypatch, port):
    monkeypatch.setenv("OTEL_EXPORTER_PROMETHEUS_PORT", port)
    with pytest.raises(SettingError, match=f"OTEL_EXPORTER_PROMETHEUS_PORT is '{port}'; allowed is .* 0 to 65535"):
        PrometheusReader()


def test_the_declarative_exporter_refuses_unknown_options():
    with pytest.raises(SettingError, match="unknown option 'adress'; known are host, port, allowed_hosts"):
        pull_exporter(adress="127.0.0.1")


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


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_host_beyond_loopback_is_warned_of_in_one_line_that_says_what_is_shown_to_whom(host, caplog):
    reader = PrometheusReader(host, 0)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for part in ("whoever reaches this machine", "without a password", "tables", "command line", "PROMETHEUS_HOST"):
        assert part in record.getMessage()
    reader.shutdown()


def test_shutdown_frees_the_port_and_twice_is_once(make_endpoint):
    endpoint = make_endpoint()
    port = endpoint.reader.port
    endpoint.reader.shutdown()
    endpoint.reader.shutdown()
    with socket.create_server(("127.0.0.1", port)):
        pass
    assert not any("http server" in thread.name for thread in threading.enumerate())


def test_a_reader_that_was_shut_down_leaves_no_trace_in_memory():
    reader = PrometheusReader("127.0.0.1", 0)
    reader.shutdown()
    remembered = weakref.ref(reader)
    del reader
    gc.collect()
    assert remembered() is None


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
