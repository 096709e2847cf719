"""Which operations are not recorded: those the user's patterns match, and those the user's function refuses."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from otel_duckdb.core.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.core.operation import Operation
    from otel_duckdb.settings import Settings

    OperationFilter = Callable[[Operation], object]

_REMEMBERED: Final = 1000
"""Texts whose answer is remembered."""


class ExcludedStatements(Listener):
    """Refuses operations whose SQL text one of the patterns matches."""

    component = "filter"

    def __init__(self, patterns: Sequence[str]) -> None:
        """Take regular expressions; each may match anywhere in a text, whatever its case."""
        found = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE | re.DOTALL).search
        self._is_excluded = lru_cache(_REMEMBERED)(lambda text: found(text) is not None)

    def accepts(self, operation: Operation) -> bool:
        """Whether no pattern matches."""
        return not self._is_excluded(operation.text)


class UserFilter(Listener):
    """Refuses the operations for which the user's function returns something false."""

    component = "filter"

    def __init__(self, operation_filter: OperationFilter) -> None:
        """Take `instrument(operation_filter=...)`; an operation for which it raises is recorded."""
        self._filter = operation_filter

    def accepts(self, operation: Operation) -> bool:
        """Whether the user's function says so."""
        return bool(self._filter(operation))


def filters(settings: Settings, operation_filter: OperationFilter | None) -> list[Listener]:
    """The filters that the settings and the user's function ask for; none costs nothing."""
    found: list[Listener] = []
    if settings.excluded_statements:
        found.append(ExcludedStatements(settings.excluded_statements))
    if operation_filter is not None:
        found.append(UserFilter(operation_filter))
    return found
