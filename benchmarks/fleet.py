"""What a fleet of programs costs one collector, and what they notice while a part behind it is away.

    python benchmarks/fleet.py                      # 50 and 100 programs with 50 tables each
    python benchmarks/fleet.py --programs 10 --seconds 5
    python benchmarks/fleet.py --programs 50 --interval 1 --share 0.1   # a collector that runs a tenth of the time

Each program posts its metrics and some spans every `--interval` seconds, by OTLP over HTTP; Prometheus scrapes once a
second. The programs are made up, the pipeline is real. Printed are the series, what a scrape takes by Prometheus' clock
and in the collector's processor time, the collector's memory, and how the programs were answered: while all is well,
while ClickHouse is down, while it is slow, and while Jaeger is down.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from clickhouse_standin import Fault, Kind
from stack import Programs, Stack
from stack.addresses import http
from stack.senders import Sender, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POSTING_THREADS = 4
TURN = 0.2
"""Seconds in which a starved collector runs once."""
SPANS = 5
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
FRESH = 'time() - max(timestamp(duckdb_queries_per_sec{job="program0"}))'
FRESH_SECONDS = 5
QUEUE = {"OTELCOL_QUEUE_BYTES": "2000000", "OTELCOL_JAEGER_QUEUE_BYTES": "2000000", "OTELCOL_RETRY_MAX_INTERVAL": "1s"}
"""Queues that are full within the seconds of a trouble."""


class Fleet:
    """Programs that post again and again, as long as a block lasts, and how they were answered."""

    def __init__(self, endpoint: str, number: int, tables: int, interval: float) -> None:
        """Name them; each posts all it has every `interval` seconds."""
        self.senders = [Sender(endpoint, f"program{one}") for one in range(number)]
        self.tables = tables
        self.interval = interval
        self.statuses: Counter[int] = Counter()
        self.slowest = 0.0
        self._ending = threading.Event()
        self._lock = threading.Lock()

    def _post(self, share: list[Sender]) -> None:
        count = 0
        while not self._ending.is_set():
            begun, count = time.monotonic(), count + 1
            for sender in share:
                started, now = time.monotonic(), time.time_ns()
                answers = [sender.metrics(program(self.tables, count, now)), sender.spans(SPANS, now=now)]
                with self._lock:
                    self.statuses.update(answers)
                    self.slowest = max(self.slowest, time.monotonic() - started)
            self._ending.wait(max(0.0, begun + self.interval - time.monotonic()))

    @contextmanager
    def posting(self) -> Iterator[None]:
        """Post, from a few threads."""
        self._ending.clear()
        shares = [self.senders[first::POSTING_THREADS] for first in range(POSTING_THREADS)]
        threads = [threading.Thread(target=self._post, args=(share,)) for share in shares if share]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join()

    def told(self) -> str:
        """How they were answered since this was last asked."""
        with self._lock:
            answers = ", ".join(f"{count} times {status}" for status, count in sorted(self.statuses.items()))
            text = f"answers {answers}; the slowest pair of requests took {self.slowest:.2f} s"
            self.statuses.clear()
            self.slowest = 0.0
        return text


@contextmanager
def starved(stack: Stack, share: float) -> Iterator[None]:
    """Let the collector run for a share of the time only, as a machine does that has much else to do."""
    collector, ending = psutil.Process(stack.collector.pid), threading.Event()

    def alternate() -> None:
        while not ending.wait(TURN * share):
            collector.send_signal(signal.SIGSTOP)
            ending.wait(TURN * (1 - share))
            collector.send_signal(signal.SIGCONT)

    thread = threading.Thread(target=alternate)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def measure(stack: Stack, fleet: Fleet, seconds: float) -> None:
    """Print what the fleet costs while all is well."""
    collector = psutil.Process(stack.collector.pid)
    with fleet.posting():
        time.sleep(5)
        spent, begun = sum(collector.cpu_times()[:2]), time.monotonic()
        time.sleep(seconds)
        share = (sum(collector.cpu_times()[:2]) - spent) / (time.monotonic() - begun)
        memory = collector.memory_info().rss / 2**20
    window = f"{int(seconds)}s"

    def ask(expression: str) -> float:
        return stack.prometheus_probe.value(expression) or 0.0

    typical = ask(f'quantile_over_time(0.5, scrape_duration_seconds{{job="duckdb"}}[{window}])')
    missed = ask(f'count_over_time((up{{job="duckdb"}} == 0)[{window}:1s])')
    series, spent_on_one = scraped(stack, collector)
    number = len(fleet.senders)
    print(
        f"{number} programs with {fleet.tables} tables: {series} series, {series / number:.0f} each; a scrape takes"
        f" {spent_on_one:.2f} s of the collector's processor time, {typical:.2f} s of the clock in the median;"
        f" {missed:.0f} were missed; collector {memory:.0f} MiB, {share:.2f} of a core; {fleet.told()}"
    )


def scraped(stack: Stack, collector: psutil.Process) -> tuple[int, float]:
    """The fleet's series, and the least processor time of three scrapes, while Prometheus asks for none."""
    stack.prometheus.stop()
    url = http(stack.ports.collector_prometheus, "/metrics")
    took = []
    for accept in ("text/plain", PROTOBUF, PROTOBUF, PROTOBUF):
        begin = sum(collector.cpu_times()[:2])
        with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": accept}), timeout=100) as answer:
            content = answer.read()
        if accept == PROTOBUF:
            took.append(sum(collector.cpu_times()[:2]) - begin)
        else:
            series = len(re.findall(rb'^[a-z_]+\{.*\bjob="program', content, re.MULTILINE))
    stack.prometheus.start()
    stack.prometheus.wait_until_ready()
    return series, min(took)


def trouble(stack: Stack, fleet: Fleet, name: str, seconds: float) -> None:
    """Print what the programs notice, and whether the others get what is sent, within a trouble."""
    ask = stack.prometheus_probe.value
    dropped = 'sum({__name__=~"otelcol_exporter_enqueue_failed_(spans|metric_points)_total"})'
    refused = 'sum({__name__=~"otelcol_receiver_refused_(spans|metric_points)_total"})'
    before = ask(dropped) or 0.0
    scrapes = f'sum_over_time(up{{job="duckdb"}}[{int(seconds)}s])'
    with fleet.posting():
        time.sleep(seconds)
        newest = time.time_ns()
        fleet.senders[0].spans(1, now=newest)
        in_jaeger = name != "Jaeger down" and _soon(lambda: stack.jaeger_probe.spans(newest.to_bytes(16, "big").hex()))
        fresh = _soon(lambda: ask(f"{FRESH} < {FRESH_SECONDS}") is not None)
        memory = psutil.Process(stack.collector.pid).memory_info().rss / 2**20
        scraped_well = ask(scrapes) or 0
    print(
        f"{name}: {fleet.told()}; refused by the collector {ask(refused) or 0:.0f}; dropped from the full queue"
        f" {(ask(dropped) or 0) - before:.0f}; of {seconds:.0f} scrapes {scraped_well:.0f} succeeded;"
        f" Prometheus is up to date: {bool(fresh)}; Jaeger is: {bool(in_jaeger)}; collector {memory:.0f} MiB"
    )


def _soon(look: Callable[[], object]) -> object:
    until = time.monotonic() + 15
    while not (found := look()) and time.monotonic() < until:
        time.sleep(0.5)
    return found


def main() -> int:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, nargs="+", default=[50, 100])
    parser.add_argument("--tables", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--interval", type=float, default=10, help="seconds between two exports of a program")
    parser.add_argument("--share", type=float, default=1, help="of the time in which the collector may run")
    options = parser.parse_args()
    for number in options.programs:
        with (
            tempfile.TemporaryDirectory(prefix="fleet-") as name,
            Stack(Programs.find(), Path(name), environment=QUEUE) as stack,
            starved(stack, options.share) if options.share < 1 else nullcontext(),
        ):
            fleet = Fleet(stack.otlp_endpoint, number, options.tables, options.interval)
            measure(stack, fleet, options.seconds)
            with stack.clickhouse.refusing():
                trouble(stack, fleet, "ClickHouse down", options.seconds)
            with stack.clickhouse.fault(Fault(Kind.SLOW, "INSERT INTO", seconds=8)):
                trouble(stack, fleet, "ClickHouse slow", options.seconds)
            stack.jaeger.stop()
            try:
                trouble(stack, fleet, "Jaeger down", options.seconds)
            finally:
                stack.jaeger.start()
                stack.jaeger.wait_until_ready()
    return 0


if __name__ == "__main__":
    sys.exit(main())
