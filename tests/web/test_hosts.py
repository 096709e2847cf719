"""Under which names a server may be asked."""

import socket

import pytest

from otel_duckdb.web.hosts import Hosts, is_loopback


@pytest.mark.parametrize(
    "header", ["localhost", "localhost:9464", "LOCALHOST", "127.0.0.1:1", "127.8.9.1", "[::1]", "[::1]:9464", "::1"[:0]]
)
def test_loopback_names_are_those_of_every_server(header):
    assert Hosts("localhost").allow(header) == bool(header)
    assert Hosts("0.0.0.0").allow(header) == bool(header)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "evil.example",
            "evil.example:9464",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            " ",
            ":9464",
            None,
        ),
        *("0.0.0.0", "0.0.0.0:9464", "[::]", "192.0.2.7", "[2001:db8::1]", "localhost:x", "[::1", "[::1]x", "a b"),
    ],
)
def test_every_other_name_is_refused_on_loopback(header):
    assert not Hosts("127.0.0.1").allow(header)


def test_a_server_that_is_reached_from_elsewhere_answers_to_addresses_and_to_its_own_name():
    hosts = Hosts("0.0.0.0", ["gateway.internal."])
    for header in (
        "192.0.2.7:9464",
        "[2001:db8::1]:9464",
        socket.gethostname(),
        "gateway.internal",
        "Gateway.Internal.:1",
    ):
        assert hosts.allow(header)
    for header in ("evil.example", "0.0.0.0", "[::]:9464"):
        assert not hosts.allow(header)


def test_any_name_is_allowed_where_that_is_configured():
    assert Hosts("0.0.0.0", ["*"]).allow("evil.example")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True)),
        *(("0.0.0.0", False), ("::", False), ("192.0.2.7", False), ("gateway", False), ("", False)),
    ],
)
def test_what_is_reached_from_this_machine_alone_is_known(host, loopback):
    assert is_loopback(host) is loopback
