"""The levels of an alert."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(IntEnum):
    """How bad it is."""

    WARNING = 1
    CRITICAL = 2
    EMERGENCY = 3

    @property
    def word(self) -> str:
        """The level in lower case."""
        return self.name.lower()


def count_by_level(levels: Iterable[Level]) -> dict[str, int]:
    """How many there are of each level, by its word; 0 where there is none."""
    counts = Counter(levels)
    return {level.word: counts[level] for level in Level}
