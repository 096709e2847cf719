"""Actions on connections: aborted transactions are rolled back and operations interrupted, and no others."""

import threading
import time

import duckdb
import pytest

from otel_duckdb import contract
from otel_duckdb.monitor.actions.action import Outcome


def fail_inside(con):
    con.execute("create table if not exists u (i int primary key)")
    con.execute("begin")
    con.execute("insert into u values (1)")
    with pytest.raises(duckdb.ConstraintException):
        con.execute("insert into u values (1)")


def test_an_aborted_transaction_is_rolled_back_and_its_owner_goes_on(runner, telemetry, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    fail_inside(con)
    assert "1 aborted transaction" in runner.run_one("rollback_aborted").detail
    con.execute("insert into u values (7)")
    assert con.execute("from u").fetchall() == [(7,)]
    assert runner.run_one("rollback_aborted").outcome is Outcome.NOTHING
    assert telemetry.value(contract.TRANSACTION_FAILURE.name) == 1


def test_a_healthy_transaction_is_never_rolled_back(runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    con.execute("create table u (i int)")
    con.execute("begin")
    con.execute("insert into u values (1)")
    assert runner.run_one("rollback_aborted").outcome is Outcome.NOTHING
    con.execute("insert into u values (2)")
    con.execute("rollback")
    assert con.execute("from u").fetchall() == []


def test_a_running_operation_is_interrupted_by_its_id(runner, tmp_path):
    con = duckdb.connect(str(tmp_path / "x.db"))
    text = "select count(*) from range(100000) a(i), range(100000) b(j) where (i * j) % 7 = 3"
    ended = []

    def work():
        try:
            con.execute(text).fetchall()
        except BaseException as error:
            ended.append(type(error).__name__)

    present = runner.source
    worker = threading.Thread(target=work)
    worker.start()
    deadline = time.monotonic() + 20
    while not any(one.busy_thread for one in present.live_connections()) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    result = runner.run_one("interrupt", argument=text)
    if result.outcome is not Outcome.DONE:
        con.interrupt()
    worker.join(20)
    assert result.outcome is Outcome.DONE, result.detail
    assert ended == ["InterruptException"]
    assert runner.run_one("interrupt", argument=text).outcome is Outcome.NOTHING
    assert runner.run_one("interrupt").outcome is Outcome.REFUSED
