"""The levels of an alert."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(StrEnum):
    """How bad it is; equal to its word (`alert.level == "critical"`), and ordered by how bad it is."""

    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"

    @property
    def word(self) -> str:
        """The level in lower case."""
        return self.value

    @property
    def rank(self) -> int:
        """1 for a warning, 2 for what is critical, 3 for an emergency."""
        return _WORDS.index(self.value) + 1

    def __lt__(self, other: str) -> bool:
        return self.rank < Level(other).rank

    def __le__(self, other: str) -> bool:
        return self.rank <= Level(other).rank

    def __gt__(self, other: str) -> bool:
        return self.rank > Level(other).rank

    def __ge__(self, other: str) -> bool:
        return self.rank >= Level(other).rank


_WORDS = [level.value for level in Level]


def count_by_level(levels: Iterable[Level]) -> dict[str, int]:
    """How many there are of each level, by its word; 0 where there is none."""
    counts = Counter(levels)
    return {level.word: counts[level] for level in Level}
