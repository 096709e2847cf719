"""One target table belongs to one source, and holds what that source knows to be stored; else it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_duckdb.sync.errors import SyncConfigError, TargetChangedError, TargetError, TargetUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_duckdb.sync.config import Table
    from otel_duckdb.sync.destination import Destination, Holding
    from otel_duckdb.sync.journal import Journal
    from otel_duckdb.sync.state import State


def refuse_other_states(states: Iterable[State], name: str, target: str) -> None:
    """Refuse a target that another table of this journal fills.

    Raises:
        SyncConfigError: there is one; the text names both, and says what to do.
    """
    for other in states:
        if other.begun_sending and other.target == target and other.name.lower() != name.lower():
            raise SyncConfigError(
                f"table {name!r} would fill the target {target!r}, which table {other.name!r} has filled so far "
                f"({other.acknowledged_rows} rows); if {other.name!r} was renamed, run `otel-duckdb sync --rename "
                f"{other.name}={name}`, else name another target"
            )


def refuse_change(state: State, options: Table, target: str) -> None:
    """Refuse another target, or another key, than a table's rows were sent with before.

    Raises:
        SyncConfigError: it has one.
    """
    key = tuple(options.key)
    if state.target != target or [name.lower() for name in state.key] != [name.lower() for name in key]:
        before = f"with the key ({', '.join(state.key)})" if state.key else "without a key"
        raise SyncConfigError(
            f"table {options.name!r} was synced to {state.target!r} {before} before; name them as before, or start "
            f"over with `otel-duckdb sync --reset {options.name}`"
        )


def check_holdings(state: State, options: Table, destination: Destination, journal: Journal) -> int:
    """See whether the target holds what this source knows to be stored, and no one else's rows; its highest batch.

    Raises:
        TargetChangedError: rows are missing, or there are other sources' rows.
        TargetUnavailableError: rows are missing in a replica, which may only be late.
        TargetError: it holds more of this source than the journal knows of.
    """
    holdings = destination.holdings()
    _refuse_others(holdings, state, options, destination, journal)
    mine = holdings.get(state.source)
    last = mine.last if mine else 0
    known = state.pending.sequence if state.pending else state.sequence
    if last > known:  # a table with a key would keep what the other copy changed, added and deleted since
        deleting = (" --delete-sent", ", which deletes what both copies sent") if state.keyed else ("", "")
        raise TargetError(
            f"table {state.name!r}: {destination.full} holds its batch {last}, but the journal ends at batch "
            f"{state.sequence}; this database is an older copy, and goes on only with "
            f"`otel-duckdb sync --reset {state.name}{deleting[0]}`{deleting[1]}"
        )
    if not state.keyed and not options.expires:
        refuse_missing(state, mine.rows if mine else 0, state.acknowledged_rows, destination)
    return max([one.last for one in holdings.values()], default=0)


def refuse_missing(state: State, found: int, expected: int, destination: Destination, *, stale: bool = False) -> None:
    """Refuse to go on where the target lacks rows that it acknowledged, or holds `stale` versions of some.

    Raises:
        TargetChangedError: it does.
        TargetUnavailableError: it does, and is a replica, which may only be late.
    """
    if found >= expected and not stale:
        return
    held = "older versions of rows than" if found >= expected else f"{found} of the {expected} rows that"
    what = (
        f"table {state.name!r}: {destination.full} holds {held} it acknowledged; was it emptied, made again, or "
        "restored from an older backup?"
    )
    if destination.replicated():
        raise TargetUnavailableError(f"{what} Or this replica is behind: the next pass asks again")
    raise TargetChangedError(
        f"{what} Bring them back, or send what the buffer holds anew with `otel-duckdb sync --reset {state.name}`; "
        "where rows leave the target by design, say `expires = true`"
    )


def _refuse_others(
    holdings: dict[int, Holding], state: State, options: Table, destination: Destination, journal: Journal
) -> None:
    own = {0, state.source, *state.earlier}  # 0: rows that no sync sent
    others = [source for source in holdings if source not in own]
    if not others or options.shared:
        return
    names = {one.source: one.name for one in journal.states()}
    source = others[0]
    whose = f"table {names[source]!r}" if source in names else f"another buffer's table (source {source:016x})"
    raise TargetChangedError(
        f"table {state.name!r} (source {state.source:016x}): its target {destination.full} also holds "
        f"{holdings[source].rows} rows of {whose}; name another target"
        + ("" if state.keyed else ", or say `shared = true` if several buffers are to fill it")
    )
