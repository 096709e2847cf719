"""A fault of the pipeline neither slows nor breaks the program, and what the queue promised to keep arrives once."""

from __future__ import annotations

import os
import time

from clickhouse_standin import Fault, Kind
from stack import eventually

OUTAGE = float(os.environ.get("STACK_OUTAGE_SECONDS", "6"))
"""Seconds: longer than several export intervals, scrapes and retries of this pipeline; a soak takes a minute."""
SLOWEST_CALL = 5.0
"""Seconds a call may take on a machine that does many things at once; one that waited for an exporter takes ten."""


def arrivals(clickhouse, trace_ids: list[str]) -> list[tuple[str, int]]:
    """How often the root span of each trace is in ClickHouse."""
    query = """
        SELECT TraceId, count() FROM otel_traces
        WHERE SpanName = 'GET /price' AND has({ids:Array(String)}, TraceId) GROUP BY TraceId"""
    return clickhouse.query(query, {"ids": trace_ids}).result_rows


def wait_for_all_once(clickhouse, trace_ids: list[str]) -> None:
    rows = eventually(lambda: arrivals(clickhouse, trace_ids), lambda rows: len(rows) >= len(trace_ids))
    assert {count for _, count in rows} == {1}


def queued(stack) -> float:
    return stack.prometheus_probe.value('otelcol_exporter_queue_size{exporter="clickhouse",data_type="traces"}') or 0.0


def test_while_clickhouse_refuses_the_queue_keeps_everything_and_delivers_it_once(stack, start_service, clickhouse):
    service = start_service("refused")
    with stack.clickhouse.refusing():
        service.do("start_load")
        time.sleep(OUTAGE)  # the length of the outage
        result = service.do("stop_load")
        eventually(lambda: queued(stack) > 0)
    assert result["slowest"] < SLOWEST_CALL
    assert service.stop() == 0
    wait_for_all_once(clickhouse, result["trace_ids"])
    eventually(lambda: stack.jaeger_probe.spans(result["trace_ids"][-1]), lambda seen: len(seen) == 2)


def test_what_is_queued_outlives_a_restart_of_the_collector(stack, start_service, clickhouse):
    service = start_service("restarted")
    with stack.clickhouse.refusing():
        trace_ids = service.do("requests", count=50)["trace_ids"]
        assert service.stop() == 0
        eventually(lambda: queued(stack) > 0)
        stack.collector.stop()
    stack.collector.start()
    stack.collector.wait_until_ready()
    wait_for_all_once(clickhouse, trace_ids)


def test_while_the_collector_is_away_the_program_runs_on_and_is_seen_again_after(stack, start_service, clickhouse):
    service = start_service("alone")
    service.do("start_load")
    stack.collector.kill()
    time.sleep(OUTAGE)  # the length of the outage
    stack.collector.start()
    stack.collector.wait_until_ready()
    result = service.do("stop_load")
    after = service.do("requests", count=20)["trace_ids"]
    assert result["slowest"] < SLOWEST_CALL
    assert service.stop() == 0
    assert "Traceback" not in service.log()
    wait_for_all_once(clickhouse, after)


def test_inserts_that_fail_in_clickhouse_are_repeated_until_they_succeed(stack, start_service, clickhouse):
    service = start_service("repeated")
    with stack.clickhouse.fault(Fault(Kind.ERROR, "INSERT INTO .*otel_traces", times=3, code=252)):
        trace_ids = service.do("requests", count=50)["trace_ids"]
        eventually(stack.clickhouse.faults, lambda faults: faults[0]["met"] == 3)
    wait_for_all_once(clickhouse, trace_ids)
    assert service.stop() == 0


def test_a_batch_whose_answer_was_lost_is_kept_once_where_the_table_knows_its_last_batches(
    stack, start_service, clickhouse
):
    clickhouse.command("ALTER TABLE otel_traces MODIFY SETTING non_replicated_deduplication_window = 1000")
    service = start_service("answerless")
    with stack.clickhouse.fault(Fault(Kind.LOST_ANSWER, "INSERT INTO .*otel_traces", times=2)):
        trace_ids = service.do("requests", count=50)["trace_ids"]
        eventually(stack.clickhouse.faults, lambda faults: faults[0]["met"] == 2)
    assert service.stop() == 0
    wait_for_all_once(clickhouse, trace_ids)
