"""A prepared statement changes the database when EXECUTE runs it, not when PREPARE names it; a secret never does."""

import duckdb
import pytest

INSERT = "prepare put as insert into t values ($1)"
UNITS = {
    "a change": (["execute put(2)"], (1, 0)),
    "a change in any case": (["EXECUTE Put(2)"], (1, 0)),
    "a change that is rolled back": (["begin", "execute put(2)", "rollback"], (0, 1)),
    "a change that fails": (["execute put(1)"], (0, 1)),
    "a change in a script": (["begin; execute put(2); commit"], (1, 0)),
    "a change that is prepared anew as a read": (["prepare put as select $1", "execute put(2)"], (0, 0)),
    "a read": (["prepare look as from t", "execute look"], (0, 0)),
    "a read that is rolled back": (["begin", "prepare look as from t", "execute look", "rollback"], (0, 0)),
    "preparing": (["prepare other as delete from t"], (0, 0)),
    "nothing of that name": (["execute nosuch(2)"], (0, 0)),
    "forgetting what was prepared": (["deallocate put"], (0, 0)),
    "a database that is imported": (["import database 'nosuch.of.this.name.fails'"], (0, 1)),
    "a secret": (["create or replace temporary secret told (type http, bearer_token 'x')"], (0, 0)),
    "a secret that is dropped": (["create secret told (type http)", "drop temporary secret told"], (0, 0)),
    "a secret that is rolled back": (["begin", "create secret told (type http)", "rollback"], (0, 0)),
    "a secret that fails": (["create secret told (type nosuch)"], (0, 0)),
}


@pytest.mark.parametrize("name", UNITS)
def test_what_execute_runs_counts_as_what_was_prepared(telemetry, name):
    statements, outcome = UNITS[name]
    telemetry.instrument()
    con = duckdb.connect()
    con.execute("create table t (a integer primary key); insert into t values (1)")
    con.execute(INSERT)
    before = counted(telemetry)
    for statement in statements:
        try:
            con.execute(statement).fetchall()
        except duckdb.Error:
            assert "fails" in name + statement or name == "nothing of that name"
    after = counted(telemetry)
    assert (after[0] - before[0], after[1] - before[1]) == outcome


def counted(telemetry):
    metrics = telemetry.metrics()
    return tuple(
        sum(point.value for point in metrics[f"duckdb_transaction_{end}_count"]) for end in ("success", "failure")
    )
