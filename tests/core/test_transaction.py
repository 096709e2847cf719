"""The state machine agrees with DuckDB itself on every line: on what is open, and on what was kept."""

import threading
import time

import duckdb
import pandas as pd
import pytest

from otel_duckdb.core.transaction import BEGIN, COMMIT, READ, ROLLBACK, WRITE, Rules, Step, Transaction

INSERT = "insert into kept values (2)"
DUPLICATE = "insert into kept values (1)"
WORDS = {"begin": BEGIN, "start": BEGIN, "commit": COMMIT, "end": COMMIT, "rollback": ROLLBACK, "abort": ROLLBACK}


def word(statement):
    first = statement.split(maxsplit=1)[0].lower()
    return WORDS.get(first, WRITE if first in {"insert", "update", "delete", "create"} else READ)


class Heard:
    """A connection, and the transaction we believe it to be in."""

    def __init__(self, connection):
        self.connection = connection
        self.transaction = Transaction(Rules(duckdb))
        self.outcomes = []

    def __call__(self, statement, call=None, number=1):
        words = tuple(word(part) for part in statement.split(";"))
        started, error = time.perf_counter_ns(), None
        try:
            call(self.connection) if call else self.connection.execute(statement).fetchall()
        except Exception as raised:
            error = raised
        ended = time.perf_counter_ns()
        outcomes = self.transaction.finished(Step(words, started, ended, ended - started, error, number))
        self.outcomes += [(outcome.success, outcome.number) for outcome in outcomes]
        return error

    @property
    def kept(self):
        with self.connection.cursor() as other:
            return [row[0] for row in other.execute("select key from kept order by key").fetchall()]

    @property
    def really_open(self):
        """What DuckDB says: an aborted transaction refuses, an open one keeps its identity."""
        try:
            first, second = (self.connection.execute("select txid_current()").fetchall() for _ in range(2))
        except duckdb.TransactionException:
            return True
        return first == second


@pytest.fixture
def heard():
    with duckdb.connect() as connection:
        connection.execute("create table kept (key integer primary key); insert into kept values (1)")
        yield Heard(connection)


def test_a_commit_is_a_success(heard):
    for statement in ("begin", INSERT, "commit"):
        assert heard(statement) is None
    assert heard.outcomes == [(True, 1)]
    assert heard.kept == [1, 2]


def test_an_empty_transaction_that_commits_is_a_success(heard):
    heard("start transaction")
    heard("end")
    assert heard.outcomes == [(True, 1)]


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        (f"begin; {INSERT}; commit; {DUPLICATE}", [1, 2, 3]),
        (f"{DUPLICATE}; begin; {INSERT}; commit", [1, 3]),
    ],
)
@pytest.mark.parametrize("after", [["select 1"], ["begin"]])
def test_a_script_that_failed_outside_its_transaction_is_one_failure_and_leaves_none_open(heard, script, kept, after):
    assert heard(script) is not None
    for statement in after:
        assert heard(statement) is None
    assert heard.transaction.is_open == heard.really_open
    assert heard.outcomes[-1] == (False, 1)
    heard("insert into kept values (3)")
    if heard.transaction.is_open:
        heard("commit")
    assert heard.outcomes[-1] == (True, 1)
    assert [outcome for outcome, _ in heard.outcomes].count(False) == 1
    assert heard.kept == kept


@pytest.mark.parametrize("word", ["rollback", "abort"])
def test_a_rollback_of_a_change_is_a_failure(heard, word):
    for statement in ("begin", INSERT, word):
        heard(statement)
    assert heard.outcomes == [(False, 1)]
    assert heard.kept == [1]


@pytest.mark.parametrize("end", ["rollback", "abort", "commit after an error", "rollback after an error"])
def test_a_transaction_that_tried_to_change_nothing_is_no_failure_however_it_ends(heard, end):
    heard("begin")
    heard("select * from kept")
    if end.endswith("after an error"):
        assert isinstance(heard("select 'x'::int"), duckdb.ConversionException)
    heard(end.split()[0])
    assert heard.outcomes == [(None, 1)]
    assert not heard.really_open


def test_an_empty_transaction_that_is_dropped_by_close_is_no_failure(heard):
    heard("begin")
    heard("select * from kept")
    assert [outcome.success for outcome in heard.transaction.closed(time.perf_counter_ns())] == [None]


def test_a_change_that_fails_and_is_rolled_back_is_a_failure(heard):
    heard("begin")
    assert isinstance(heard(DUPLICATE), duckdb.ConstraintException)
    heard("rollback")
    assert heard.outcomes == [(False, 1)]


def test_a_change_of_an_earlier_transaction_is_none_of_the_next(heard):
    for statement in ("begin", INSERT, "commit", "begin", "select * from kept", "rollback"):
        heard(statement)
    assert heard.outcomes == [(True, 1), (None, 1)]


def test_a_change_before_a_begin_in_a_script_is_none_of_its_transaction(heard):
    heard(f"{INSERT}; begin; select * from kept; rollback")
    assert heard.outcomes == [(True, 1), (None, 1)]


@pytest.mark.parametrize("by_method", [True, False])
def test_a_commit_of_an_aborted_transaction_returns_normally_and_is_a_failure(heard, by_method):
    heard("begin")
    heard(INSERT)
    assert isinstance(heard(DUPLICATE), duckdb.ConstraintException)
    assert heard("commit", duckdb.DuckDBPyConnection.commit if by_method else None) is None
    assert heard.outcomes == [(False, 1)]
    assert heard.kept == [1]
    assert not heard.really_open


def test_a_begin_inside_a_transaction_aborts_it(heard):
    heard("begin")
    heard(INSERT)
    assert isinstance(heard("begin"), duckdb.TransactionException)
    heard("commit")
    assert heard.outcomes == [(False, 1)]
    assert heard.kept == [1]


def udf_fails(connection):
    def fail(_):
        raise ValueError("fails")

    connection.create_function("fail", fail, [int], int)
    connection.execute("select fail(1)").fetchall()


ERRORS = {
    "parser": ("selec 1", None),
    "binder": ("select nothing from kept", None),
    "catalog": ("select * from nothing", None),
    "exists": ("create table kept (a int)", None),
    "setting": ("set nothing = 1", None),
    "constraint": (DUPLICATE, None),
    "conversion": ("select 'x'::int", None),
    "range": ("select 2147483647::int + key from kept", None),
    "file": ("select * from 'nothing.csv'", None),
    "checkpoint": ("checkpoint", None),
    "late": ("select (case when range = 100000 then 'x' else '1' end)::int from range(200000)", None),
    "missing parameter": (INSERT, lambda connection: connection.execute("insert into kept values ($a)", {"b": 1})),
    "extra parameter": (INSERT, lambda connection: connection.execute("insert into kept values (?)", [1, 2])),
    "untold parameter": (INSERT, lambda connection: connection.execute("insert into kept values (?)", [object()])),
    "text as parameters": (INSERT, lambda connection: connection.execute("insert into kept values (?)", "ab")),
    "no parameter sets": (INSERT, lambda connection: connection.executemany("insert into kept values (?)", [])),
    "no query": ("select", lambda connection: connection.execute(5)),
    "append": (INSERT, lambda connection: connection.append("kept", pd.DataFrame({"key": [1]}))),
    "append nowhere": (INSERT, lambda connection: connection.append("nothing", pd.DataFrame({"key": [1]}))),
    "many": (INSERT, lambda connection: connection.executemany("insert into kept values (?)", [[5], [1], [6]])),
    "function": ("select", udf_fails),
    "prepared": ("execute nothing", None),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_aborts_a_transaction_where_duckdb_says_so(heard, name):
    heard("begin")
    heard(INSERT)
    assert heard(*ERRORS[name]) is not None
    heard("commit")
    kept = 2 in heard.kept
    assert heard.outcomes == [(kept, 1)]


@pytest.mark.parametrize("name", ["parser", "binder", "catalog", "conversion"])
def test_an_error_of_a_read_outside_a_transaction_is_no_transaction(heard, name):
    assert heard(*ERRORS[name]) is not None
    assert heard.outcomes == []


def test_a_statement_that_works_shows_that_the_transaction_was_not_aborted(heard):
    heard("begin")
    heard.transaction.finished(Step((READ,), 1, 2, 1, duckdb.ConstraintException("Constraint Error: by another way")))
    heard(INSERT)
    heard("commit")
    assert heard.outcomes == [(True, 1)]
    assert heard.kept == [1, 2]


def test_a_result_from_before_the_abort_that_is_drained_after_it_shows_nothing(heard):
    heard("begin")
    before = time.perf_counter_ns()
    heard(DUPLICATE)
    heard.transaction.finished(Step((READ,), before, time.perf_counter_ns(), 1))
    heard("commit")
    assert heard.outcomes == [(False, 1)]


def test_every_autocommitted_write_is_a_transaction(heard):
    heard(INSERT)
    heard(DUPLICATE)
    heard("select * from kept")
    heard("update kept set key = 7 where key = 2")
    heard("delete from kept where key = 7")
    heard("create table more as select 1 as key")
    assert heard.outcomes == [(True, 1), (False, 1), (True, 1), (True, 1), (True, 1)]


def test_each_set_of_a_batch_is_a_transaction_of_its_own(heard):
    insert = "insert into kept values (?)"
    heard(insert, lambda connection: connection.executemany(insert, [[5], [6], [7]]), number=3)
    assert heard.outcomes == [(True, 3)]
    assert isinstance(heard(insert, lambda connection: connection.executemany(insert, [[8], [1]]), number=2), Exception)
    assert heard.kept == [1, 5, 6, 7, 8]


@pytest.mark.parametrize("by_method", [True, False])
def test_a_conflict_at_the_commit_is_a_failure_and_ends_the_transaction(heard, by_method):
    with heard.connection.cursor() as rival:
        heard("begin")
        heard("insert into kept values (9)")
        rival.execute("insert into kept values (9)")
    error = heard("commit", duckdb.DuckDBPyConnection.commit if by_method else None)
    assert isinstance(error, duckdb.TransactionException)
    assert heard.outcomes == [(False, 1)]
    assert not heard.transaction.is_open
    assert not heard.really_open


def test_a_conflict_on_a_row_aborts_the_transaction(heard):
    with heard.connection.cursor() as rival:
        heard("begin")
        rival.execute("begin; update kept set key = 10")
        assert isinstance(heard("update kept set key = 11"), duckdb.TransactionException)
        rival.execute("commit")
    heard("rollback")
    assert heard.outcomes == [(False, 1)]


def test_ending_no_transaction_counts_nothing(heard):
    heard("commit", duckdb.DuckDBPyConnection.commit)
    heard("commit")
    heard("rollback", duckdb.DuckDBPyConnection.rollback)
    assert heard.outcomes == []
    assert not heard.transaction.is_open


SCRIPTS = [
    f"begin; {INSERT}; commit",
    f"begin; {INSERT}; rollback",
    f"begin; {INSERT}",
    f"begin; {DUPLICATE}; commit",
    f"begin; {INSERT}; selec",
    f"begin; {INSERT}; select nothing",
    f"{INSERT}; begin; insert into kept values (3)",
]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_leaves_the_transaction_that_duckdb_is_in(heard, script):
    heard(script)
    assert heard.transaction.is_open == heard.really_open
    count = len(heard.outcomes)
    heard("commit")
    ended = heard.outcomes[count:]
    assert [success for success, _ in ended] in ([], [2 in heard.kept], [3 in heard.kept])


def test_an_open_transaction_dropped_by_close_is_a_failure(heard):
    heard("begin")
    heard(INSERT)
    assert [outcome.success for outcome in heard.transaction.closed(time.perf_counter_ns())] == [False]
    assert list(heard.transaction.closed(time.perf_counter_ns())) == []


def test_an_interrupted_query_aborts_the_transaction(heard):
    heard("begin")
    heard(INSERT)
    timer = threading.Timer(0.2, heard.connection.interrupt)
    timer.start()
    assert isinstance(heard("select count(*) from range(100000000000)"), duckdb.InterruptException)
    heard("commit")
    assert heard.outcomes == [(False, 1)]
    assert heard.kept == [1]


def test_the_duration_is_from_begin_to_commit():
    transaction = Transaction(Rules(duckdb))
    transaction.finished(Step((BEGIN,), 0, 10_000_000, 10_000_000))
    transaction.finished(Step((WRITE,), 15_000_000, 20_000_000, 5_000_000))
    (outcome,) = transaction.finished(Step((COMMIT,), 40_000_000, 50_000_000, 10_000_000))
    assert (outcome.success, outcome.milliseconds) == (True, 50.0)
