"""Switches profiling at random in eight threads, and checks that every profile belongs to its query.

Run as `python stress.py SECONDS [SEED]`. Each table has a number of rows of its own, so a profile tells which query it
is of. The process ends with 0 if nothing crashed, no call raised what it should not, and no profile was misplaced.
"""

import random
import re
import sys
import threading
import time

import duckdb
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

from otel_duckdb import DuckDBInstrumentor

TABLES = 12
ROWS = [2_000 + 97 * number for number in range(TABLES)]
PRAGMAS = ("PRAGMA enable_profiling='no_output'", "PRAGMA disable_profiling")


class Check(SpanExporter):
    """Compares each profile with the query it is said to be of."""

    def __init__(self):
        self.profiles = self.partial = 0
        self.wrong = []

    def export(self, spans):
        for span in spans:
            for event in span.events:
                if event.name == "duckdb.query_plan":
                    self.look(span, event.attributes["duckdb.plan"])
        return SpanExportResult.SUCCESS

    def look(self, span, plan):
        tables = set(re.findall(r"\bt\d+\b", span.attributes.get("db.query.text", "")))
        scanned = set(re.findall(r"\bt\d+\b", plan))
        rows = span.attributes.get("duckdb.profile.rows_scanned", 0)
        expected = sum(ROWS[int(table[1:])] for table in tables)
        partial = "duckdb.profile.partial" in span.attributes
        self.profiles += 1
        self.partial += partial
        if scanned - tables or (rows > expected if partial else rows != expected):
            self.wrong.append((span.attributes["db.query.text"], rows, plan))


def expect(rows, number):
    if len(rows) != ROWS[number]:
        raise AssertionError(f"{len(rows)} rows of t{number}, not {ROWS[number]}")


class User:
    """One thread's random use of its own connections."""

    def __init__(self, parent, seed):
        self.random = random.Random(seed)
        self.parent = parent
        self.con = parent.cursor()
        self.relation = None

    def number(self):
        return self.random.randrange(TABLES)

    def all(self):
        number = self.number()
        expect(self.con.execute(f"select i from t{number} where i >= 0").fetchall(), number)

    def aggregate(self):
        number = self.number()
        row = self.con.execute(f"select max(i) from t{number} where i >= 0").fetchone()
        if row != (ROWS[number] - 1,):
            raise AssertionError(f"{row} is not the maximum of t{number}")

    def stream(self):
        number = self.number()
        self.con.execute(f"select i from t{number} where i >= 0")
        assert len(self.con.fetchmany(5)) == 5

    def loop(self):
        number = self.number()
        self.con.execute(f"select i, 'x' from t{number} where i >= 0")
        count = 0
        while self.con.fetchone() is not None:
            count += 1
        assert count == ROWS[number]

    def parameters(self):
        number = self.number()
        assert self.con.execute(f"select count(i) from t{number} where i < ?", [7]).fetchall() == [(7,)]

    def arrow(self):
        number = self.number()
        expect(self.con.execute(f"select i from t{number} where i >= 0").fetchnumpy()["i"], number)

    def relate(self):
        if hasattr(self.con, "abort"):
            self.con.abort()
        number = self.number()
        expect(self.con.sql(f"select i from t{number} where i >= 0").fetchall(), number)

    def filter(self):
        if hasattr(self.con, "abort"):
            self.con.abort()
        number = self.number()
        expect(self.con.table(f"t{number}").filter("i >= 0").fetchall(), number)

    def join(self):
        first, second = self.number(), self.number()
        if first != second:
            self.con.execute(
                f"select count(*) from t{first} a join t{second} b on a.i = b.i where a.i % 3 = 1"
            ).fetchall()

    def fail_at_call(self):
        with_error(duckdb.Error, self.con.execute, f"select nothing from t{self.number()}")

    def fail_at_fetch(self):
        def run():
            self.con.execute(f"select case when i > 1500 then error('no') else i end from t{self.number()}").fetchall()

        with_error(duckdb.Error, run)

    def transact(self):
        self.con.execute("begin")
        self.all()
        if self.random.random() < 0.3:
            with_error(duckdb.Error, self.con.execute, "select error('abort')")
            if hasattr(self.con, "abort"):
                self.con.abort()
        self.con.execute(self.random.choice(["rollback", "commit"]) if self.random.random() < 0.7 else "rollback")

    def unheard(self):
        with suppress_instrumentation():
            self.random.choice([self.all, self.aggregate, self.stream])()

    def pragma(self):
        self.con.execute(self.random.choice(PRAGMAS))

    def information(self):
        self.con.get_profiling_information()

    def script(self):
        number = self.number()
        expect(self.con.execute(f"select 1; select i from t{number}").fetchall(), number)

    def renew(self):
        if self.random.random() < 0.7:
            self.con.close()
        self.con = self.parent.cursor()

    def step(self):
        usual = [self.all, self.aggregate, self.stream, self.loop, self.parameters, self.arrow, self.relate, self.join]
        rare = [self.filter, self.fail_at_call, self.fail_at_fetch, self.transact, self.unheard, self.script]
        seldom = [self.pragma, self.information, self.renew]
        kind = self.random.random()
        self.random.choice(usual if kind < 0.75 else rare if kind < 0.93 else seldom)()


def with_error(kind, call, *arguments):
    try:
        call(*arguments)
    except kind:
        return
    raise AssertionError("no error")


def main(seconds, seed):
    check = Check()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(check))
    meters = MeterProvider([reader := InMemoryMetricReader()])
    parent = duckdb.connect()
    for number, rows in enumerate(ROWS):
        parent.execute(f"create table t{number} as select range i from range({rows})")
    instrumentor = DuckDBInstrumentor()
    end = time.monotonic() + seconds
    problems = []
    steps = [0] * 8

    def work(index):
        user = User(parent, seed + index)
        while time.monotonic() < end and not problems:
            try:
                user.step()
                steps[index] += 1
            except BaseException as error:
                problems.append(error)
                raise

    def options(mode):
        return {
            "tracer_provider": tracers,
            "meter_provider": meters,
            "profile": mode,
            "slow_threshold_ms": chance.choice([0, 0.5, 1]),
        }

    chance = random.Random(seed)
    instrumentor.instrument(**options("slow"))
    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    while time.monotonic() < end and not problems:
        time.sleep(chance.uniform(0.005, 1))
        instrumentor.uninstrument()
        instrumentor.instrument(**options(chance.choice(["slow", "slow", "all", "off"])))
    for thread in threads:
        thread.join()
    instrumentor.uninstrument()
    faults = sum(
        point.value
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "otel_duckdb_internal_errors"
        for point in metric.data.data_points
    )
    said = f"{sum(steps)} steps, {check.profiles} profiles ({check.partial} partial), {faults} faults"
    sys.stdout.write(f"DuckDB {duckdb.__version__}: {said}\n")
    for text, rows, plan in check.wrong[:5]:
        sys.stdout.write(f"WRONG\n{text}\n{rows}\n{plan}\n")
    return 1 if problems or check.wrong or faults or not check.profiles else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1))
