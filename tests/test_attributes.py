"""What the table of attributes promises is what is emitted."""

from __future__ import annotations

import contextlib

import duckdb
import pandas as pd

from otel_duckdb import contract
from otel_duckdb.contract.attributes import ATTRIBUTES

NAMES = {attribute.name: attribute for attribute in ATTRIBUTES}


def find(name):
    prefix = next((known for known in NAMES if known.endswith(".") and name.startswith(known)), name)
    return NAMES.get(prefix)


def test_every_attribute_is_described_once_and_no_other():
    assert len(NAMES) == len(ATTRIBUTES)
    spelt = {
        value
        for name, value in (vars(contract) | vars(contract.monitor)).items()
        if isinstance(value, str)
        and not name.startswith(("_", "EVENT_S", "EVENT_R", "EVENT_P", "SPAN_"))
        and value.startswith(
            ("db.query", "db.oper", "db.resp", "db.coll", "db.name", "db.sys", "code.", "duckdb.", "error.")
        )
    }
    assert spelt | {contract.EVENT_NAME} == {name.rstrip(".") for name in NAMES}


def program(parent):
    con = duckdb.connect()
    con.execute("create table t (i int)")
    con.executemany("insert into t values (?)", [[1], [2]])
    con.append("t", pd.DataFrame({"i": range(3000)}))
    for _ in range(25):
        con.execute("select count(*), sum(i) from t where i > ? /*route='x'*/", [1]).fetchall()
    cursor = con.execute("from t")
    while cursor.fetchone():
        pass
    for text in ("select i / 'x' from t", "rollback", "select error('x') from t"):
        with contextlib.suppress(duckdb.Error):
            con.execute(text).fetchall()
    del parent


def test_what_is_emitted_is_in_the_table_with_its_type(telemetry):
    telemetry.instrument(capture_parameters=True, profile="all", slow_threshold_ms=0)
    with telemetry.tracer().start_as_current_span("parent") as parent:
        program(parent)
    spans = telemetry.exporter.get_finished_spans()
    told = [span.attributes for span in spans]
    told += [event.attributes for span in spans for event in span.events if event.name != "exception"]
    told += [one.log_record.attributes for one in telemetry.log_exporter.get_finished_logs()]
    for name, value in (pair for attributes in told for pair in attributes.items()):
        described = find(name)
        assert described is not None, name
        assert type(value) is type(described.example), (name, value)
    seen = {find(name).name for attributes in told for name in attributes}
    since_2 = {contract.DUCKDB_AFFECTED_ROWS} if duckdb.__version__.startswith("1.") else set()
    profiled = {name for name in NAMES if name.startswith("duckdb.pro") or name == contract.DUCKDB_PLAN}
    rare = {name for name in NAMES if name.startswith(("duckdb.sync.", "duckdb.action.", "duckdb.audit."))} | {
        contract.EVENT_NAME,
        contract.DUCKDB_NO_TRANSACTION,
    }
    assert set(NAMES) - profiled - rare - since_2 <= seen
    if not duckdb.__version__.startswith("1.4"):
        assert {contract.DUCKDB_CPU_TIME, contract.DUCKDB_PLAN, contract.DUCKDB_ROWS_SCANNED} <= seen
