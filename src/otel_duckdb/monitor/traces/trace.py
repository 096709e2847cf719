"""One trace: the operations of one trace id, and the spans of the program that they were called in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.times import iso
from otel_duckdb.monitor.traces.operators import size
from otel_duckdb.monitor.traces.recorded import described
from otel_duckdb.text import encodable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

    from otel_duckdb.monitor.ended import Ended

_SPAN_BYTES: Final = 700
_NAME_CHARACTERS: Final = 255
_OUTSIDE: Final = 20
"""Spans of the program that are kept of one trace."""


class Outside:
    """A span of the program that operations were called in; it may not have ended yet."""

    __slots__ = ("_span", "end_ns", "identity", "name", "parent", "start_ns")

    def __init__(self, span: Span) -> None:
        self.identity = span.get_span_context().span_id
        self.name = encodable(str(getattr(span, "name", ""))[:_NAME_CHARACTERS])
        before = getattr(span, "parent", None)
        self.parent = getattr(before, "span_id", 0)
        self.start_ns: int | None = getattr(span, "start_time", None)
        self.end_ns: int | None = getattr(span, "end_time", None)
        # Held until it ends: its duration is known to nobody else, and it is gone as soon as it has ended.
        self._span = None if self.end_ns is not None or self.start_ns is None else span

    def settle(self) -> bool:
        """Take the moment of its end, if it has ended meanwhile; whether the span is still held."""
        if self._span is not None:
            self.end_ns = getattr(self._span, "end_time", None)
            if self.end_ns is not None:
                self._span = None
        return self._span is not None

    def as_json(self, began_ns: int) -> dict[str, Any]:
        """Return what JSON has of it; `duration_ms` is None where it has not ended, or nobody knows."""
        self.settle()
        start = began_ns if self.start_ns is None else self.start_ns
        known = self.end_ns is not None and self.start_ns is not None
        return {
            "span_id": f"{self.identity:016x}",
            "parent_id": f"{self.parent:016x}" if self.parent else None,
            "name": self.name,
            "kind": "program",
            "start": iso(start / 1e9),
            "offset_ms": (start - began_ns) / 1e6,
            "duration_ms": (self.end_ns - start) / 1e6 if known and self.end_ns is not None else None,
            "attributes": {},
            "events": [],
            "status": {"code": "UNSET", "message": ""},
        }


class Trace:
    """The kept operations of one trace.

    Attributes:
        identity: The trace id.
        sampled: Whether the SDK exports it, so that a backend has it.
        left_out: Operations past the limit, of which only the figures are kept.
        begun_ns: When its first operation began, in nanoseconds since 1970.
        ended_ns: When its last operation ended.
        duckdb_ns: Nanoseconds inside DuckDB of all its operations.
        size: About how many bytes it takes.
    """

    __slots__ = (
        "_error",
        "_outside",
        "_parents",
        "_settled",
        "_spans",
        "begun_ns",
        "count",
        "duckdb_ns",
        "ended_ns",
        "identity",
        "left_out",
        "sampled",
        "size",
    )

    def __init__(self, identity: int, sampled: bool, begun_ns: int) -> None:
        self.identity = identity
        self.sampled = sampled
        self.begun_ns = self.ended_ns = begun_ns
        self.duckdb_ns = self.count = self.left_out = self._settled = 0
        self.size = _SPAN_BYTES
        self._error = ""
        self._spans: list[Ended] = []
        self._parents: list[int] = []
        self._outside: dict[int, Outside] = {}

    @property
    def failed(self) -> bool:
        """Whether one of its operations failed."""
        return bool(self._error)

    def add(self, found: Ended, limit: int) -> None:
        """Add an operation; past `limit` it only counts."""
        self.count += 1
        self.begun_ns = min(self.begun_ns, found.began_unix_ns)
        self.ended_ns = max(self.ended_ns, found.began_unix_ns + found.lasted_ns)
        self.duckdb_ns += found.execute_ns + found.fetch_ns
        if found.error is not None and not self._error:
            self._error = found.error[0]
        if len(self._spans) < limit:
            self._spans.append(found)
        else:
            self.left_out += 1

    def settle(self) -> bool:
        """Let go of the spans that operations were called in, as far as they have ended, and take its measure.

        Returns:
            Whether a span of the program is still held.
        """
        for number in range(self._settled, len(self._spans)):
            found = self._spans[number]
            self._parents.append(self._called_in(found.parent))
            if found.parent is not None:
                self._spans[number] = found._replace(parent=None)
            self.size += _SPAN_BYTES + len(found.text) + (0 if found.profile is None else size(found.profile))
        self._settled = len(self._spans)
        held = [outside.settle() for outside in self._outside.values()]
        return any(held)

    def _called_in(self, parent: Span | None) -> int:
        """The identity of the span that an operation was called in, which is kept as far as it is known; 0 without."""
        context = None if parent is None else parent.get_span_context()
        if parent is None or context is None or context.trace_id != self.identity:
            return 0
        if context.span_id not in self._outside and len(self._outside) < _OUTSIDE:
            self._outside[context.span_id] = Outside(parent)
            self.size += _SPAN_BYTES
        return context.span_id

    def summary(self) -> dict[str, Any]:
        """Return what the list of traces tells of it."""
        named = [each for each in self._callers() if each.name]
        first = min(self._spans, key=lambda each: each.began_unix_ns)
        return {
            "trace_id": f"{self.identity:032x}",
            "name": named[0].name if named else first.attributes.span_name,
            "start": iso(self.begun_ns / 1e9),
            "duration_ms": (self.ended_ns - self.begun_ns) / 1e6,
            "duckdb_ms": self.duckdb_ns / 1e6,
            "error": self._error or None,
            "spans": self.count,
            "database": first.database,
            "sampled": self.sampled,
        }

    def matches(self, words: str) -> bool:
        """Whether a name or a statement of it has these words, in small letters."""
        if any(words in each.name.lower() for each in self._outside.values()):
            return True
        return any(words in f"{each.attributes.span_name} {each.text}".lower() for each in self._spans)

    def as_json(self) -> dict[str, Any]:
        """Return all that is kept of it: the program's spans first, then the operations in the order they began in."""
        outside = [each.as_json(self.begun_ns) for each in self._callers()]
        spans = [
            {"span_id": f"{identity:016x}", "parent_id": f"{parent:016x}" if parent else None}
            | described(found, self.begun_ns)
            for found, parent, identity in zip(self._spans, self._parents, self._identities(), strict=True)
        ]
        spans.sort(key=lambda each: each["offset_ms"])
        return {**self.summary(), "left_out": self.left_out, "spans": outside + spans}

    def _callers(self) -> list[Outside]:
        """The program's spans, the first to begin first; an operation may be called in another one, and is no such."""
        own = {each.context.span_id for each in self._spans if each.context is not None}
        found = [each for each in self._outside.values() if each.identity not in own]
        return sorted(found, key=lambda each: each.start_ns or 0)

    def _identities(self) -> Iterator[int]:
        """The identity of each operation's span; of one that has none of its own, a number within the trace."""
        seen: set[int] = set()
        for number, (each, parent) in enumerate(zip(self._spans, self._parents, strict=True), 1):
            identity = 0 if each.context is None else each.context.span_id
            # Without an SDK the span that DuckDB is called in stands in for that of the operation.
            yield number if not identity or identity == parent or identity in seen else identity
            seen.add(identity)
