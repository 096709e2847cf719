"""Replaces attributes of DuckDB's classes and module, and puts the very same objects back."""

from __future__ import annotations

from typing import Any


class Patches:
    """The attributes that are replaced at the moment."""

    def __init__(self) -> None:
        self._saved: list[tuple[Any, str, Any, Any]] = []

    def replace(self, owner: Any, name: str, replacement: Any) -> None:
        """Put `replacement` where `owner` itself, not a base of it, defines `name`."""
        original = vars(owner)[name]
        setattr(owner, name, replacement)
        self._saved.append((owner, name, original, replacement))

    def restore(self) -> None:
        """Put every original back, unless somebody else has replaced our replacement since."""
        while self._saved:
            owner, name, original, replacement = self._saved.pop()
            if vars(owner).get(name) is replacement:
                setattr(owner, name, original)
