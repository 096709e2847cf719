"""Queries in eight threads amid signals, forks, collections of garbage, hooks that query and held streams.

Run it for as many seconds as wanted: `python tests/intercept/stress.py 600`. In between the instrumentation is switched
off and on. It exits with 1 if anything went wrong, and with the stacks of all threads if it hangs. With `--bare`
nothing is instrumented, to see what DuckDB does by itself.

A collection of garbage may last for long, with nothing instrumented too: DuckDB 1 trims the memory of the whole process
with each database that is closed, and eight threads fill what one collects. So a thread hangs where nothing is done in
it any more, the end of another connection included.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import itertools
import os
import random
import signal
import sys
import threading
import time
import weakref

import duckdb
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics._internal.exceptions import MetricsTimeoutError
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from otel_duckdb import DuckDBInstrumentor, contract

THREADS = 8
HANG_SECONDS = 120
CHILD_SECONDS = 60
"""Far more than any step takes on a machine with much else to do."""
MOST_OPEN = 100
"""Python 3.13 lets thousands of databases wait to be collected, with nine threads each; the gauges ask all of them."""


class Stress:
    """One run: what was done and what went wrong."""

    def __init__(self, seconds, bare):
        self.until = time.monotonic() + seconds
        self.bare = bare
        self.errors = []
        self.operations, self.signals, self.hooked = itertools.count(), itertools.count(), itertools.count()
        self.children = self.switches = 0
        self.handling = False
        self.alive = [time.monotonic()] * (THREADS + 1)
        self.pause = threading.Event()
        self.paused = threading.Barrier(THREADS + 1)
        self.resumed = threading.Barrier(THREADS + 1)
        self.reader = InMemoryMetricReader()
        self.tracers, self.meters = TracerProvider(), MeterProvider([self.reader])
        self.of_signals, self.of_hooks = duckdb.connect(), {}
        self.main, self.seen, self.live = threading.get_ident(), time.monotonic(), set()
        self.numbers, self.joining = {}, False

    def main_goes_on(self):
        """Give the main thread another while."""
        self.seen = time.monotonic()
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)

    def gone(self, reference):
        """A connection has ended, maybe in the middle of a collection."""
        self.live.discard(reference)
        thread = threading.get_ident()
        if thread in self.numbers:
            self.alive[self.numbers[thread]] = time.monotonic()
        if (thread == self.main or self.joining) and time.monotonic() > self.seen + 1:
            self.main_goes_on()

    def hook(self, span, operation):
        """Look something up in DuckDB, as a hook may."""
        own = os.getpid(), threading.get_ident()  # a forked child may not query by a connection of its parent
        connection = self.of_hooks.get(own)
        if connection is None:
            connection = self.of_hooks[own] = duckdb.connect()
        span.set_attribute("looked.up", connection.execute("select 42").fetchone()[0])
        next(self.hooked)

    def switch(self, on):
        if self.bare:
            return
        if on:
            DuckDBInstrumentor().instrument(
                tracer_provider=self.tracers,
                meter_provider=self.meters,
                request_hook=self.hook,
                response_hook=self.hook,
                slow_threshold_ms=0.5,
                repeated_threshold=3,
            )
        else:
            DuckDBInstrumentor().uninstrument()
        self.switches += 1

    def handle(self, *_):
        if not self.handling:  # DuckDB refuses a call inside another on one connection
            self.handling = True
            try:
                self.of_signals.execute(f"select {next(self.signals)}").fetchall()
            finally:
                self.handling = False

    def work(self, number):
        chance, held = random.Random(number), []
        self.numbers[threading.get_ident()] = number
        try:
            while time.monotonic() < self.until:
                if self.pause.is_set():
                    self.paused.wait()
                    self.resumed.wait()
                self.step(chance, held)
                next(self.operations)
                self.alive[number] = time.monotonic()
        except threading.BrokenBarrierError:
            pass
        except Exception as error:
            self.errors.append(f"thread {number}: {error!r}")
        finally:
            del self.numbers[threading.get_ident()]
            self.alive[number] = float("inf")
            self.paused.abort()  # who has left is waited for no more
            self.resumed.abort()

    def step(self, chance, held):
        connection = duckdb.connect()
        self.live.add(weakref.ref(connection, self.gone))
        with trace.get_tracer("stress").start_as_current_span("step"):
            connection.execute("create table t as from range(3000)")
            for _ in range(4):
                connection.execute("select count(*) from t where range > ?", [chance.randrange(9)]).fetchall()
        cursor = connection.cursor()  # which DuckDB 1.4 closes when nobody holds it, with its relations
        relation = cursor.sql("select * from range(100000)")
        make = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        held.append((cursor, make(2000)))
        held[-1][1].read_next_batch()
        if len(held) > 5:
            held.pop(chance.randrange(5))
        cycle = [connection.execute("select * from t")]
        cycle.append(cycle)
        if len(self.live) > MOST_OPEN:
            gc.collect()

    def fork(self):
        """Fork while every thread is between two steps, with results and streams open."""
        self.pause.set()
        try:
            self.paused.wait(HANG_SECONDS)
        except threading.BrokenBarrierError:
            return  # the time is over, or a thread has failed
        finally:
            self.pause.clear()
        gc.disable()  # DuckDB itself dies where a forked child collects connections of its parent
        child = os.fork()
        if child == 0:
            signal.alarm(CHILD_SECONDS)
            connection = duckdb.connect()
            connection.execute("select 1").fetchall()
            self.reader.get_metrics_data()
            os._exit(0)
        gc.enable()
        with contextlib.suppress(threading.BrokenBarrierError):
            self.resumed.wait(HANG_SECONDS)
        _, status = os.waitpid(child, 0)
        if status:
            self.errors.append(f"a forked child ended with status {status}")
        self.children += 1

    def run(self):
        self.switch(True)
        signal.signal(signal.SIGUSR1, self.handle)
        threads = [threading.Thread(target=self.work, args=(number,)) for number in range(THREADS)]
        for thread in threads:
            thread.start()
        sender = threading.Thread(target=self.send, daemon=True)
        sender.start()
        chance = random.Random(0)
        while time.monotonic() < self.until - 1:
            self.main_goes_on()
            action = chance.choice([self.again, self.fork, gc.collect, self.collect, self.collect, self.query])
            action()
            if min(self.alive[:THREADS]) < time.monotonic() - HANG_SECONDS:
                self.errors.append("a thread hangs")
                faulthandler.dump_traceback()
                break
        self.resumed.abort()
        self.paused.abort()
        self.joining = True
        self.main_goes_on()
        for thread in threads:
            thread.join()
        self.until = 0
        sender.join()
        self.switch(False)
        faulthandler.cancel_dump_traceback_later()

    def again(self):
        self.switch(False)
        self.switch(True)

    def query(self):
        connection = duckdb.connect()
        for number in range(50):
            connection.execute(f"select {number}, sum(range) from range(1000)").fetchall()

    def collect(self):
        try:
            data = self.reader.get_metrics_data()
        except MetricsTimeoutError:  # the SDK's ten seconds: a busy machine, with a signal each few milliseconds
            return
        for resource in getattr(data, "resource_metrics", ()):
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                if metric.name == contract.INTERNAL_ERRORS.name and any(p.value for p in metric.data.data_points):
                    self.errors.append("a fault inside the instrumentation was counted; the log has it")

    def send(self):
        chance = random.Random(1)
        while time.monotonic() < self.until:
            signal.pthread_kill(self.main, signal.SIGUSR1)
            time.sleep(chance.random() / 100)


def main(seconds, bare):
    stress = Stress(seconds, bare)
    stress.run()
    print(  # noqa: T201 - a program
        f"duckdb {duckdb.__version__}: {next(stress.operations)} steps, {next(stress.signals)} signals, "
        f"{next(stress.hooked)} hooks, {stress.children} forks, {stress.switches} switches, {len(stress.errors)} errors"
    )
    for error in stress.errors[:10]:
        print(f"  {error}")  # noqa: T201 - a program
    return 1 if stress.errors else 0


if __name__ == "__main__":
    faulthandler.enable()
    given = [float(argument) for argument in sys.argv[1:] if not argument.startswith("--")]
    sys.exit(main(given[0] if given else 60, "--bare" in sys.argv))
