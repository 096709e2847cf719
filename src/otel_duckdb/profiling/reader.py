"""Reads the profile that a connection of DuckDB holds, on each line of DuckDB."""

from __future__ import annotations

import json
from typing import Any

from otel_duckdb.core.profile import COLLECTOR, Operator, Profile


def read_profile(text: str) -> Profile | None:
    """Read what `get_profiling_information()` returned; None where it holds no query's figures.

    Raises:
        ValueError: the text is not JSON.
    """
    found = json.loads(text)
    if "operator" in found:
        return _read_two(found)
    return _read_one(found) if "children" in found else None


def is_disabled(text: str) -> bool:
    """Whether `get_profiling_information()` says that profiling is off on the connection."""
    return len(text) < 100 and '"disabled"' in text  # noqa: PLR2004 - no profile is that short


def _read_one(found: dict[str, Any]) -> Profile | None:
    operators = _operators_one(found["children"])
    if not operators:
        return None
    if not found.get("latency"):
        return _partial(operators)
    return Profile(
        sql=str(found.get("query_name", "")),
        partial=False,
        operators=operators,
        cpu_seconds=found.get("cpu_time"),
        blocked_seconds=found.get("blocked_thread_time"),
        rows_scanned=found.get("cumulative_rows_scanned"),
        bytes_read=found.get("total_bytes_read"),
        bytes_written=found.get("total_bytes_written"),
        peak_memory=found.get("system_peak_buffer_memory"),
        peak_temporary=found.get("system_peak_temp_dir_size"),
        result_rows=found.get("rows_returned"),
    )


def _operators_one(found: list[dict[str, Any]]) -> tuple[Operator, ...]:
    return tuple(
        Operator(
            str(each.get("operator_type", "UNKNOWN")),
            each.get("operator_timing", 0.0),
            each.get("operator_cardinality", 0),
            each.get("operator_rows_scanned", 0),
            each.get("extra_info") or {},
            _operators_one(each.get("children", ())),
        )
        for each in found
    )


def _read_two(found: dict[str, Any]) -> Profile | None:
    operators = _operators_two(found["operator"])
    if not operators:
        return None
    query, system, files = found.get("query"), found.get("system", {}), found.get("io", {})
    if query is None:
        return _partial(operators)
    return Profile(
        sql=query.get("sql", ""),
        partial=False,
        operators=operators,
        cpu_seconds=query.get("cpu_time"),
        blocked_seconds=system.get("blocked_thread_time"),
        planning_seconds=_sum(found, "planner", "physical_planner"),
        optimizing_seconds=_sum(found, "optimizer"),
        rows_scanned=query.get("total_rows_scanned"),
        row_groups_scanned=query.get("total_row_groups_scanned"),
        bytes_read=files.get("total_bytes_read"),
        bytes_written=files.get("total_bytes_written"),
        peak_memory=system.get("peak_buffer_memory"),
        peak_temporary=system.get("peak_temp_dir_size"),
        result_rows=_result_rows(operators),
    )


def _operators_two(found: list[dict[str, Any]]) -> tuple[Operator, ...]:
    return tuple(
        Operator(
            str(each.get("type", "UNKNOWN")),
            each.get("timing", 0.0),
            each.get("intermediate_rows", 0),
            each.get("rows_scanned", 0),
            each.get("extra_info") or {},
            _operators_two(each.get("children", ())),
        )
        for each in found
    )


def _result_rows(operators: tuple[Operator, ...]) -> int | None:
    root = operators[0]
    if root.kind == COLLECTOR:
        return root.children[0].rows if root.children else None
    return root.rows


def _partial(operators: tuple[Operator, ...]) -> Profile:
    every = [operator for root in operators for operator in root.walk()]
    return Profile(
        sql="",
        partial=True,
        operators=operators,
        cpu_seconds=sum(operator.seconds for operator in every),
        rows_scanned=sum(operator.scanned for operator in every),
    )


def _sum(found: dict[str, Any], *groups: str) -> float | None:
    times = [found[group].get("total_time") for group in groups if group in found]
    known = [time for time in times if time is not None]
    return sum(known) if known else None
