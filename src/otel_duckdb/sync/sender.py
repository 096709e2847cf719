"""Sends one batch: retries what passes, and makes sure that the target holds each row once."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from otel_duckdb.sync import retry
from otel_duckdb.sync.errors import SyncError, TargetError, TargetUnavailableError
from otel_duckdb.sync.messages import cause
from otel_duckdb.sync.schema import BATCH_COLUMN, SOURCE_COLUMN
from otel_duckdb.text import printable

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from otel_duckdb.sync.config import Retry
    from otel_duckdb.sync.destination import Destination
    from otel_duckdb.sync.payload import Payload
    from otel_duckdb.sync.signals import SyncSpan, TableSignals
    from otel_duckdb.sync.state import State
    from otel_duckdb.sync.target import Clickhouse

T = TypeVar("T")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """What it takes to send: the client, the retries, the signals, the word that it is time to stop, and how to rest.

    `rest` waits for a number of seconds, or until it is time to stop, while others may work.
    """

    clickhouse: Clickhouse
    policy: Retry
    signals: TableSignals
    stopping: threading.Event
    rest: Callable[[float], None]

    def call(self, what: str, function: Callable[[], T], span: SyncSpan) -> T:
        """Ask the target something, with retries; a question that fails is a failed attempt to sync.

        Raises:
            TargetUnavailableError: the fault is of the passing kind, but outlasted the limits.
            TargetError: the fault would come again.
        """

        def ask() -> T:
            with self.signals.failing():
                return function()

        return self._call(what, ask, span)

    def _call(self, what: str, function: Callable[[], T], span: SyncSpan) -> T:
        def report(attempt: int, delay: float, error: BaseException) -> None:
            words = self._words(error)
            _logger.warning("%s: attempt %d in %.2f s, after: %s", printable(what), attempt, delay, words)
            span.retry(attempt, delay, error, words)
            self.clickhouse.close()

        try:
            return retry.call(function, self.policy, self.stopping, self.rest, report)
        except SyncError:
            raise
        except Exception as error:
            verdict = self._verdict(what, error)
            self.clickhouse.close()
            raise verdict from error

    def _words(self, error: BaseException) -> str:
        if self.clickhouse.aborted:
            return "it was broken off, for the sync was told to stop"
        return cause(error, self.clickhouse.seconds)

    def _verdict(self, what: str, error: BaseException) -> SyncError:
        if retry.transient(error) or self.clickhouse.aborted:
            return TargetUnavailableError(f"{what}: {self.clickhouse.name} does not take it: {self._words(error)}")
        return TargetError(f"{what}: {self.clickhouse.name} refuses it: {self._words(error)}")

    def insert(self, what: str, table: str, payload: Payload, token: str, span: SyncSpan) -> bool:
        """Insert a batch under a token; whether it went through at the first attempt."""
        attempts = 0

        def attempt() -> None:
            nonlocal attempts
            attempts += 1
            with self.signals.attempt():
                self.clickhouse.insert(table, payload, token)

        self._call(what, attempt, span)
        return attempts == 1


def token_of(state: State, sequence: int) -> str:
    """A deduplication token that no other batch, and no copy of this buffer, will ever have."""
    return f"{state.source:016x}-{sequence}-{secrets.token_hex(4)}"


def deliver(
    sender: Sender,
    destination: Destination,
    state: State,
    payload: Payload,
    *,
    span: SyncSpan,
    store: Callable[[State], None],
    sent_before: bool,
) -> State:
    """Bring the pending batch of `state` into the target once, and return the state then.

    A batch that may have been sent before is looked for first. It is sent again under its own token, so that an earlier
    insert that is still under way makes no second copy; then it is counted. A token can be remembered though its rows
    are not there, where a server without replication was killed between the two; then a new token, durable before its
    use by `store`, is safe, since the old one can bring nothing any more. It is remembered for each partition: where
    some of a batch's partitions arrived, they are deleted first. Replicas remember a token together with its rows: one
    that lacks some is behind, and is asked again later.

    Raises:
        TargetError: the target refuses, or holds another number of rows of this batch than were sent.
        TargetUnavailableError: the target does not answer within the limits.
    """
    pending = state.pending
    if pending is None:
        return state
    what = f"table {state.name!r}, batch {pending.sequence} ({pending.rows} rows)"

    def stored() -> int:
        return sender.call(what, lambda: destination.stored(state.source, pending.sequence), span)

    if sent_before and stored() == pending.rows:
        return state
    first = sender.insert(what, destination.name, payload, pending.token, span)
    if first and not sent_before:
        return state
    found = stored()
    if found < pending.rows:
        if sender.call(what, destination.replicated, span):
            raise TargetUnavailableError(
                f"{what}: the replica of {sender.clickhouse.name} that was asked holds {found} rows of it, and is "
                "behind those that took it; the next pass asks again"
            )
        if found:
            sender.call(what, lambda: destination.discard(state.source, pending.sequence), span)
        state = state.intend(replace(pending, token=token_of(state, pending.sequence)))
        store(state)
        sender.insert(what, destination.name, payload, state.pending.token if state.pending else "", span)
        found = stored()
    if found != pending.rows:
        raise TargetError(
            f"{what}: {sender.clickhouse.name} holds {found} rows of it; was the buffer copied and synced twice? "
            f"Compare the rows where {SOURCE_COLUMN} = {state.source} AND {BATCH_COLUMN} = {pending.sequence}"
        )
    return state
