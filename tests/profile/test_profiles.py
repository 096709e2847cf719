"""Which operation gets a profile, what its span then says, and what the user notices of it: nothing."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from opentelemetry.instrumentation.utils import suppress_instrumentation

from otel_duckdb import DuckDBInstrumentor

pytestmark = pytest.mark.usefixtures("profiles")
QUERY = "SELECT max(comment) FROM lineitem WHERE quantity > 7"
SETTING = "SELECT current_setting('enable_profiling')"


def nap(seconds):
    time.sleep(seconds)
    return seconds


def profiled(spans):
    return ["duckdb.profile.cpu_time_ms" in span.attributes for span in spans]


def is_on(con):
    """Whether DuckDB profiles the connection; asking it this way runs no statement."""
    return "disabled" not in con.get_profiling_information()


def test_a_statement_is_profiled_from_the_execution_after_the_one_that_was_slow(con, telemetry):
    telemetry.instrument(slow_threshold_ms=0.1)
    for number in (7, 8, 9):
        con.execute(f"SELECT max(comment) FROM lineitem WHERE quantity > {number}").fetchall()
    assert profiled(telemetry.ended) == [False, True, True]


def test_quick_statements_are_never_profiled(con, telemetry):
    telemetry.instrument()
    for _ in range(3):
        con.execute(QUERY).fetchall()
        assert not is_on(con)
    assert profiled(telemetry.ended) == [False, False, False]


def test_profiling_is_off_again_when_the_next_statement_runs(con, telemetry):
    telemetry.instrument(slow_threshold_ms=1)
    con.execute(QUERY).fetchall()
    con.execute(QUERY).fetchall()
    assert is_on(con)
    assert con.execute(SETTING).fetchall() == [(None,)]


def test_a_statement_that_was_quick_ten_times_is_forgotten(con, telemetry):
    con.create_function("nap", nap, ["DOUBLE"], "DOUBLE")
    telemetry.instrument(slow_threshold_ms=500)
    for seconds in [0.6] + [0.0] * 12:
        con.execute("SELECT nap(?)", [seconds]).fetchall()
    assert profiled(telemetry.ended) == [False] + [True] * 10 + [False] * 2


def test_mode_off_profiles_nothing(con, telemetry):
    telemetry.instrument(profile="off", slow_threshold_ms=0)
    for _ in range(3):
        con.execute(QUERY).fetchall()
    assert profiled(telemetry.ended) == [False] * 3
    assert not is_on(con)


def test_mode_all_profiles_at_once(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchall()
    con.sql(QUERY).fetchall()
    con.execute("CREATE TEMP TABLE copied AS FROM orders")
    con.execute("UPDATE copied SET priority = 'x' WHERE custkey = 1")
    assert profiled(telemetry.ended) == [True] * 4


def test_a_relation_whose_connection_is_not_known_touches_no_other(telemetry):
    with duckdb.connect() as unknown:
        telemetry.instrument(profile="all")
        with duckdb.connect() as known:
            assert unknown.table_function("range", [5]).filter("range > 2").fetchall() == [(3,), (4,)]
            assert not is_on(known)
            assert known.execute("SELECT max(i) FROM range(9) t(i)").fetchall() == [(8,)]
    assert [span.name for span in telemetry.ended] == ["SELECT", "SELECT"]


def test_cursors_are_profiled_too(con, telemetry):
    telemetry.instrument(profile="all")
    with con.cursor() as cursor:
        cursor.execute(QUERY).fetchall()
    assert profiled(telemetry.ended) == [True]


def test_a_script_has_the_profile_of_its_last_statement(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute("CREATE TEMP TABLE n AS SELECT 1; " + QUERY + "; -- the end").fetchall()
    con.execute(QUERY + "; SET threads = 2").fetchall()
    con.execute(QUERY + ";\n" + QUERY).fetchall()
    con.sql("SELECT 1; " + QUERY).fetchall()
    spans = telemetry.ended
    assert profiled(spans)[:3] == [True, False, True]
    assert spans[0].attributes["db.operation.batch.size"] == 2
    assert spans[0].attributes["duckdb.profile.rows_scanned"] == 200_000
    assert spans[-1].attributes.get("duckdb.profile.rows_scanned", 200_000) == 200_000


def test_a_script_is_not_profiled_because_it_was_slow(con, telemetry):
    telemetry.instrument(slow_threshold_ms=0)
    for _ in range(3):
        con.execute("SELECT 1; " + QUERY).fetchall()
    assert not any(profiled(telemetry.ended))


def test_batches_and_calls_without_text_are_not_profiled(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute("CREATE TEMP TABLE n (i INT)")
    con.executemany("INSERT INTO n SELECT ?", [[1], [2]])
    con.begin()
    con.rollback()
    assert not any(profiled(span for span in telemetry.ended if not span.name.startswith("CREATE")))


def test_a_failed_operation_has_no_profile(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchall()
    with pytest.raises(duckdb.Error):
        con.execute("SELECT error('x') FROM lineitem").fetchall()
    assert profiled(telemetry.ended) == [True, False]


def test_a_result_that_was_not_used_up_gives_a_partial_profile(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchone()
    con.execute("SELECT 1")
    span = telemetry.ended[0]
    assert span.attributes["duckdb.profile.partial"] is True
    assert span.attributes["duckdb.profile.rows_scanned"] == 200_000
    assert "scanned 200,000 of lineitem" in telemetry.plan(span)


def test_a_connection_closed_before_its_result_was_used_up_gives_a_partial_profile(telemetry):
    telemetry.instrument(profile="all")
    con = duckdb.connect()
    con.execute("SELECT max(i) FROM range(1000) t(i) WHERE i > 3").fetchone()
    con.close()
    assert telemetry.last.attributes["duckdb.profile.partial"] is True


def test_the_profile_of_an_unheard_statement_is_nobodys(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY)
    with suppress_instrumentation():
        con.execute("SELECT sum(custkey) FROM orders")
    con.execute("SELECT 1").fetchall()
    assert profiled(telemetry.ended) == [False, True]


def test_description_and_results_are_as_without_profiling(con, telemetry):
    telemetry.instrument(slow_threshold_ms=0.1)
    con.execute(QUERY).fetchall()
    described = con.execute("SELECT 1 AS a").description
    assert con.fetchall() == [(1,)]
    con.sql(QUERY).fetchall()  # runs with profiling switched on for it
    assert profiled(telemetry.ended[-1:]) == [True]
    assert con.description == described


def test_explaining_a_relation_says_what_it_says_without_profiling(con, telemetry):
    def explained():
        text = con.sql(QUERY).explain("analyze")
        return re.sub(r"[\d.]+ ?(µs|ms|s)\b|[─━ ]+", "", text)

    expected = explained()
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchall()
    assert explained() == expected


def test_an_open_result_outlives_a_relation_that_runs_beside_it(con, telemetry):
    def rows():
        con.execute("SELECT i FROM range(100000) t(i)")
        first = con.fetchmany(10)
        try:
            con.sql(QUERY).fetchall()
        except duckdb.Error as error:
            return first, str(error), len(con.fetchall())
        return first, len(con.fetchall())

    expected = rows()
    telemetry.instrument(slow_threshold_ms=0)
    con.execute("SELECT 1").fetchall()
    con.sql(QUERY).fetchall()
    assert rows() == rows() == expected


def test_a_locked_configuration_does_not_abort_the_users_transaction(telemetry):
    with duckdb.connect() as con:
        con.execute("SET lock_configuration = true")
        telemetry.instrument(profile="all")
        con.begin()
        assert con.execute("SELECT max(i) FROM range(10) t(i)").fetchall() == [(9,)]
        con.commit()
    assert len(telemetry.ended) == 3
    assert not any(profiled(telemetry.ended))


def test_profiling_works_inside_a_transaction_and_leaves_an_aborted_one_as_it_is(con, telemetry):
    telemetry.instrument(slow_threshold_ms=0.1)
    con.execute(QUERY).fetchall()
    con.begin()
    con.execute(QUERY).fetchall()
    assert profiled(telemetry.ended[-1:]) == [True]
    with pytest.raises(duckdb.ConversionException):
        con.execute("SELECT 'a'::INT").fetchall()
    with pytest.raises(duckdb.TransactionException, match="aborted"):
        con.execute(QUERY)
    con.rollback()
    assert con.execute(QUERY).fetchall()


@pytest.mark.parametrize("mode", ["slow", "all"])
def test_the_users_own_profiling_wins_at_once(con, telemetry, mode, tmp_path):
    telemetry.instrument(profile=mode, slow_threshold_ms=0.1)
    for _ in range(3):
        con.execute(QUERY).fetchall()
    output = tmp_path / "profile.json"
    con.execute("PRAGMA enable_profiling='json'")
    con.execute(f"SET profiling_output='{output}'")
    for _ in range(2):
        output.unlink(missing_ok=True)
        con.execute(QUERY).fetchall()
        written = json.loads(output.read_text())
        assert QUERY in (written.get("query_name"), written.get("query", {}).get("sql"))
    assert con.execute(SETTING).fetchall() == [("json",)]


def test_profiling_the_user_switched_on_before_is_left_alone(con, telemetry):
    con.execute("PRAGMA enable_profiling='no_output'")
    telemetry.instrument(slow_threshold_ms=0)
    for _ in range(3):
        con.execute(QUERY).fetchall()
    assert con.execute(SETTING).fetchall() == [("no_output",)]
    assert not any(profiled(telemetry.ended))


def test_profiling_switched_by_method_is_the_users(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchall()
    con.disable_profiling()
    con.execute(QUERY).fetchall()
    assert profiled(telemetry.ended) == [True, False]
    assert not is_on(con)


def test_literals_are_hidden_in_the_plan_like_in_the_text(con, telemetry):
    query = """
        SELECT count(*) FROM orders
        WHERE priority <> 'it''s my secret' AND ordered > DATE '1994-03-02' AND custkey < 4711"""
    telemetry.instrument(profile="all")
    con.execute(query).fetchall()
    plan = telemetry.plan()
    assert "custkey < ?" in plan.replace("<?", " < ?")
    assert not any(word in plan for word in ("secret", "my", "1994", "4711", "'"))


def test_literals_are_shown_in_the_plan_where_they_are_shown_in_the_text(con, telemetry):
    telemetry.instrument(profile="all", raw_query_text=True)
    con.execute("SELECT count(*) FROM orders WHERE priority <> '2-HIGH'").fetchall()
    assert "'2-HIGH'" in telemetry.plan()


def test_names_of_files_are_hidden(con, telemetry, tmp_path):
    file = tmp_path / "private_name.parquet"
    con.execute(f"COPY orders TO '{file}'")
    telemetry.instrument(profile="all")
    con.execute(f"SELECT max(custkey) FROM '{file}' WHERE priority <> '2-HIGH'").fetchall()
    assert "private_name" not in telemetry.plan()
    assert "of parquet_scan" in telemetry.plan()


def test_a_large_plan_is_cut_to_a_bounded_size(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(
        " UNION ALL ".join(f"SELECT custkey + {n} FROM orders WHERE custkey = {n}" for n in range(150))
    ).fetchall()
    plan = telemetry.plan()
    assert plan.count("\n") == 60
    assert plan.splitlines()[-1].startswith("… ")
    assert len(plan) <= 8200


def test_metrics_add_up_what_operators_did(con, telemetry):
    telemetry.instrument(profile="all", instance_id="one")
    con.execute(QUERY).fetchall()
    con.execute(QUERY).fetchall()
    rows = {labels["operator_type"]: value for labels, value in telemetry.told("duckdb_operator_rows")}
    assert rows["UNGROUPED_AGGREGATE"] == 2
    times = telemetry.told("duckdb_operator_thread_time_ms")
    total = sum(span.attributes["duckdb.profile.cpu_time_ms"] for span in telemetry.ended)
    assert sum(value for _, value in times) == pytest.approx(total, rel=0.05)
    spilled = sum(span.attributes["duckdb.profile.peak_temporary_bytes"] for span in telemetry.ended)
    [(labels, value)] = telemetry.told("duckdb_query_spilled_bytes")
    assert labels.keys() == {"instance_id", "database"}
    assert value == spilled


def test_the_span_begins_after_profiling_was_switched(con, telemetry):
    telemetry.instrument(profile="all")
    con.sql(QUERY).fetchall()
    span = telemetry.last
    assert (span.end_time - span.start_time) / 1e6 >= span.attributes["duckdb.execute_time_ms"]


def test_a_span_made_at_its_end_has_its_plan(con, telemetry):
    telemetry.instrument(profile="all", min_duration_ms=0.01)
    con.execute(QUERY).fetchall()
    assert telemetry.plan()


def test_uninstrumenting_while_profiling_leaves_the_connection_usable(con, telemetry):
    telemetry.instrument(profile="all")
    con.execute(QUERY).fetchone()
    DuckDBInstrumentor().uninstrument()
    assert profiled(telemetry.ended) == [False]
    assert con.fetchone() is None
    assert len(con.execute("FROM orders").fetchall()) == 50_000


@pytest.mark.parametrize("seconds", ["0.7", pytest.param("5", marks=pytest.mark.slow)])
def test_random_switching_in_eight_threads_misplaces_no_profile(seconds):
    stress = Path(__file__).with_name("stress.py")
    done = subprocess.run([sys.executable, stress, seconds], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
