"""Two real Alertmanagers as a cluster: of each alert there is one notification."""

import json
import subprocess
import threading
import time
import urllib.request
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from eventually import eventually
from otel_duckdb.monitor.alerts.alertmanager import AlertmanagerWebhook
from stack.addresses import HOST, Ports, http
from stack.webhook import Webhook

CLUSTER = Path(__file__).parents[2] / "collector-config/alertmanager/cluster"
QUICK = [
    "--cluster.settle-timeout=2s",
    "--cluster.pushpull-interval=5s",
    "--cluster.probe-interval=500ms",
]
ROUTES = """
route:
  receiver: all
  group_by: [alertname]
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
receivers:
  - name: all
    webhook_configs:
      - url: {url}
"""


def flags(own, *peers):
    done = subprocess.run([CLUSTER, own, *peers], capture_output=True, text=True, check=True)
    return [flag.replace("timeout=15s", "timeout=6s") for flag in done.stdout.split()]


class Node:
    """One Alertmanager."""

    def __init__(self, program, folder, url, own, peer, port):
        folder.mkdir()
        (folder / "config.yml").write_text(ROUTES.format(url=url))
        self.url = http(port)
        arguments = [
            *(f"--config.file={folder / 'config.yml'}", f"--storage.path={folder / 'data'}"),
            f"--web.listen-address={HOST}:{port}",
            *([] if own is None else [*flags(own, peer), *QUICK]),
            *(["--cluster.listen-address="] if own is None else []),
        ]
        with (folder / "log").open("wb") as log:
            self.running = subprocess.Popen([program, *arguments], stdout=log, stderr=log)

    def answers(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
                return json.loads(answer.read() or b"null") if path.startswith("/api") else True
        except OSError:
            return None

    def fire(self, name):
        body = [{"labels": {"alertname": name, "job": "trades"}, "startsAt": datetime.now(UTC).isoformat()}]
        request = urllib.request.Request(
            self.url + "/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=5).close()

    def kill(self):
        self.running.kill()
        self.running.wait()


@pytest.fixture
def cluster(programs, tmp_path):
    """Two nodes that know each other, and what they post to."""
    ports = Ports.free()
    one, two = f"{HOST}:{ports.otlp_grpc}", f"{HOST}:{ports.otlp_http}"
    with Webhook() as webhook:
        nodes = [
            Node(programs.alertmanager, tmp_path / "one", webhook.url, one, two, ports.alertmanager),
            Node(programs.alertmanager, tmp_path / "two", webhook.url, two, one, ports.prometheus),
        ]
        try:
            eventually(lambda: all(settled(node) for node in nodes), within=60)
            yield nodes, webhook
        finally:
            for node in nodes:
                node.kill()


def settled(node):
    status = node.answers("/api/v2/status")
    return status is not None and status["cluster"]["status"] == "ready" and len(status["cluster"]["peers"]) == 2


def told(webhook, name):
    return [notice for notice in webhook.notices if notice.name == name]


def test_what_fires_at_both_is_told_once_and_what_fires_at_one_too(cluster):
    (one, two), webhook = cluster
    for node in (one, two):
        node.fire("Both")
    two.fire("Second")
    eventually(lambda: told(webhook, "Both") and told(webhook, "Second"))
    time.sleep(12)  # longer than the second waits for the first
    assert (len(told(webhook, "Both")), len(told(webhook, "Second"))) == (1, 1)


def test_one_that_is_killed_leaves_the_other_to_tell(cluster):
    (one, two), webhook = cluster
    one.kill()
    two.fire("Alone")
    eventually(lambda: told(webhook, "Alone"))
    assert len(told(webhook, "Alone")) == 1


def test_without_the_flags_the_same_alert_is_told_twice(programs, tmp_path):
    ports = Ports.free()
    with Webhook() as webhook:
        nodes = [
            Node(programs.alertmanager, tmp_path / str(port), webhook.url, None, None, port)
            for port in (ports.alertmanager, ports.prometheus)
        ]
        try:
            eventually(lambda: all(node.answers("/-/ready") for node in nodes))
            for node in nodes:
                node.fire("Both")
            eventually(lambda: len(told(webhook, "Both")) == 2)
        finally:
            for node in nodes:
                node.kill()


@pytest.mark.go_programs
@pytest.mark.parametrize("arguments", [[], ["a:1"], ["a:1", "b"], ["a:1", ":2"], ["a:1", "b:x"], ["a:1", "b c:2"]])
def test_addresses_that_are_none_are_refused_in_one_line(arguments):
    done = subprocess.run([CLUSTER, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_what_a_real_alertmanager_posts_is_taken_in(programs, tmp_path):
    webhook, new = AlertmanagerWebhook(), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            new.extend(webhook.receive(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((HOST, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    port = Ports.free().alertmanager
    node = Node(programs.alertmanager, tmp_path / "one", http(server.server_address[1], "/"), None, None, port)
    try:
        eventually(lambda: node.answers("/-/ready"))
        node.fire("Once")
        eventually(lambda: new)
        node.fire("Once")
        time.sleep(4)
        assert [(one.labels["alertname"], one.status) for one in new] == [("Once", "firing")]
    finally:
        node.kill()
        server.shutdown()
        server.server_close()
        thread.join()
