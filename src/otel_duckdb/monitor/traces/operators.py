"""A profile for the page: its figures, its operators with their thread time, and the plan as text; without literals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.core.profile import COLLECTOR
from otel_duckdb.profiling.plan import figures, tree
from otel_duckdb.profiling.plan_details import remark, scan_target
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

    from otel_duckdb.core.profile import Operator, Profile

_SHOWN: Final = 200
_PROFILE_BYTES: Final = 500
_OPERATOR_BYTES: Final = 600


def slim(profile: Profile) -> Profile:
    """The profile without the statement's text, which may be long and holds literals."""
    return replace(profile, sql="")


def size(profile: Profile) -> int:
    """About how many bytes a profile takes."""
    found = _PROFILE_BYTES
    for operator in _walk(profile):
        found += _OPERATOR_BYTES
        for remarks in operator.details.values():
            found += len(remarks) if isinstance(remarks, str) else sum(map(len, remarks))
    return found


def _walk(profile: Profile) -> list[Operator]:
    """All operators from the top down, however deep the plan is."""
    waiting, found = list(reversed(profile.operators)), []
    while waiting:
        operator = waiting.pop()
        found.append(operator)
        waiting += reversed(operator.children)
    return found


def figures_of(profile: Profile) -> dict[str, AttributeValue]:
    """The profile's totals, as the span's attributes spell them."""
    return figures(profile)


def operators(profile: Profile, database: str, text: str) -> list[dict[str, Any]]:
    """The operators from the top down, the hottest marked; `parent` is the `id` of the one that takes their rows.

    `milliseconds` is thread time, added up over all threads; `share` is that of all operators. Literals are hidden as
    in `text`. Behind 200 operators there are no more.
    """
    every = _walk(profile)
    total = sum(operator.seconds for operator in every)
    hottest = max(every, key=lambda each: each.seconds)
    found: list[dict[str, Any]] = []
    waiting: list[tuple[Operator, int | None]] = [(root, None) for root in reversed(profile.operators)]
    while waiting and len(found) < _SHOWN:
        operator, parent = waiting.pop()
        identity = parent
        if operator.kind != COLLECTOR:  # DuckDB's own rendering leaves it out
            identity = len(found)
            found.append(
                {
                    "id": identity,
                    "parent": parent,
                    "kind": operator.kind,
                    "milliseconds": operator.seconds * 1e3,
                    "share": operator.seconds / total if total else 0.0,
                    "rows": operator.rows,
                    "rows_scanned": operator.scanned,
                    "target": encodable(scan_target(operator, database, hide=True)),
                    "remark": encodable(remark(operator, text)),
                    "hottest": operator is hottest and operator.seconds > 0,
                }
            )
        waiting += [(child, identity) for child in reversed(operator.children)]
    return found


def plan(profile: Profile, database: str, text: str) -> str:
    """The plan as a tree of lines, as the span's event has it."""
    try:
        return encodable(tree(profile, database, text))
    except RecursionError:
        return ""
