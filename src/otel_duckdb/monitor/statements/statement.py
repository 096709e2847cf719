"""What is kept of one statement shape."""

from __future__ import annotations

import time
from collections import Counter
from hashlib import blake2b
from itertools import compress
from operator import add
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.ended import TEXT_CHARACTERS
from otel_duckdb.monitor.statements.lately import STEP_SECONDS, Lately
from otel_duckdb.monitor.statements.plans import Plans
from otel_duckdb.monitor.statements.quantiles import in_buckets, quantile_below, together
from otel_duckdb.monitor.statements.trend import Trend
from otel_duckdb.monitor.times import iso
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_duckdb.core.profile import Profile

_CALLERS: Final = 20
_CALLERS_SHOWN: Final = 3


def _rows(fetched: int | None, changed: int | None) -> int:
    return (changed or 0) if fetched is None else fetched


class Statement:
    """The figures of one statement shape in one database."""

    def __init__(self, text: str, database: str, first_seen: float) -> None:
        self.text = encodable(text[:TEXT_CHARACTERS])
        self.database = database
        self.identity = blake2b(f"{database}\0{text}".encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()
        self.first_seen = self.last_seen = first_seen
        self.calls = self.errors = self.rows = 0
        self.execute_ns = self.fetch_ns = self.max_ns = 0
        self.spilled_bytes = self.peak_memory = self.profiled = self._peaks = 0
        self.cpu_seconds = 0.0
        self.slowest_trace = 0
        self._counts: Mapping[int, int] = {}
        self._taken = -1
        self._lately = Lately()
        self._callers: Counter[str] = Counter()
        self.plans = Plans()
        self.trend = Trend()

    @property
    def total_ns(self) -> int:
        """Nanoseconds inside DuckDB."""
        return self.execute_ns + self.fetch_ns

    @property
    def mean_peak_memory(self) -> float:
        """The mean over the profiled calls of the most bytes the buffer manager held meanwhile.

        It holds what statements beside it use, too: the mean tells who needs it from who was there by chance.
        """
        return self._peaks / self.profiled if self.profiled else 0.0

    def take(self, executions: Sequence[tuple[Any, ...]], number: int) -> Mapping[int, int]:
        """Take in those of a batch, in the order of the fields of `Ended`, and return their durations in buckets.

        A batch that was taken in before, by its number, is passed over.
        """
        if number == self._taken:
            return {}
        _, _, _, contexts, _, began, _, _, executes, fetches, fetched, changed, errors, callers, profiles = zip(
            *executions, strict=True
        )
        durations = list(map(add, executes, fetches))
        buckets = in_buckets(durations)
        calls = self.calls + len(durations)
        failed = len(durations) - errors.count(None)
        rows = self.rows + sum(map(_rows, fetched, changed))
        execute_ns, fetch_ns = self.execute_ns + sum(executes), self.fetch_ns + sum(fetches)
        counts = together(self._counts, buckets)
        # No call from here on to the last figure, so no signal's handler can come: all of them are added, or none.
        self.calls = calls
        self.errors += failed
        self.rows = rows
        self.execute_ns = execute_ns
        self.fetch_ns = fetch_ns
        self._counts = counts
        self._taken = number
        longest = max(durations)
        if longest >= self.max_ns:
            self.max_ns = longest
            context = contexts[durations.index(longest)]
            self.slowest_trace = 0 if context is None else context.trace_id
        self.last_seen = max(self.last_seen, max(began) / 1e9)
        self._lately.add(durations, began)
        self.trend.add(compress(zip(durations, began, strict=True), [error is None for error in errors]))
        for caller in filter(None, callers):
            place = encodable(f"{caller.path}:{caller.line}")
            if place in self._callers or len(self._callers) < _CALLERS:
                self._callers[place] += 1
        if profiles.count(None) < len(profiles):
            for profile, duration in zip(profiles, durations, strict=True):
                if profile is not None:
                    self._add_profile(profile, duration)
        return buckets

    def _add_profile(self, profile: Profile, duration: int) -> None:
        self.profiled += 1
        self.cpu_seconds += profile.cpu_seconds or 0.0
        self.spilled_bytes += profile.peak_temporary or 0
        self.peak_memory = max(self.peak_memory, profile.peak_memory or 0)
        self._peaks += profile.peak_memory or 0
        self.plans.add(profile, duration, self.last_seen)

    def absorb(self, other: Statement) -> None:
        """Add the figures of another statement, of which nothing else is kept."""
        self.calls += other.calls
        self.errors += other.errors
        self.rows += other.rows
        self.execute_ns += other.execute_ns
        self.fetch_ns += other.fetch_ns
        self.spilled_bytes += other.spilled_bytes
        self.profiled += other.profiled
        self.cpu_seconds += other.cpu_seconds
        self.peak_memory = max(self.peak_memory, other.peak_memory)
        self._peaks += other._peaks
        self.max_ns = max(self.max_ns, other.max_ns)
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self._counts = together(self._counts, other._counts)

    def as_json(self, all_ns: int) -> dict[str, Any]:
        """Return the figures as JSON has them; `all_ns` is the time of all statements together."""
        regression = self.plans.regression
        quantiles = {
            f"p{share * 100:g}_ms": quantile_below(self.max_ns, self._counts, share) / 1e6
            for share in (0.5, 0.95, 0.99)
        }
        return {
            "id": self.identity,
            "database": self.database,
            "text": self.text,
            "calls": self.calls,
            "errors": self.errors,
            "rows": self.rows,
            "total_ms": self.total_ns / 1e6,
            "mean_ms": self.total_ns / 1e6 / self.calls if self.calls else 0.0,
            **quantiles,
            "max_ms": self.max_ns / 1e6,
            "execute_ms": self.execute_ns / 1e6,
            "fetch_ms": self.fetch_ns / 1e6,
            "share": self.total_ns / all_ns if all_ns else 0.0,
            "lately_ms": self._lately.milliseconds(time.time()),
            "lately_step_seconds": STEP_SECONDS,
            "profiled_calls": self.profiled,
            "spilled_bytes": self.spilled_bytes,
            "peak_memory_bytes": self.peak_memory,
            "mean_peak_memory_bytes": self.mean_peak_memory,
            "cpu_ms": self.cpu_seconds * 1e3,
            "first_seen": iso(self.first_seen),
            "last_seen": iso(self.last_seen),
            "callers": [{"place": place, "calls": calls} for place, calls in self._callers.most_common(_CALLERS_SHOWN)],
            "slowest_trace_id": f"{self.slowest_trace:032x}" if self.slowest_trace else None,
            "plans": self.plans.as_json(),
            "plan_regression": regression,
        }
