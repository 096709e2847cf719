"""Keeps the number of a label's distinct values bounded."""

from __future__ import annotations

from otel_duckdb import contract


class CardinalityLimit:
    """Passes the first `limit` distinct values through, and `_other` for every later one."""

    __slots__ = ("_limit", "_seen")

    def __init__(self, limit: int = contract.TABLE_NAME_LIMIT) -> None:
        self._limit = limit
        self._seen: dict[str, str] = {}

    def __call__(self, value: str) -> str:
        """Return `value`, or `_other` if it is new and the limit is reached."""
        known = self._seen.get(value)
        if known is not None:
            return known
        if len(self._seen) >= self._limit:
            return contract.OTHER
        return self._seen.setdefault(value, value)
