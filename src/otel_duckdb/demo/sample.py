"""A small DuckDB program to look at, for whoever has none at hand. It knows nothing of OpenTelemetry."""

from __future__ import annotations

import sys

import duckdb


def main() -> None:
    """Make trades, and ask about them."""
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE trades AS SELECT range AS id, ['AAPL', 'MSFT', 'NVDA'][1 + range % 3] AS symbol, "
        "100 + random() AS price FROM range(1_000_000)"
    )
    con.execute("SELECT symbol, avg(price) FROM trades WHERE price > 100.5 GROUP BY symbol").fetchall()
    con.execute("SELECT id, price FROM trades WHERE symbol = 'NVDA'").fetchall()
    con.executemany("INSERT INTO trades VALUES (?, ?, ?)", [(-number, "TEST", 1.0) for number in range(1, 101)])
    con.begin()
    con.execute("UPDATE trades SET price = 2 WHERE symbol = ?", ["TEST"])
    con.execute("DELETE FROM trades WHERE symbol = 'TEST'")
    con.rollback()
    try:
        con.execute("SELECT volume FROM trades WHERE symbol = 'a secret'")
    except duckdb.BinderException as error:
        sys.stdout.write(f"One query failed, as it should: {type(error).__name__}\n")


if __name__ == "__main__":
    main()
