"""What stands in the place of what is not shown, and text cut to a length."""

from __future__ import annotations

from typing import Final

from otel_duckdb.text import encodable

HIDDEN: Final = "?"
"""What stands in the place of what is not shown."""


def bounded(text: str, limit: int) -> str:
    """The text, encodable, in at most `limit` characters; one that is cut ends with an ellipsis."""
    text = encodable(text[: limit + 1])
    if len(text) <= limit:
        return text
    return text[: limit - 1] + "…" if limit > 0 else ""
