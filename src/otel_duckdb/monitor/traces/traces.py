"""Keeps traces of operations in the process: the recent ones, the slowest and those that failed."""

from __future__ import annotations

import itertools
import secrets
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.ended import TEXT_CHARACTERS, Ended
from otel_duckdb.monitor.part import Part
from otel_duckdb.monitor.traces.recorded import without_what_is_not_shown
from otel_duckdb.monitor.traces.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_duckdb.monitor.ended import EndedOperations
    from otel_duckdb.monitor.sample import Sample

_TEXT, _CONTEXT, _PARENT, _EXECUTE_NS, _FETCH_NS, _ERROR, _PROFILE = map(
    Ended._fields.index, ("text", "context", "parent", "execute_ns", "fetch_ns", "error", "profile")
)
_WAITING: Final = 2048
"""Operations inside others' traces that wait for the next sample; of more than that the latest are kept."""
_REMARKABLE: Final = 256
"""Slow ones, and failed ones, that wait apart, so that many others do not push them out."""
_LEAST_SLOW_NS: Final = 1_000_000
_SLOW_FOR_NS: Final = 86_400_000_000_000
"""A trace is among the slowest for a day."""
RECENT: Final = 200
SLOWEST: Final = 50
FAILED: Final = 50
SPANS: Final = 200
BYTES: Final = 4_000_000
SORTS: Final = {
    "start": lambda each: each.begun_ns,
    "duration": lambda each: each.ended_ns - each.begun_ns,
    "duckdb": lambda each: each.duckdb_ns,
}
"""What traces may be sorted by, from the largest down."""


class NoSuchTraceError(LookupError):
    """A trace that is not kept; it may have been once."""


class Traces(Part):
    """Keeps 200 recent traces, the 50 slowest of a day by their time inside DuckDB, and the last 50 that failed.

    An operation that the SDK of OpenTelemetry gave a trace is kept by its true identity; without one each operation is
    a trace by itself. Traces are made when they are asked for; at the next sample, where a span of the
    program or a profile would be held. Of one trace at most 200 spans
    are kept, of all about 4 MB.
    """

    component = "traces"

    def __init__(self, ended: EndedOperations) -> None:
        """Keep those of what `ended` hands over."""
        self._settled = ended.settled
        self._waiting: deque[tuple[Any, ...]] = deque(maxlen=_WAITING)
        self._alone: deque[tuple[Any, ...]] = deque(maxlen=RECENT)
        self._slow: deque[tuple[Any, ...]] = deque(maxlen=_REMARKABLE)
        self._failed: deque[tuple[Any, ...]] = deque(maxlen=_REMARKABLE)
        self._slow_ns = _LEAST_SLOW_NS
        self._taken = -1
        self._holds = self._open = False
        self._traces: dict[int, Trace] = {}
        self._prefix = secrets.randbits(64) << 64
        self._numbers = itertools.count(1)

    def take(self, batch: Sequence[tuple[Any, ...]], number: int) -> None:
        """Take in operations that have ended, in the order of the fields of `Ended`; traces are made of them later."""
        if number == self._taken:  # it was broken off; whoever reads traces misses a few of them
            return
        self._taken = number
        for each in batch:
            kept = each
            if each[_PARENT] is not None or each[_PROFILE] is not None or len(each[_TEXT]) > TEXT_CHARACTERS:
                kept, self._holds = without_what_is_not_shown(Ended(*each)), True
            if each[_ERROR] is not None:
                self._failed.append(kept)
            elif each[_EXECUTE_NS] + each[_FETCH_NS] > self._slow_ns:
                self._slow.append(kept)
                if len(self._slow) >= _REMARKABLE:
                    self._make(self._slow)  # which raises the bar
            else:
                (self._alone if each[_PARENT] is None else self._waiting).append(kept)

    @property
    def size(self) -> int:
        """About how many bytes the kept traces take."""
        with self._settled():
            self._take()
            return sum(each.size for each in self._traces.values())

    def sampled(self, sample: Sample) -> None:
        """Make traces of what was handed over since the last sample, where that holds more than figures."""
        del sample
        with self._settled():
            if self._holds:
                self._take()
            elif self._open:
                held = [each.settle() for each in self._traces.values()]
                self._open = any(held)

    def stop(self) -> None:
        """Make traces of the rest."""
        with self._settled():
            self._take()

    def as_json(
        self,
        min_ms: float | None = None,
        name: str | None = None,
        error: bool | None = None,
        limit: int = 50,
        sort: str = "start",
    ) -> list[dict[str, Any]]:
        """Return the traces that match, the newest first or the largest by `sort`.

        Raises:
            ValueError: there is no such sort key.
        """
        if sort not in SORTS:
            raise ValueError(f"sort is {sort!r}; allowed is {', '.join(SORTS)}")
        words = (name or "").lower()
        with self._settled():
            self._take()
            found = [
                each
                for each in self._traces.values()
                if each.ended_ns - each.begun_ns >= (min_ms or 0) * 1e6
                and (error is None or each.failed == error)
                and (not words or each.matches(words))
            ]
            found.sort(key=SORTS[sort], reverse=True)
            return [each.summary() for each in found[: max(0, limit)]]

    def trace(self, trace_id: str) -> dict[str, Any]:
        """Return one trace with its spans.

        Raises:
            NoSuchTraceError: it is not kept.
        """
        with self._settled():
            self._take()
            try:
                return self._traces[int(trace_id, 16)].as_json()
            except (KeyError, ValueError):
                raise NoSuchTraceError("that trace is not kept; it may have been pushed out by newer ones") from None

    def _take(self) -> None:
        """Make traces of all that waits and may be kept."""
        self._holds = False
        waiting = list(_emptied(self._waiting))
        self._make(self._choose(waiting) if len(waiting) > RECENT else waiting, self._alone, self._slow, self._failed)

    def _choose(self, waiting: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Of many that wait those of recent traces, of traces that are kept, and of those that are slow in all."""
        identities = list(map(_identity, waiting))
        totals: dict[int, int] = {}
        for identity, each in zip(identities, waiting, strict=True):
            totals[identity] = totals.get(identity, 0) + each[_EXECUTE_NS] + each[_FETCH_NS]
        wanted = {each for each, total in totals.items() if total > self._slow_ns or each in self._traces}
        wanted.update(map(_identity, (*self._slow, *self._failed)))
        wanted.discard(0)
        chosen, left = [], RECENT
        for identity, each in zip(reversed(identities), reversed(waiting), strict=True):
            if identity not in wanted:
                if not left:
                    continue
                left -= 1
                if identity:
                    wanted.add(identity)
            chosen.append(each)
        return chosen

    def _make(self, *lists: Iterable[tuple[Any, ...]]) -> None:
        """Put these into their traces, and drop the traces that are neither recent nor slow nor failed."""
        taken = [
            _in_its_trace(Ended(*each)) for one in lists for each in (_emptied(one) if isinstance(one, deque) else one)
        ]
        if not taken:
            return
        for found in sorted(taken, key=lambda each: each.began_unix_ns + each.lasted_ns):
            context = found.context
            identity = (context.trace_id if context is not None else 0) or self._prefix | next(self._numbers)
            trace = self._traces.get(identity)
            if trace is None:
                sampled = context is not None and context.trace_id != 0 and context.trace_flags.sampled
                trace = self._traces[identity] = Trace(identity, sampled, found.began_unix_ns)
            trace.add(found, SPANS)
        self._drop()

    def _drop(self) -> None:
        by_end = sorted(self._traces.values(), key=lambda each: each.ended_ns, reverse=True)
        since = time.time_ns() - _SLOW_FOR_NS
        slowest = sorted((each for each in by_end if each.ended_ns > since), key=SORTS["duckdb"], reverse=True)[
            :SLOWEST
        ]
        failed = [each for each in by_end if each.failed][:FAILED]
        self._slow_ns = max(slowest[-1].duckdb_ns, _LEAST_SLOW_NS) if len(slowest) == SLOWEST else _LEAST_SLOW_NS
        kept: dict[int, Trace] = {}
        left = BYTES
        self._open = False
        for trace in _by_turns(slowest, failed, by_end[:RECENT]):
            if trace.identity not in kept:
                holds = trace.settle()
                if trace.size <= left:  # one that is too large leaves its room to the others
                    left -= trace.size
                    kept[trace.identity] = trace
                    self._open |= holds
        self._traces = kept


def _identity(ended: tuple[Any, ...]) -> int:
    """The trace id of an operation, 0 where it is a trace of its own."""
    context, parent = ended[_CONTEXT], ended[_PARENT]
    identity = 0 if context is None else context.trace_id
    return identity or (0 if parent is None else parent.get_span_context().trace_id)


def _in_its_trace(found: Ended) -> Ended:
    """With its parent's context in the place of none: not every version of the API hands it on without an SDK."""
    if found.parent is None or (found.context is not None and found.context.is_valid):
        return found
    return found._replace(context=found.parent.get_span_context())


def _by_turns(*lists: list[Trace]) -> Iterable[Trace]:
    """The first of each list, then the second of each, and so on: where room ends, each has lost its last."""
    for row in itertools.zip_longest(*lists):
        yield from (each for each in row if each is not None)


def _emptied(waiting: deque[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    while waiting:
        try:
            yield waiting.popleft()
        except IndexError:  # another thread was quicker
            return
