"""What an on-call engineer lives with: healthy programs page nobody, trouble of the pipeline and dead programs do."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from otel_duckdb.rules import Thresholds, prometheus_rules
from stack import Stack, Webhook, eventually, render_alertmanager
from stack.senders import Sender, program
from stack.service import environment_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stack.webhook import Notice

HEALTHY = float(os.environ.get("STACK_HEALTHY_SECONDS", "45"))
"""Seconds: with windows of nine seconds, five of the longest `for`; a soak takes ten minutes."""
TIME_SCALE = 0.03
ENDURING = ("web", "buffer", "forks", "idle")
AGAIN = ("batch", "notebook", "restarted")
"""What ends by itself, and is started again."""
SLOW_MACHINE_MS = 500
"""The latency that counts as high here: tests share their machine."""
STRETCHED = 5.0
"""How many times its processor time a bare loop takes where a statement of 100 ms is a high latency by itself."""
THE_MACHINES_OWN = {"DuckDBQueryLatencyHigh"}
"""What judges by the clock alone: on an overloaded machine it is true, and no fault of ours."""
MORE = {"forks": {"OTEL_EXPORTER_OTLP_HEADERS": "connection=close"}}
"""What docs/deploy.md advises to programs that fork."""
EXPLAINING = {
    "DuckDBSyncStopped": '{__name__=~"duckdb_sync_(pending_rows|success_count|failure_count|retry_attempts)"}',
    "DuckDBExportDropped": '{__name__=~"otel_sdk_.*", error_type!=""}',
}
"""The series that an alert is made of, for the message of the test."""


class Watch:
    """The pipeline, and what Alertmanager sent."""

    def __init__(self, stack: Stack, webhook: Webhook) -> None:
        self.stack = stack
        self.webhook = webhook

    def told(self, name: str, status: str = "firing", **labels: str) -> bool:
        return name in self.webhook.names(status, **labels)


@pytest.fixture(scope="module")
def watch(programs, tmp_path_factory) -> Iterator[Watch]:
    home = tmp_path_factory.mktemp("on-call")
    with Webhook() as webhook:
        routes = re.sub(
            r"(group_wait|group_interval): \w+", r"\1: 1s", render_alertmanager(DUCKDB_ALERT_WEBHOOK_URL=webhook.url)
        )
        rules = prometheus_rules(Thresholds(time_scale=TIME_SCALE, latency_ms=SLOW_MACHINE_MS))
        environment = {
            "OTELCOL_METRIC_EXPIRATION": "5s",
            "OTELCOL_QUEUE_BYTES": "300000",
            "OTELCOL_RETRY_MAX_INTERVAL": "1s",
            "OTELCOL_SENDER_MAX_SERIES": "3000",
        }
        with Stack(programs, home, rules=rules, alertmanager=routes, environment=environment) as stack:
            yield Watch(stack, webhook)


class Machine(threading.Thread):
    """How long a bare loop takes by the clock, for each second of processor time: what the machine adds itself."""

    def __init__(self) -> None:
        super().__init__()
        self.stretches: list[float] = []
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(0.5):
            clock, spent = time.perf_counter(), time.thread_time()
            sum(range(3_000_000))
            self.stretches.append((time.perf_counter() - clock) / (time.thread_time() - spent))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self.join()

    @property
    def stretch(self) -> float:
        """What one loop of twenty exceeded: the alert asks for the same share."""
        return statistics.quantiles(self.stretches, n=20)[-1]


class Programs:
    """The healthy programs, as processes."""

    def __init__(self, stack: Stack, home: Path) -> None:
        self.stack = stack
        self.home = home
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.lives = 0

    def start(self, role: str) -> subprocess.Popen[bytes]:
        self.lives += 1
        folder = self.home / f"{role}-{self.lives}"
        folder.mkdir()
        command = [Path(sys.executable).with_name("opentelemetry-instrument"), sys.executable]
        command += [Path(__file__).with_name("healthy.py"), role, folder, str(self.stack.clickhouse.port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=environment_of(role, self.stack.otlp_endpoint, **MORE.get(role, {})),
            )
        self.running[role] = process
        return process

    def keep(self, seconds: float) -> None:
        """Run all of them for so long, and start again what ends by itself."""
        for role in (*ENDURING, *AGAIN):
            self.start(role)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for role, process in list(self.running.items()):
                if process.poll() is not None:
                    assert (role in AGAIN, process.returncode) == (True, 0), self.log(role)
                    self.wait(role)
                    self.start(role)
            time.sleep(0.5)

    def log(self, role: str) -> str:
        return "".join(path.read_text() for path in sorted(self.home.glob(f"{role}-*/log")))[-3000:]

    def end(self) -> None:
        for process in self.running.values():
            with contextlib.suppress(OSError):
                process.stdin.close()
        for role in self.running:
            self.wait(role)

    def wait(self, role: str) -> None:
        """Wait for the end of a program, and close what leads to it."""
        process = self.running[role]
        process.wait(60)
        with contextlib.suppress(OSError):
            process.stdin.close()


def explained(watch: Watch, notices: list[Notice], programs: Programs) -> str:
    """What the alerts saw, and what the programs wrote."""
    probe, begin = watch.stack.prometheus_probe, time.time() - HEALTHY - 120
    lines = []
    for name, job in sorted({(notice.name, notice.labels.get("job", "")) for notice in notices}):
        lines.append(f"{name} of {job}; its log: {programs.log(job) if job in (*ENDURING, *AGAIN) else ''}")
        of = EXPLAINING.get(name, "").replace("}", f', job="{job}"}}')
        for query in filter(None, (f'ALERTS{{alertname="{name}"}}', of)):
            for series in probe.range(query, begin):
                values = ", ".join(f"{time.strftime('%T', time.gmtime(at))} {value}" for at, value in series["values"])
                lines.append(f"  {series['metric']}: {values}")
    return "\n".join(map(str, (*notices, *lines)))


@pytest.mark.soak
@pytest.mark.timeout(HEALTHY + 240)
def test_healthy_programs_fire_nothing(watch, tmp_path):
    programs, machine = Programs(watch.stack, tmp_path), Machine()
    try:
        with machine:
            programs.keep(HEALTHY)
        seen = {
            one["metric"]["job"]
            for one in watch.stack.prometheus_probe.query("count by (job) (last_over_time(otel_duckdb_running[1m]))")
        }
    finally:
        programs.end()
    time.sleep(9 + 5 + 4)  # what ended must not be alerted on either: the longest `for`, the expiry, and some more
    assert {*ENDURING, *AGAIN} <= seen
    # That no program is left is an alert, and it is right.
    right = {"DuckDBTargetAbsent", *(THE_MACHINES_OWN if machine.stretch > STRETCHED else ())}
    wrong = [notice for notice in watch.webhook.notices if notice.name not in right]
    assert wrong == [], f"bare loops: {machine.stretch:.1f}; {explained(watch, wrong, programs)}"
    fired = watch.stack.prometheus_probe.query(
        f'count by (alertname, job) (count_over_time(ALERTS{{alertstate="firing"}}[{int(HEALTHY) + 60}s]))'
    )
    assert [one["metric"] for one in fired if one["metric"]["alertname"] not in right] == []
    if slow := THE_MACHINES_OWN & watch.webhook.names("firing"):
        pytest.skip(
            f"{', '.join(slow)} fired, but a bare loop took {machine.stretch:.1f} times its processor time, too"
        )


@pytest.mark.timeout(180)
def test_a_program_that_is_killed_fires_and_one_that_ended_in_order_does_not(watch, tmp_path):
    programs = Programs(watch.stack, tmp_path)
    programs.start("web")
    idle = programs.start("idle")
    probe = watch.stack.prometheus_probe
    eventually(lambda: {"web", "idle"} <= {one["metric"]["job"] for one in probe.query("otel_duckdb_running == 1")})
    idle.send_signal(signal.SIGKILL)
    programs.wait("idle")
    eventually(lambda: watch.told("DuckDBProgramGone", job="idle"))
    programs.start("idle")
    eventually(lambda: watch.told("DuckDBProgramGone", "resolved", job="idle"))
    programs.end()
    assert not watch.told("DuckDBProgramGone", job="web")


@pytest.mark.timeout(180)
def test_an_exporter_that_is_stalled_fires_with_its_queue_and_what_it_drops_and_all_resolve(watch):
    sender = Sender(watch.stack.otlp_endpoint, "steady")
    stalled, high, dropped = "DuckDBExporterStalled", "DuckDBCollectorQueueHigh", "DuckDBTelemetryDropped"

    def send_until(told: set[str], status: str) -> None:
        def look() -> bool:
            sender.spans(200, now=time.time_ns())
            return told <= watch.webhook.names(status, exporter="clickhouse")

        eventually(look, within=90)

    with watch.stack.clickhouse.refusing():
        # The stall silences the other two at Alertmanager; Prometheus has them all the same.
        send_until({stalled}, "firing")
        eventually(lambda: {high, dropped} <= watch.stack.prometheus_probe.firing())
    send_until({stalled}, "resolved")


@pytest.mark.timeout(120)
def test_a_sender_with_too_many_series_fires_under_its_name(watch):
    sender = Sender(watch.stack.otlp_endpoint, "hostile")
    sender.metrics(program(500, 1, time.time_ns()))
    eventually(lambda: watch.told("DuckDBTelemetryDropped", sender="hostile"))


@pytest.mark.timeout(180)
def test_a_part_that_is_down_fires_and_resolves(watch):
    watch.stack.jaeger.stop()
    try:
        eventually(lambda: watch.told("DuckDBPartDown", job="jaeger"))
    finally:
        watch.stack.jaeger.start()
        watch.stack.jaeger.wait_until_ready()
    eventually(lambda: watch.told("DuckDBPartDown", "resolved", job="jaeger"))
