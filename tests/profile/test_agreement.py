"""The figures of a span are those of DuckDB's own EXPLAIN ANALYZE text, for queries like TPC-H's."""

import re
import runpy
import tempfile
from collections import Counter
from pathlib import Path

import duckdb
import pytest

from otel_duckdb.core.profile import COLLECTOR
from otel_duckdb.profiling.reader import read_profile

pytestmark = pytest.mark.usefixtures("profiles")
TWO = duckdb.__version__.startswith("2")
UNITS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0}

QUERIES = {
    "pricing summary": """
        SELECT flag, sum(quantity), sum(price * (1 - discount)), avg(discount), count(*) FROM lineitem
        WHERE shipped <= DATE '1998-09-02' GROUP BY flag ORDER BY flag""",
    "shipping priority": """
        SELECT l.orderkey, sum(price * (1 - discount)) AS revenue, ordered FROM customer c
        JOIN orders o ON c.custkey = o.custkey JOIN lineitem l ON l.orderkey = o.orderkey
        WHERE segment = 'BUILDING' GROUP BY ALL ORDER BY revenue DESC, ordered, 1 LIMIT 10""",
    "order priority": """
        SELECT priority, count(*) FROM orders o WHERE EXISTS
        (FROM lineitem l WHERE l.orderkey = o.orderkey AND quantity > 40) GROUP BY 1 ORDER BY 1""",
    "revenue change": "SELECT sum(price * discount) FROM lineitem WHERE discount >= 0.05 AND quantity < 24",
    "small quantity": """
        SELECT sum(price) / 7 FROM lineitem l JOIN
        (SELECT partkey, 0.2 * avg(quantity) AS few FROM lineitem GROUP BY 1) a USING (partkey) WHERE quantity < few""",
    "window": """
        SELECT * FROM (SELECT orderkey, price, row_number() OVER
        (PARTITION BY partkey ORDER BY price DESC, orderkey) AS n FROM lineitem) WHERE n <= 3""",
    "sort": "SELECT comment, price FROM lineitem ORDER BY comment DESC",
    "spill": "SELECT count(*), max(n) FROM (SELECT comment, count(*) AS n FROM lineitem GROUP BY 1)",
}


def rows_of(text):
    return Counter(int(rows.replace(",", "")) for rows in re.findall(r"([\d,]+) rows?\b", text))


def same_rows(text, operators):
    """DuckDB 1.5 leaves the rows out of a box without room for them: of one in these plans, and none is wrong."""
    rendered, ours = rows_of(text), Counter(each.rows for each in operators)
    return rendered == ours if TWO else rendered <= ours and (ours - rendered).total() <= 1


def times_of(text):
    body = text[text.index("Total Time") + 30 :]
    if TWO:
        found = re.findall(r"rows? +([\d.]+)(µs|ms|s)\b", body)
        return sorted(float(number) * UNITS[unit] for number, unit in found)
    return sorted(float(number) for number in re.findall(r"([\d.]+)s(?=\s*│)", body))


def names_of(text, kinds):
    def written(kind):
        return f"─ {kind.replace('_', ' ').title()} [─┚┴]" if TWO else rf"│ +{kind} +│"

    return Counter({kind: len(re.findall(written(kind), text)) for kind in kinds})


@pytest.mark.parametrize("name", QUERIES)
def test_operators_agree_with_the_text_duckdb_renders_of_the_same_run(con, telemetry, name):
    if name == "spill":
        con.execute("SET memory_limit = '35MB'")
    telemetry.instrument(profile="all")
    con.execute(QUERIES[name]).fetchall()
    text = con.get_profiling_information(format="text" if TWO else "query_tree")
    profile = read_profile(con.get_profiling_information())
    operators = [each for each in profile.walk() if each.kind != COLLECTOR]
    total = sum(each.seconds for each in profile.walk())
    assert same_rows(text, operators)
    assert names_of(text, {each.kind for each in operators}) == Counter(each.kind for each in operators)
    times = sorted(each.seconds for each in operators)
    assert times_of(text) == pytest.approx(times, abs=0.0051)  # the text is rounded to 10 ms
    span = telemetry.last
    cpu_time = span.attributes["duckdb.profile.cpu_time_ms"]
    if TWO:
        assert cpu_time == pytest.approx(total * 1000, rel=0.02, abs=0.5)
    else:  # which does not list the operator that hands the rows over, but counts its time
        assert cpu_time >= total * 980
    assert telemetry.plan().count("\n") >= 1
    for kind, share, rows in re.findall(r"^ *(\w+) (\d+)% .*?· ([\d,]+) rows", telemetry.plan(), re.MULTILINE):
        same = [each for each in profile.walk() if each.kind == kind and each.rows == int(rows.replace(",", ""))]
        assert any(abs(each.seconds / total - int(share) / 100) < 0.01 for each in same)
    assert (span.attributes["duckdb.profile.peak_temporary_bytes"] > 0) == (name == "spill")


@pytest.mark.parametrize("name", QUERIES)
def test_rows_agree_with_explain_analyze(con, telemetry, name):
    con.execute("SET threads = 1")
    [(_, text)] = con.execute("EXPLAIN ANALYZE " + QUERIES[name]).fetchall()
    telemetry.instrument(profile="all")
    con.execute(QUERIES[name]).fetchall()
    operators = [each for each in read_profile(con.get_profiling_information()).walk() if each.kind != COLLECTOR]
    assert same_rows(text.replace("│           0 rows          │", "", 1), operators)  # EXPLAIN_ANALYZE itself, on 1.5
    scanned = sum(each.scanned for each in operators)
    assert telemetry.last.attributes["duckdb.profile.rows_scanned"] == scanned


def test_the_example_of_a_join_that_spills_shows_it_on_its_second_span(telemetry):
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "spill.py"))
    telemetry.instrument(slow_threshold_ms=1)
    with tempfile.TemporaryDirectory() as directory, duckdb.connect(Path(directory, "orders.duckdb")) as con:
        example["fill"](con, 400_000)
        con.execute("SET threads = 2")
        con.execute("SET memory_limit = '35MB'")
        for _ in range(2):
            con.execute(example["REPORT"]).fetchall()
    span = telemetry.last
    assert span.attributes["duckdb.profile.peak_temporary_bytes"] > 1_000_000
    assert span.attributes["duckdb.profile.rows_scanned"] == 800_000
    assert "HASH_JOIN" in telemetry.plan()
    assert "of orders\n" in telemetry.plan().replace(" ◀ 2", "").replace(" ◀ 3", "") + "\n"
