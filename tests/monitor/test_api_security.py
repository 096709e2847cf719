"""Whom the API refuses: names, sites, keys, sessions, rates, proxies that nobody told of; and what the audit says."""

import json
import os
import re
import stat
import subprocess
import sys

import duckdb
import pytest

from otel_duckdb.monitor import discovery
from otel_duckdb.monitor.api.clients import Clients, Rates
from otel_duckdb.monitor.api.openapi import description
from otel_duckdb.web.exchange import Request
from otel_duckdb.web.origins import Origins

READ = [path for path, methods in description()["paths"].items() if "get" in methods and "{" not in path]
ACT = [path.replace("{name}", "checkpoint") for path, methods in description()["paths"].items() if "post" in methods]
EVERYWHERE = [*READ, *ACT, "/", "/main.js", "/nothing", "/api/traces/" + "0" * 32]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "0.0.0.0", "[::]", "localhost.evil"])
def test_a_wrong_name_is_refused_first_and_on_every_route(serve, host):
    api = serve(api_key="a key")
    for path in EVERYWHERE:
        for method in ("GET", "POST"):
            status, _, told = api.ask(path, method, "{}", Host=host, X_Monitoring_Key="wrong", Origin="http://evil")
            assert (status, "not asked by that name" in told["error"]) == (421, True), path


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "https://127.0.0.1"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=application/json"}, 415),
        ({"Content_Type": None}, 415),
    ],
)
def test_what_a_page_of_another_site_can_send_does_not_act(serve, headers, status):
    api = serve(cancel=True, actions=("checkpoint",))
    for path in ACT:
        answered, _, told = api.act(path, {"key": api.token, "id": 1, "seconds": 1}, **headers)
        assert (answered, list(told)) == (status, ["error"]), path


def test_nothing_acts_by_get_and_no_other_site_reads(serve):
    api = serve()
    navigation = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    for path in READ:
        if path.startswith("/api/"):
            assert api.ask(path, Sec_Fetch_Site="cross-site")[0] == 403, path
            assert api.ask(path, **navigation)[0] == 403, path
    assert api.ask("/", **navigation)[0] == 200  # a link of a chat or of Grafana leads to the page
    assert api.ask("/", **{**navigation, "Sec_Fetch_Dest": "iframe"})[0] == 403


def test_the_page_acts_by_its_own_origin_with_and_without_what_browsers_add_over_tls(serve):
    api = serve()
    for headers in (
        {"Sec_Fetch_Site": "same-origin", "Origin": f"http://127.0.0.1:{api.port}"},
        {"Sec_Fetch_Site": "none"},
        {"Origin": f"http://127.0.0.1:{api.port}"},
        {},
    ):
        assert api.act("/api/cleanup", {"dry_run": True}, **headers)[0] == 200


def test_on_loopback_reading_is_free_and_acting_needs_the_token(serve):
    api = serve()
    assert api.ask("/api/status")[0] == 200
    for path in ACT:
        if path not in ("/api/login", "/api/logout"):
            assert api.act(path, X_Monitoring_Key=None)[0] == 401
            assert api.act(path, X_Monitoring_Key="wrong")[0] in (401, 429)
    assert api.act("/api/cleanup", {"dry_run": True})[0] == 200
    bearer = f"bearer {api.token}"
    assert api.act("/api/cleanup", {"dry_run": True}, X_Monitoring_Key=None, Authorization=bearer)[0] == 200


@pytest.mark.parametrize("shown", ["a key with \u00fc".encode().decode("latin-1"), "a key with \u00fc"])
def test_a_key_of_any_letters_is_read_as_it_was_sent(serve, shown):
    api = serve(api_key="a key with \u00fc")
    assert api.ask("/api/status", X_Monitoring_Key=shown)[0] == 200
    assert api.ask("/api/status", X_Monitoring_Key="a key with u")[0] == 401


def test_wrong_keys_are_limited_for_a_client_and_the_token_still_opens(serve):
    api = serve(api_key="a key")
    codes = [api.ask("/api/status", X_Monitoring_Key=f"wrong {number}")[0] for number in range(7)]
    assert codes == [401] * 5 + [429] * 2
    status, headers, _ = api.ask("/api/status", X_Monitoring_Key="a key")
    assert status == 429
    assert 1 <= int(headers["Retry-After"]) <= 60
    assert api.ask("/api/status", X_Monitoring_Key=api.token)[0] == 200
    assert api.ask("/api/login", "POST", '{"key": "guess"}', Content_Type="application/json")[0] == 429


def test_one_client_does_not_use_up_what_another_may_ask(serve):
    api = serve(trusted_proxies=("127.0.0.1",))
    codes = [api.ask("/api/running", X_Forwarded_For="192.0.2.1")[0] for _ in range(102)]
    assert codes == [200] * 100 + [429] * 2
    assert api.ask("/api/running", X_Forwarded_For="192.0.2.2")[0] == 200
    assert api.ask("/api/running", X_Forwarded_For="evil, 192.0.2.1")[0] == 429
    assert api.ask("/api/running", X_Forwarded_For="192.0.2.2, 192.0.2.1")[0] == 429  # the last hop is the proxy's word
    assert api.ask("/")[0] == api.ask("/healthz")[0] == api.ask("/main.js")[0] == 200


def test_streams_are_counted_apart_from_requests(serve, events):
    api = serve()
    assert {api.ask("/api/running")[0] for _ in range(101)} == {200, 429}
    assert events(api).next()[0] == "sample"
    assert {api.ask("/api/events", "HEAD")[0] for _ in range(100)} == {200, 429}


def test_who_reads_streams_may_ask_more_and_others_may_not(serve, events):
    api = serve(trusted_proxies=("127.0.0.1",))
    open_page = events(api, X_Forwarded_For="192.0.2.1")
    assert open_page.next()[0] == "sample"
    codes = [api.ask("/api/running", X_Forwarded_For="192.0.2.1")[0] for _ in range(152)]
    assert codes == [200] * 150 + [429] * 2
    codes = [api.ask("/api/running", X_Forwarded_For="192.0.2.2")[0] for _ in range(102)]
    assert codes == [200] * 100 + [429] * 2


def test_what_no_proxy_we_know_of_says_of_its_client_is_not_believed(serve):
    api = serve()
    codes = {api.ask("/api/running", X_Forwarded_For=f"192.0.2.{number}")[0] for number in range(101)}
    assert codes == {200, 429}


def test_clients_are_addresses_networks_of_ipv6_and_a_bounded_number_of_them():
    def name(peer, forwarded="", proxies=("10.0.0.0/8", "::1")):
        return Clients(proxies).name(Request("GET", "/", {"x-forwarded-for": forwarded}, b"", 0.0, peer=peer))

    assert name("192.0.2.1", "198.51.100.1") == "192.0.2.1"
    assert name("10.1.2.3", "198.51.100.1") == "198.51.100.1"
    assert name("10.1.2.3", "198.51.100.1, 10.9.9.9") == "198.51.100.1"
    assert name("10.1.2.3", "10.9.9.9") == "10.9.9.9"
    assert name("10.1.2.3", "") == name("10.1.2.3", "forged\n") == "10.1.2.3"
    assert name("::ffff:10.1.2.3", "::ffff:198.51.100.1") == "198.51.100.1"
    assert name("2001:db8::1") == name("2001:db8::2") == "2001:db8::/64"
    now = [0.0]
    rates = Rates(2, lambda: now[0], remembered=3)
    for client in "abcd":
        rates.count(client)
        rates.count(client)
    assert [rates.wait(client) > 0 for client in "abcd"] == [False, True, True, True]
    now[0] = 61.0
    assert rates.wait("d") == 0
    rates.count("d")
    assert rates.wait("d") > 0  # of the minute before, almost all counts still
    now[0] = 100.0
    assert rates.wait("d") == 0


def test_the_page_off_loopback_has_a_session_that_only_it_can_use(serve):
    api = serve(api_key="a key")
    status, headers, told = api.ask("/api/login", "POST", '{"key": "a key"}', Content_Type="application/json")
    assert (status, told) == (200, {"reads": True, "acts": True})
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert cookie.startswith(f"otel_duckdb_{api.port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"} == set(attributes)
    assert "a key" not in cookie
    assert api.token not in cookie
    assert api.ask("/api/status")[0] == 401
    assert api.ask("/api/status", Cookie=f"other=1; {cookie}")[0] == 200
    assert api.ask("/api/session", Cookie=cookie)[2] == {"reads": True, "acts": True}
    assert api.ask("/api/session")[2] == {"reads": False, "acts": False}
    acting = {"Cookie": cookie, "X_Monitoring_Key": None}
    assert api.act("/api/cleanup", {"dry_run": True}, **acting)[0] == 200
    assert api.act("/api/cleanup", {"dry_run": True}, Origin="http://evil.example", **acting)[0] == 403
    assert api.act("/api/cleanup", {"dry_run": True}, Sec_Fetch_Site="same-site", **acting)[0] == 403
    assert api.act("/api/cleanup", {"dry_run": True}, Content_Type="text/plain", **acting)[0] == 415
    assert api.ask("/api/status", Cookie=f"{cookie}x")[0] == 401
    status, headers, told = api.act("/api/logout", **acting)
    assert (status, told) == (200, {"reads": False, "acts": False})
    assert f"otel_duckdb_{api.port}=; " in headers["Set-Cookie"]
    assert "Max-Age=0" in headers["Set-Cookie"]
    assert api.ask("/api/status", Cookie=cookie)[0] == 401


def test_a_session_is_secure_where_a_proxy_that_is_trusted_says_so(serve):
    api = serve(api_key="a key", trusted_proxies=("127.0.0.0/8",), path_prefix="/duckdb/")
    forwarded = {"X_Forwarded_Proto": "https", "Content_Type": "application/json"}
    _, headers, _ = api.ask("/api/login", "POST", '{"key": "a key"}', **forwarded)
    assert headers["Set-Cookie"].endswith("; Secure")
    assert "; Path=/duckdb; " in headers["Set-Cookie"]


@pytest.mark.parametrize(
    "body", ["", "[]", '"a key"', "{}", '{"key": 5}', '{"key": ""}', '{"key": "wrong"}', "{", "[" * 60_000]
)
def test_a_login_that_shows_no_key_begins_no_session(serve, body):
    status, headers, told = serve(api_key="a key").ask("/api/login", "POST", body, Content_Type="application/json")
    assert status in (400, 401)
    assert "Set-Cookie" not in headers
    assert list(told) == ["error"]


def test_no_other_site_reads_unless_it_is_listed(serve):
    closed = serve()
    for origin in ("http://evil.example", "null"):
        assert "Access-Control-Allow-Origin" not in closed.ask("/api/status", Origin=origin)[1]
    preflight = {"Origin": "https://grafana.example", "Access_Control_Request_Method": "GET"}
    assert closed.ask("/api/status", "OPTIONS", **preflight)[0] in (401, 405)
    closed.monitor.stop()

    api = serve(allowed_origins=("https://grafana.example",))
    listed = {"Origin": "https://grafana.example", "Sec_Fetch_Site": "cross-site"}
    status, headers, _ = api.ask("/api/status", **listed)
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "https://grafana.example")
    assert headers["Vary"] == "Origin"
    assert "Access-Control-Allow-Credentials" not in headers
    status, headers, _ = api.ask("/api/cleanup", "OPTIONS", **preflight)
    assert (status, headers["Access-Control-Allow-Methods"]) == (204, "POST")
    assert api.act("/api/cleanup", {"dry_run": True}, **listed)[0] == 200
    for origin in ("https://grafana.example.evil", "http://grafana.example", "https://grafana.example:8443", "null"):
        status, headers, _ = api.ask("/api/status", Origin=origin, Sec_Fetch_Site="cross-site")
        assert (status, "Access-Control-Allow-Origin" in headers) == (403, False)


@pytest.mark.parametrize(
    ("host", "origin", "own"),
    [
        ("192.0.2.1:3001", "http://192.0.2.1:3001", True),
        ("monitor.example", "https://monitor.example", True),
        ("monitor.example:443", "https://monitor.example", True),
        ("monitor.example:3001", "http://monitor.example", False),
        ("[::1]:3001", "http://[::1]:3001", True),
        ("[::1]:3001", "http://[::1]:3002", False),
        ("monitor.example", "null", False),
        ("monitor.example", "file://monitor.example", False),
        ("monitor.example", "http://monitor.example:99999", False),
        ("", "http://", False),
    ],
)
def test_an_own_page_is_known_where_browsers_tell_its_origin_alone(host, origin, own):
    assert Origins().may_act({"host": host, "origin": origin}) is own


@pytest.mark.parametrize("method", ["HEAD", "GET", "POST", "BREW"])
def test_every_answer_has_the_headers_that_keep_others_away(serve, method):
    api = serve()
    for path in EVERYWHERE:
        if (path, method) == ("/api/events", "GET"):
            continue  # it has no end
        _, headers, _ = api.ask(path, method)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
        assert "Server" not in headers
        assert "Access-Control-Allow-Origin" not in headers


def test_requests_that_act_or_are_refused_are_in_the_audit_trail_and_do_not_fill_the_disk(serve, tmp_path):
    audit = tmp_path / "audit.jsonl"
    api = serve(audit_file=str(audit), api_key="a key")

    def told(event):
        return [one for one in map(json.loads, audit.read_text().splitlines()) if one["event"] == event]

    api.act("/api/cleanup", {"dry_run": True})
    [acted] = told("acting_request")
    assert (acted["path"], acted["client"]) == ("/api/cleanup", "127.0.0.1")
    api.ask("/api/status", X_Monitoring_Key="a secret guess")
    api.ask("/api/cleanup", "POST")
    api.ask("/api/status", Host="evil.example")
    api.ask("/api/status?key=secret", Sec_Fetch_Site="cross-site")
    api.raw(b"GET /%1b[31m\xff HTTP/1.1\r\nHost: localhost\r\nX-Monitoring-Key: a\r\n\r\n")
    refused = told("refused_access")
    assert [one["status"] for one in refused[:4]] == [401, 401, 421, 403]
    assert {one["client"] for one in refused} == {"127.0.0.1"}
    assert "secret" not in audit.read_text()
    for _ in range(200):
        api.ask("/api/status", Host="evil.example")
    assert len(told("refused_access")) <= 61
    assert stat.S_IMODE(audit.stat().st_mode) == 0o600


def test_the_token_is_in_no_answer_and_its_file_is_its_users_alone(serve, runtime):
    api = serve()
    for path in READ:
        if path != "/api/events":
            assert api.token not in str(api.ask(path))
    [file] = (runtime / "otel-duckdb").glob("*.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert api.token in file.read_text()
    assert len(api.token) >= 43


def test_a_prefix_is_served_with_and_without_what_a_proxy_takes_off(serve):
    api = serve(path_prefix="/tools/duckdb")
    for path in ("/", "/tools/duckdb/", "/main.js", "/tools/duckdb/main.js", "/tools/duckdb/api/status", "/api/status"):
        assert api.ask(path)[0] == 200
    status, headers, _ = api.ask("/tools/duckdb")
    assert (status, headers["Location"]) == (308, "/tools/duckdb/")
    for path in ("/tools/duckdbx", "/tools/duckdbx/api/status", "/tools/duckdb//evil.example", "/tools"):
        assert api.ask(path)[0] == 404
    assert api.ask("/openapi.json")[2]["servers"] == [{"url": "/tools/duckdb/"}]
    assert api.monitor.address == f"http://127.0.0.1:{api.port}/tools/duckdb/"


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("allowed_origins", "*", "an origin such as https://grafana.example"),
        ("allowed_origins", "https://grafana.example/path", "an origin such as"),
        ("allowed_origins", "grafana.example", "an origin such as"),
        ("trusted_proxies", "proxy.example", "an address or a network such as 10.0.0.0/8"),
        ("path_prefix", "duckdb", "a path such as /duckdb"),
        ("path_prefix", "//evil.example", "a path such as /duckdb"),
        ("path_prefix", "/a/../b\r\nSet-Cookie: x", "a path such as /duckdb"),
    ],
)
def test_an_option_that_would_open_more_than_meant_is_refused(serve, option, value, allowed):
    with pytest.raises(ValueError, match=re.escape(f"; allowed is {allowed}")):
        serve(**{option: value})


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no such terminals here")
@pytest.mark.slow
def test_the_token_is_shown_in_a_terminal_and_in_no_file(tmp_path, runtime):
    duckdb.connect(tmp_path / "own.duckdb").close()
    command = [sys.executable, "-m", "otel_duckdb.cli", "monitor", str(tmp_path / "own.duckdb"), "--port", "0"]
    ours, theirs = os.openpty()
    with subprocess.Popen(command, stdout=theirs, cwd=tmp_path) as program:
        try:
            shown = b""
            while b"enters this token: " not in shown or shown.count(b"\n") < 2:
                shown += os.read(ours, 4096)
            [found] = discovery.running()
            assert f"enters this token: {found.token}".encode() in shown
            told = [sys.executable, "-m", "otel_duckdb.cli", "status", "--token"]
            assert subprocess.run(told, capture_output=True, text=True, check=True).stdout == f"{found.token}\n"
        finally:
            program.terminate()
            program.wait(30)
            os.close(ours)
            os.close(theirs)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as program:
        lines = [program.stdout.readline() for _ in range(3)]
        program.terminate()
        program.communicate(timeout=30)
    assert not any("token" in line for line in lines)
