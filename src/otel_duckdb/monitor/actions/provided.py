"""Actions whose work another part does, such as to sync at once: that part hands over the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.monitor.actions.action import Target


class Provided:
    """An action that calls a function with the label of the database."""

    measures: tuple[str, ...] = ()

    def __init__(self, name: str, meaning: str, do: Callable[[str], str]) -> None:
        """`do` does it, and returns one sentence on what was done."""
        self.name = name
        self.meaning = meaning
        self._do = do

    def plan(self, target: Target) -> str:
        """Say that it would be called."""
        del target
        return self.meaning

    def run(self, target: Target) -> str:
        """Call the function."""
        return self._do(target.database.name)
