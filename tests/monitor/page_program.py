"""A program whose page is looked at: it works on a DuckDB, and its monitor serves the page.

It prints the port and the token for acting, and ends when its standard input does.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import duckdb

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor, discovery


def work(path: str) -> None:
    connection = duckdb.connect(path)
    connection.execute("create table orders (id bigint, customer bigint, amount double, placed timestamp)")
    connection.execute("create table customers as select range as id, 'customer ' || range as name from range(20000)")
    number = 0
    while True:
        number += 1
        connection.execute(
            "insert into orders select range + ?, range % 20000, random() * 100, now()::timestamp from range(2000)",
            [number * 2000],
        )
        connection.execute("select count(*) from orders where customer = ?", [number % 20000]).fetchall()
        connection.execute(
            "select customers.name, sum(amount) as spent from orders join customers on customers.id = orders.customer "
            "group by all order by spent desc limit 10"
        ).fetchall()
        if number % 20 == 0:
            connection.execute("update orders set amount = amount * 1.01 where customer < 10")
            connection.execute("delete from orders where id < ?", [(number - 200) * 2000])
        time.sleep(random.uniform(0.05, 0.25))


def sleep_in_duckdb(path: str) -> None:
    connection = duckdb.connect(path).cursor()
    connection.execute("begin")
    while True:
        try:
            connection.execute(
                "select count(*) from range(3000000) a, range(200000) b where (a.range + b.range) % 7 = 3"
            )
        except duckdb.Error:
            connection.rollback()
            time.sleep(1)
            connection.execute("begin")


if __name__ == "__main__":
    DuckDBInstrumentor().instrument(profile="all")
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "orders.db"))
        threading.Thread(target=work, args=[database], daemon=True, name="orders").start()
        time.sleep(0.5)
        threading.Thread(target=sleep_in_duckdb, args=[":memory:"], daemon=True, name="report").start()
        with Monitor(interval_ms=500, cancel=True, port=int(sys.argv[1]) if len(sys.argv) > 1 else 0):
            [announced] = [each for each in discovery.running() if each.pid == os.getpid()]
            sys.stdout.write(f"{announced.port} {announced.token}\n")
            sys.stdout.flush()
            sys.stdin.read()
