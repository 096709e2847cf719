"""Programs that are well, run under `opentelemetry-instrument`: `python healthy.py ROLE FOLDER CLICKHOUSE_PORT`.

Each does what its kind does until its standard input ends; notebook, batch and the restarted one end by themselves.
"""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path

import duckdb
import sqlalchemy

from otel_duckdb.sync import Sync, Target

ROLE, HOME = sys.argv[1], Path(sys.argv[2])


def going_on(pause: float) -> bool:
    """Wait, and tell whether the program is to go on."""
    return not select.select([sys.stdin], [], [], pause)[0]


def web() -> None:
    """Requests through SQLAlchemy's pool, which ends each unit of work with a ROLLBACK; now and then a write."""
    engine = sqlalchemy.create_engine(f"duckdb:///{HOME / 'web.duckdb'}")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE users AS SELECT range AS id, 'name' AS name FROM range(1000)"))
    number = 0
    while going_on(0.1):
        number += 1
        with engine.connect() as connection:
            connection.execute(
                sqlalchemy.text("SELECT name FROM users WHERE id = :id"), {"id": number % 1000}
            ).fetchall()
        if number % 10 == 0:
            with engine.begin() as connection:
                connection.execute(sqlalchemy.text("UPDATE users SET name = 'other' WHERE id = 1"))


def batch() -> None:
    """What dbt does: a few large statements, each a table, one test of it, and the end."""
    connection = duckdb.connect(str(HOME / "batch.duckdb"))
    for model in range(3):
        connection.execute(
            f"CREATE OR REPLACE TABLE model_{model} AS SELECT range % 1000 AS k, random() AS v FROM range(3_000_000)"
        )
        connection.execute(
            f"SELECT count(*) FROM (SELECT k, quantile_cont(v, 0.5) FROM model_{model} GROUP BY k)"
        ).fetchall()
        time.sleep(1)
    connection.close()


def buffer() -> None:
    """A buffer of ticks that is synced all the time, and read; its blocks fill the memory that it may use."""
    connection = duckdb.connect(str(HOME / "buffer.duckdb"), config={"memory_limit": "64MB"})
    connection.execute("CREATE TABLE ticks (id BIGINT, price DOUBLE)")
    connection.execute("CREATE TABLE old AS SELECT random() AS price FROM range(9_000_000)")
    connection.execute("CHECKPOINT")
    with Sync(connection, ["ticks"], Target(host="127.0.0.1", port=int(sys.argv[3]))) as sync:
        while going_on(0.5):
            connection.execute("INSERT INTO ticks SELECT range, random() FROM range(100)")
            connection.execute("SELECT max(price) FROM ticks").fetchall()
            connection.execute("SELECT max(price) FROM old WHERE rowid < 100_000").fetchall()
            sync.run_once()


def notebook() -> None:
    """A person who asks something large now and then, mistypes, and closes the notebook."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE trips AS SELECT range AS id, random() AS fare FROM range(2_000_000)")
    for _ in range(3):
        connection.sql("SELECT round(fare, 2) AS f, count(*) FROM trips GROUP BY f ORDER BY f").fetchall()
        time.sleep(12)
        try:
            connection.sql("SELECT fair FROM trips")
        except duckdb.BinderException:
            time.sleep(1)


def forks() -> None:
    """A server whose workers are forked, and end and are forked anew."""
    children: dict[int, float] = {}
    while going_on(0.5):
        while len(children) < 2:
            if (child := os.fork()) == 0:
                worker()
            children[child] = time.monotonic()
        for child, _ in list(children.items()):
            if os.waitpid(child, os.WNOHANG)[0]:
                del children[child]
    for child in children:
        os.waitpid(child, 0)


def worker() -> None:
    """Some requests of one worker."""
    connection = duckdb.connect()
    connection.execute("CREATE TABLE t AS SELECT range AS i FROM range(1000)")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        connection.execute("SELECT sum(i) FROM t").fetchall()
        connection.execute("INSERT INTO t VALUES (1)")
        time.sleep(0.1)
    os._exit(0)


def restarted() -> None:
    """A short life, of many."""
    connection = duckdb.connect(str(HOME / "restarted.duckdb"))
    connection.execute("CREATE TABLE IF NOT EXISTS t (i INT)")
    for _ in range(30):
        connection.execute("INSERT INTO t VALUES (1)")
        time.sleep(0.1)


def idle() -> None:
    """A connection that is open, and nothing else."""
    connection = duckdb.connect(str(HOME / "idle.duckdb"))
    connection.execute("CREATE TABLE t (i INT)")
    while going_on(1):
        pass


globals()[ROLE]()
