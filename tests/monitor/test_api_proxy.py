"""The page and the API below a path of a reverse proxy, which is a real one, if a small one."""

import http.client
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time

import pytest

from otel_duckdb.monitor.page import FILES


class Proxy(http.server.BaseHTTPRequestHandler):
    """Hands on what comes below a path, as nginx's proxy_pass does, streams included."""

    protocol_version = "HTTP/1.1"
    port: int
    prefix: str
    strips: bool
    keeps_host: bool

    def do_GET(self):
        if not self.path.startswith(self.prefix):
            self.send_error(404)
            return
        path = self.path.removeprefix(self.prefix.rstrip("/")) if self.strips else self.path
        length = int(self.headers.get("Content-Length", 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        headers["Host"] = self.headers["Host"] if self.keeps_host else f"127.0.0.1:{self.port}"
        headers["X-Forwarded-For"] = self.headers.get("X-Client", self.client_address[0])
        headers["X-Forwarded-Proto"] = "https"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request(self.command, path, self.rfile.read(length), headers)
        answer = connection.getresponse()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            while piece := answer.read1(65_536):
                self.wfile.write(piece)
                self.wfile.flush()
        except OSError:
            pass  # the client has gone
        finally:
            answer.close()
            connection.close()

    do_POST = do_HEAD = do_OPTIONS = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_):
        pass


@pytest.fixture
def proxy():
    """Starts a proxy before a port, and returns its own."""
    started = []

    def start(port, *, prefix="/", strips=True, keeps_host=True):
        handler = type(
            "Handler", (Proxy,), {"port": port, "prefix": prefix, "strips": strips, "keeps_host": keeps_host}
        )
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()
        started.append((server, thread))
        return server.server_address[1]

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(port, path, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
    answer = connection.getresponse()
    text = answer.read()
    answer.close()
    connection.close()
    return answer.status, answer.headers, text


BROWSER = {"Host": "monitor.example", "Origin": "https://monitor.example", "Sec_Fetch_Site": "same-origin"}


@pytest.mark.parametrize("strips", [True, False], ids=["the proxy strips the prefix", "the proxy keeps the prefix"])
@pytest.mark.parametrize("keeps_host", [True, False], ids=["Host is kept", "Host is the monitor's"])
def test_page_api_session_and_actions_work_below_a_path(serve, proxy, strips, keeps_host):
    hosts = ("monitor.example",) if keeps_host else ()
    api = serve(api_key="a key", allowed_hosts=hosts, path_prefix="/duckdb", trusted_proxies=("127.0.0.1",))
    port = proxy(api.port, prefix="/duckdb/", strips=strips, keeps_host=keeps_host)
    status, _, page = ask(port, "/duckdb/", **BROWSER)
    assert (status, page[:15]) == (200, b"<!DOCTYPE html>")
    for name in FILES:
        assert ask(port, f"/duckdb/{name}", **BROWSER)[0] == 200
    assert ask(port, "/duckdb/api/status", **BROWSER)[0] == 401
    acting = {**BROWSER, "Content_Type": "application/json"}
    status, headers, _ = ask(port, "/duckdb/api/login", "POST", '{"key": "a key"}', **acting)
    assert status == 200
    assert "; Path=/duckdb; " in headers["Set-Cookie"]
    assert headers["Set-Cookie"].endswith("; Secure")
    cookie = headers["Set-Cookie"].partition(";")[0]
    status, _, text = ask(port, "/duckdb/api/status", Cookie=cookie, **BROWSER)
    assert (status, json.loads(text)["monitor"]["port"]) == (200, api.port)
    assert ask(port, "/duckdb/api/cleanup", "POST", '{"dry_run": true}', Cookie=cookie, **acting)[0] == 200
    foreign = {**acting, "Origin": "https://evil.example", "Sec_Fetch_Site": "cross-site"}
    assert ask(port, "/duckdb/api/cleanup", "POST", '{"dry_run": true}', Cookie=cookie, **foreign)[0] == 403


def test_events_come_through_while_they_happen(serve, proxy, events):
    api = serve(path_prefix="/duckdb")
    api_behind = type("Behind", (), {"port": proxy(api.port, prefix="/duckdb/", keeps_host=False)})
    reader = events(api_behind, "/duckdb/api/events")
    stamps = [reader.next("sample")[1]["metrics"]["timestamp"] for _ in range(3)]
    assert stamps == sorted(set(stamps))


def test_clients_behind_a_proxy_that_is_trusted_are_told_apart(serve, proxy):
    port = proxy(serve(trusted_proxies=("127.0.0.1",)).port, keeps_host=False)
    codes = [ask(port, "/api/running", X_Client="192.0.2.1")[0] for _ in range(101)]
    assert (codes[99], codes[100]) == (200, 429)
    assert ask(port, "/api/running", X_Client="192.0.2.2")[0] == 200


NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location /duckdb/ {{
      proxy_pass http://127.0.0.1:{monitor}/;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_http_version 1.1;
    }}
  }}
}}
"""


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not on this machine")
def test_nginx_shows_the_page_and_the_events_as_the_documentation_says(serve, tmp_path, events):
    api = serve(path_prefix="/duckdb", trusted_proxies=("127.0.0.1",))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "nginx.conf").write_text(NGINX.format(folder=tmp_path, port=port, monitor=api.port))
    with subprocess.Popen(["nginx", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]) as nginx:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            assert ask(port, "/duckdb/")[0] == 200
            behind = type("Behind", (), {"port": port})
            reader = events(behind, "/duckdb/api/events")
            assert [reader.next()[0] for _ in range(4)].count("sample") >= 2
        finally:
            nginx.terminate()
            nginx.wait(20)
