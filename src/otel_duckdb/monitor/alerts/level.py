"""The levels of an alert."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """How bad it is."""

    WARNING = 1
    CRITICAL = 2
    EMERGENCY = 3

    @property
    def word(self) -> str:
        """The level in lower case."""
        return self.name.lower()
