"""One trial: kills by the dozen, then a run to the end, then the count."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import duckdb

from clickhouse_standin import Fault, Kind, StandIn
from sync_killing.child import Work, login

FAULTS = (
    Fault(Kind.RESET, "INSERT INTO", times=1),
    Fault(Kind.ERROR, "INSERT INTO", times=2, code=252),
    Fault(Kind.ERROR, "INSERT INTO", times=1, code=241),
    Fault(Kind.LOST_ANSWER, "INSERT INTO", times=1, seconds=0.05),
    Fault(Kind.LOST_ANSWER, "INSERT INTO", times=1, seconds=3.0),
    Fault(Kind.SLOW, "INSERT INTO", times=1, seconds=0.3),
    Fault(Kind.STATUS, "INSERT INTO", times=2, status=500),
    Fault(Kind.LATE_STATUS, "INSERT INTO", times=1, seconds=0.05, status=504),
    Fault(Kind.ERROR, "SELECT", times=1, code=159),
)
REFUSALS = 0.2
"""How much of the kills ClickHouse refuses connections before, and breaks those that are open."""
RENAMES = 0.1
EMPTIED = 0.05
"""How much of the kills are followed by a rename of the append-only table, and by the loss of a target's rows."""
TARGETS = ("ticks", "orders")


def _environment() -> dict[str, str]:
    """The environment of a child, which finds this folder's modules."""
    home = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


@dataclass(frozen=True)
class Outcome:
    """What was committed to the buffer, and what arrived; the two must agree.

    Of the append-only table they are figures of each writer, of the table with a key its rows.
    """

    kills: int
    renames: int
    emptied: int
    written: list[tuple[int, ...]]
    stored: list[tuple[int, ...]]
    orders: list[tuple[str, ...]]
    orders_stored: list[tuple[str, ...]]
    seconds: float

    @property
    def exactly_once(self) -> bool:
        """Whether each row arrived, and arrived once, and none is stale."""
        return self.written == self.stored and bool(self.written) and self.orders == self.orders_stored


class Trial:
    """Kills a sync again and again, over HTTP or with chDB in its own process, with faults or without."""

    def __init__(
        self,
        folder: Path,
        *,
        http: bool,
        delete: bool,
        faults: bool = False,
        seed: int = 0,
        upstream: str | None = None,
    ) -> None:
        """Prepare a trial whose databases stay in `folder`; over HTTP a real server may be behind the faults."""
        self._upstream = upstream
        self._database = f"otel_duckdb_test_{os.getpid()}" if upstream else "default"
        self._folder = folder
        self._http = http
        self._delete = delete
        self._faults = faults
        self._chance = random.Random(seed)
        self._table = "ticks"
        self._renames = self._emptied = 0

    def run(self, kills: int, longest: float = 0.5) -> Outcome:
        """Kill `kills` times, each after at most `longest` seconds of work, then let it finish, and count.

        Raises RuntimeError where a child ends by itself, or cannot finish.
        """
        begin = time.monotonic()
        with ExitStack() as stack:
            standin = StandIn(self._folder / "chdb", log=self._folder / "server.log", upstream=self._upstream)
            server = stack.enter_context(standin) if self._http else None
            for _ in range(kills):
                self._kill_one(server, self._chance.random() * longest, self._arm(server))
                self._disturb(server)
            if server:
                server.clear()
            self._finish(server)
            written, orders = self._written()
            stored, orders_stored = self._stored(server)
            if self._upstream:
                self._query(server, f"DROP DATABASE `{self._database}` SYNC")
        return Outcome(
            kills,
            self._renames,
            self._emptied,
            written,
            stored,
            orders,
            orders_stored,
            time.monotonic() - begin,
        )

    def _arm(self, server: StandIn | None) -> bool:
        """Break a request of the next child, where that is wanted; whether the server is to refuse it as well."""
        if not server or not self._faults:
            return False
        server.clear()
        server.arm(self._chance.choice(FAULTS))
        return self._chance.random() < REFUSALS

    def _disturb(self, server: StandIn | None) -> None:
        """Now and then, rename the append-only table, or let a target lose its rows.

        What the sync deletes from the buffer cannot be sent again: then only the table with a key loses its rows.
        """
        if self._chance.random() < RENAMES:
            self._renames += 1
            self._table = f"ticks_{self._renames}"
        if self._chance.random() < EMPTIED:
            self._emptied += 1
            target = "orders" if self._delete else self._chance.choice(TARGETS)
            if server:
                server.clear()  # it may refuse, or have a fault left
            self._query(server, f"TRUNCATE TABLE IF EXISTS {target}")

    def _command(self, server: StandIn | None, finish: bool) -> list[str]:
        work = Work(str(self._folder), server.port if server else 0, self._database, self._delete, self._table, finish)
        return [sys.executable, "-m", "sync_killing.child", work.to_json()]

    def _refuse(self, server: StandIn, seconds: float) -> None:
        """Take the server away while the child works, and for half of the children bring it back."""
        server.refuse()
        time.sleep(seconds)
        if self._chance.choice((True, False)):
            server.clear()
            time.sleep(seconds)

    def _kill_one(self, server: StandIn | None, after: float, refuses: bool) -> None:
        with (self._folder / "log").open("ab") as log:
            child = subprocess.Popen(
                self._command(server, False), stdout=subprocess.PIPE, stderr=log, env=_environment()
            )
        with child:
            ready = child.stdout.readline() if child.stdout else b""
            time.sleep(after)
            if server and refuses:
                self._refuse(server, after)
            ended = child.poll()
            child.kill()
        if not ready or ended is not None:
            raise RuntimeError(f"the child ended by itself; see {self._folder / 'log'}")

    def _finish(self, server: StandIn | None) -> None:
        for _ in range(3):
            done = subprocess.run(
                self._command(server, True), capture_output=True, text=True, check=False, env=_environment()
            )
            if done.returncode == 0:
                return
        raise RuntimeError(f"the last run failed: {done.stdout}{done.stderr}"[-2000:])

    def _written(self) -> tuple[list[tuple[int, ...]], list[tuple[str, ...]]]:
        with duckdb.connect(str(self._folder / "buffer.duckdb")) as connection:
            counts = connection.execute("SELECT writer, rows FROM written WHERE rows > 0 ORDER BY writer").fetchall()
            orders = connection.execute(
                "SELECT id, state::VARCHAR, lots::VARCHAR FROM orders ORDER BY encode(id)"
            ).fetchall()
        figures: list[tuple[int, ...]] = [
            (writer, n, n, n * (n - 1) // 2, n * (n - 1) // 2 * 10_000 // 4, n - (n + 2) // 3) for writer, n in counts
        ]
        return figures, [(str(key), str(state), str(lots)) for key, state, lots in orders]

    def _stored(self, server: StandIn | None) -> tuple[list[tuple[int, ...]], list[tuple[str, ...]]]:
        figures = self._query(
            server,
            "SELECT writer, count(), uniqExact(number), sum(number), toInt64(sum(price) * 10000), "
            "countIf(not tags_is_null) FROM ticks GROUP BY writer ORDER BY writer",
        )
        orders = self._query(
            server, "SELECT id, state, if(lots_is_null, 'None', toString(lots)) FROM orders FINAL ORDER BY id"
        )
        return [tuple(map(int, row)) for row in figures], [tuple(row) for row in orders]

    def _query(self, server: StandIn | None, query: str) -> list[list[str]]:
        """Run a query; with chDB in the child's process, in another process, for one holds its files."""
        script = (
            "import json, sys, clickhouse_connect as c\n"
            "options = json.loads(sys.argv[1])\n"
            "k = c.get_client(**options)\n"
            "rows = k.query(sys.argv[2]).result_rows if sys.argv[2].startswith('SELECT') else k.command(sys.argv[2])\n"
            "print(json.dumps(rows if isinstance(rows, list) else [], default=str))"
        )
        where: dict[str, object] = (
            {"host": "127.0.0.1", "port": server.port, "database": self._database, **login()}
            if server
            else {"interface": "chdb", "path": str(self._folder / "chdb")}
        )
        done = subprocess.run(
            [sys.executable, "-c", script, json.dumps(where), query], capture_output=True, text=True, check=True
        )
        rows: list[list[str]] = json.loads(done.stdout)
        return rows
