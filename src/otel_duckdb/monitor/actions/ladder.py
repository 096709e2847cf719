"""Which actions follow which alert, from the automatic clean-up to the one in an emergency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.actions.action import Outcome
from otel_duckdb.monitor.alerts.level import Level

if TYPE_CHECKING:
    from otel_duckdb.monitor.actions.action import Result
    from otel_duckdb.monitor.actions.runner import ActionRunner
    from otel_duckdb.monitor.alerts.alert import Alert

AUTOMATIC: Final = (
    "release_memory",
    "allocator_threads",
    "checkpoint",
    "remove_temporary_files",
    "rollback_aborted",
    "renew_connections",
)
"""The automatic clean-up: nothing of it is felt by the program."""
EMERGENCY: Final = (*AUTOMATIC, "raise_memory_limit", "empty_cache")
"""The emergency clean-up. To interrupt an operation is on no ladder: it is asked for by name."""
_BY_SUBJECT: Final[dict[str, tuple[str, ...]]] = {
    "memory": ("release_memory", "allocator_threads"),
    "out_of_memory": ("release_memory", "raise_memory_limit"),
    "disk": ("checkpoint", "remove_temporary_files"),
    "wal_growing": ("rollback_aborted", "checkpoint"),
    "query_latency": ("raise_memory_limit",),
    "transaction_failures": ("rollback_aborted",),
    "connections_failing": ("renew_connections",),
    "pool_timeouts": ("renew_connections",),
    "sync_failing": ("sync_now",),
    "sync_lag": ("sync_now",),
}
_IN_EMERGENCY: Final = {"memory": ("raise_memory_limit", "empty_cache")}


def steps(alert: Alert) -> tuple[str, ...]:
    """The actions that an alert of its level asks for: none for a warning, if it has a level above."""
    if alert.level < Level.CRITICAL and alert.rule.levels.keys() != {Level.WARNING}:
        return ()
    return steps_about(alert.rule.subject, emergency=alert.level is Level.EMERGENCY)


def steps_about(subject: str, *, emergency: bool) -> tuple[str, ...]:
    """The actions that an alert about a subject asks for."""
    usual = _BY_SUBJECT.get(subject, ())
    return (*usual, *_IN_EMERGENCY.get(subject, ())) if emergency else usual


def clean_up(
    runner: ActionRunner, *, by: str, emergency: bool = False, dry_run: bool = False, database: str | None = None
) -> list[Result]:
    """Climb the ladder: every step that is switched on; `dry_run` says of all steps what they would do."""
    results: list[Result] = []
    for name in EMERGENCY if emergency else AUTOMATIC:
        if dry_run or name in runner.allowed:
            results += runner.run(name, database, by=by, dry_run=dry_run)
    return results


def freed(results: list[Result]) -> int:
    """Bytes that the actions gave back, together."""
    return sum(result.freed for result in results if result.outcome is Outcome.DONE)
