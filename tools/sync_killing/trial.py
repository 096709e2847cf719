"""One trial: kills by the dozen, then a run to the end, then the count."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import duckdb

from clickhouse_standin import Fault, Kind, StandIn

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


def _environment() -> dict[str, str]:
    """The environment of a child, which finds this folder's modules."""
    home = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))}


@dataclass(frozen=True)
class Outcome:
    """What was committed to the buffer, and what arrived; the two must agree."""

    kills: int
    written: list[tuple[int, ...]]
    stored: list[tuple[int, ...]]
    seconds: float

    @property
    def exactly_once(self) -> bool:
        """Whether each row arrived, and arrived once."""
        return self.written == self.stored and bool(self.written)


class Trial:
    """Kills a sync again and again, over HTTP or with chDB in its own process, with faults or without."""

    def __init__(self, folder: Path, *, http: bool, delete: bool, faults: bool = False, seed: int = 0) -> None:
        """Prepare a trial whose databases stay in `folder`."""
        self._folder = folder
        self._http = http
        self._delete = delete
        self._faults = faults
        self._chance = random.Random(seed)

    def run(self, kills: int, longest: float = 0.5) -> Outcome:
        """Kill `kills` times, each after at most `longest` seconds of work, then let it finish, and count.

        Raises RuntimeError where a child ends by itself, or cannot finish.
        """
        begin = time.monotonic()
        with ExitStack() as stack:
            standin = StandIn(self._folder / "chdb", log=self._folder / "server.log")
            server = stack.enter_context(standin) if self._http else None
            for _ in range(kills):
                refuses = False
                if server and self._faults:
                    server.clear()
                    server.arm(self._chance.choice(FAULTS))
                    refuses = self._chance.random() < REFUSALS
                self._kill_one(server, self._chance.random() * longest, refuses)
            if server:
                server.clear()
            self._finish(server)
            written = self._written()
            stored = self._stored(server)
        return Outcome(kills, written, stored, time.monotonic() - begin)

    def _command(self, server: StandIn | None, finish: bool) -> list[str]:
        return [
            *(sys.executable, "-m", "sync_killing.child", str(self._folder), str(server.port if server else 0)),
            *("delete" if self._delete else "keep", "finish" if finish else "run"),
        ]

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

    def _written(self) -> list[tuple[int, ...]]:
        with duckdb.connect(str(self._folder / "buffer.duckdb")) as connection:
            counts = connection.execute("SELECT writer, rows FROM written WHERE rows > 0 ORDER BY writer").fetchall()
        return [
            (writer, n, n, n * (n - 1) // 2, n * (n - 1) // 2 * 10_000 // 4, n - (n + 2) // 3) for writer, n in counts
        ]

    def _stored(self, server: StandIn | None) -> list[tuple[int, ...]]:
        query = (
            "SELECT writer, count(), uniqExact(number), sum(number), toInt64(sum(price) * 10000), "
            "countIf(not tags_is_null) FROM ticks GROUP BY writer ORDER BY writer"
        )
        if server:
            client = clickhouse_connect.get_client(host="127.0.0.1", port=server.port)
            return [tuple(map(int, row)) for row in client.query(query).result_rows]
        script = (
            "import sys, clickhouse_connect as c\n"
            "k = c.get_client(interface='chdb', path=sys.argv[1])\n"
            "[print(*map(int, row)) for row in k.query(sys.argv[2]).result_rows]"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, str(self._folder / "chdb"), query],
            capture_output=True,
            text=True,
            check=True,
        )
        return [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
