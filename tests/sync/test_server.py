"""What only a real server can show; `make test-clickhouse` runs it, and without one the reason is told."""

import os

import duckdb
import pytest

from otel_duckdb.sync import Sync, Table, Target

CLUSTER = os.environ.get("OTEL_DUCKDB_TEST_CLICKHOUSE_CLUSTER")
FEW_RIGHTS = os.environ.get("OTEL_DUCKDB_TEST_FEW_RIGHTS_USERNAME")


@pytest.fixture
def orders(buffer):
    buffer.execute("CREATE TABLE orders AS SELECT range AS id, 'x' AS v FROM range(1000)")


@pytest.mark.skipif(not CLUSTER, reason="needs a cluster with Keeper: make test-clickhouse HOST=… CLUSTER=…")
@pytest.mark.parametrize("key", [[], ["id"]], ids=["append-only", "with a key"])
def test_a_replicated_table_of_a_cluster_is_made_and_filled(buffer, target, orders, query, key):
    engine = "ReplicatedReplacingMergeTree" if key else "ReplicatedMergeTree"
    path = "('/otel_duckdb_test/{uuid}', '{replica}'" + (", _sync_version, _sync_deleted)" if key else ")")
    options = {
        field: getattr(target, field) for field in ("host", "port", "secure", "username", "password", "database")
    }
    settings = {"insert_quorum": "auto", "select_sequential_consistency": 1}
    table = Table(name="orders", key=key, engine=engine + path)
    with Sync(buffer, [table], Target(**options, cluster=CLUSTER, settings=settings)) as one:
        assert one.run_once()[0].error is None
        assert query("SELECT count() FROM {}.orders") == [(1000,)]
        assert one.run_once()[0].rows == 0


@pytest.mark.skipif(not FEW_RIGHTS, reason="needs a user with few rights: make test-clickhouse … FEW_RIGHTS_USERNAME=…")
def test_a_user_who_may_only_select_and_insert_fills_a_table_that_is_there(buffer, target, orders, query):
    database = "otel_duckdb_few_rights"
    owner = {field: getattr(target, field) for field in ("host", "port", "secure", "username", "password")}
    with duckdb.connect() as copy:  # the owner makes the table
        copy.execute("CREATE TABLE orders (id BIGINT, v VARCHAR)")
        with Sync(copy, ["orders"], Target(**owner, database=database)) as one:
            assert one.run_once()[0].error is None
    login = {"username": FEW_RIGHTS, "password": os.environ["OTEL_DUCKDB_TEST_FEW_RIGHTS_PASSWORD"] or None}
    with Sync(buffer, ["orders"], Target(**{**owner, **login}, database=database)) as one:
        assert one.run_once()[0].error is None
    query(f"DROP TABLE {database}.orders SYNC")
