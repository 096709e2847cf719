"""A plain DuckDB program, on real data. It knows nothing of OpenTelemetry: run it under `opentelemetry-instrument`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
from nycflights import unpack

if TYPE_CHECKING:
    import pyarrow as pa


def load(con: duckdb.DuckDBPyConnection, tables: dict[str, Path]) -> int:
    """Fill the database from CSV files; the number of flights."""
    con.execute("CREATE TABLE flights AS SELECT * FROM read_csv(?, nullstr = 'NA')", [str(tables["flights"])])
    con.execute("CREATE TABLE airlines AS SELECT * FROM read_csv(?)", [str(tables["airlines"])])
    con.execute("CREATE TABLE planes AS SELECT * FROM read_csv(?, nullstr = 'NA')", [str(tables["planes"])])
    (count,) = con.execute("SELECT count(*) FROM flights").fetchone() or (0,)
    return int(count)


def latest_airlines(con: duckdb.DuckDBPyConnection) -> list[tuple[str, float]]:
    """An aggregate over a join: the airlines with the highest average delay."""
    return con.execute(
        """
        SELECT airlines.name, round(avg(flights.dep_delay), 1) AS delay
        FROM flights JOIN airlines USING (carrier)
        WHERE flights.dep_delay IS NOT NULL GROUP BY ALL ORDER BY delay DESC
        """
    ).fetchall()


def long_flights(con: duckdb.DuckDBPyConnection) -> pa.Table:
    """A relation: DuckDB does nothing for it until Arrow asks for the rows."""
    flights = con.table("flights").filter("distance > 2000").order("air_time DESC")
    return flights.project("carrier, flight, dest, air_time").to_arrow_table()


def delay_by_aircraft_age(con: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """A query over a local DataFrame: DuckDB finds `ages` among the variables of the calling function."""
    ages = pd.DataFrame({"age": ["new", "old"], "built_from": [2000, 1950], "built_to": [2013, 1999]})  # noqa: F841 - DuckDB finds it
    return con.sql(
        """
        SELECT age, count(*) AS flights, round(avg(arr_delay), 1) AS delay
        FROM flights JOIN planes USING (tailnum) JOIN ages ON planes.year BETWEEN built_from AND built_to
        GROUP BY age ORDER BY age
        """
    ).df()


def stream(con: duckdb.DuckDBPyConnection) -> int:
    """A scan that DuckDB executes while the program fetches; the minutes of all flights."""
    con.execute("SELECT flight, air_time FROM flights WHERE air_time IS NOT NULL")
    minutes = 0
    while rows := con.fetchmany(50_000):
        minutes += sum(int(time) for _, time in rows)
    return minutes


def remember(con: duckdb.DuckDBPyConnection, rows: list[tuple[str, float]]) -> None:
    """A transaction with a batch."""
    con.execute("CREATE TABLE report (airline VARCHAR, delay DOUBLE)")
    con.begin()
    con.executemany("INSERT INTO report VALUES (?, ?)", rows)
    con.execute("UPDATE report SET delay = delay / 60 WHERE airline <> 'nobody'")
    con.commit()


def fail(con: duckdb.DuckDBPyConnection) -> str:
    """A query that fails: DuckDB's exception arrives as always."""
    try:
        con.execute("SELECT sum(luggage) FROM flights WHERE passenger = 'Ada Lovelace'")
    except duckdb.Error as error:
        return type(error).__name__
    return "no error"


def main() -> None:
    """Load the flights, and ask about them."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(Path(folder) / "flights.db") as con:
        print(f"{load(con, unpack(Path(folder))):,} flights left New York City in 2013.")
        late = latest_airlines(con)
        print("Latest: " + ", ".join(f"{name} ({delay} minutes)" for name, delay in late[:3]))
        print(f"Over 2,000 miles: {long_flights(con).num_rows:,} flights")
        print(f"Arrival delay by age of the aircraft: {delay_by_aircraft_age(con).to_dict('records')}")
        print(f"In the air: {stream(con) / 60 / 24 / 365:,.1f} years")
        remember(con, late)
        print(f"A question with a mistake: {fail(con)}")


if __name__ == "__main__":
    main()
