"""Checks values that come from a file which another hand may have written: their types, and their ranges."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[str, Any], Any]

T = TypeVar("T")
_LARGEST: Final = 2**63 - 1
_LONGEST: Final = 100_000


def fields(document: Any, checks: Mapping[str, Check]) -> dict[str, Any]:
    """The values of a JSON object that has just these keys, each checked.

    Raises:
        ValueError: it has others, or one is not what it must be; the text names the key, and not the value.
    """
    if not isinstance(document, dict) or set(document) != set(checks):
        raise ValueError("it has other fields")
    return {name: check(name, document[name]) for name, check in checks.items()}


def whole(low: int = 0, high: int = _LARGEST) -> Check:
    """A whole number within bounds, both inclusive."""

    def check(name: str, value: Any) -> int:
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{name} is not a whole number from {low} to {high}")
        return value

    return check


def text(name: str, value: Any) -> str:
    """A text of a sensible length."""
    if type(value) is not str or len(value) > _LONGEST:
        raise ValueError(f"{name} is not a text")
    return value


def boolean(name: str, value: Any) -> bool:
    """A truth value."""
    if type(value) is not bool:
        raise ValueError(f"{name} is neither true nor false")
    return value


def matching(pattern: str) -> Check:
    """A text of a certain form."""

    def check(name: str, value: Any) -> str:
        if not re.fullmatch(pattern, text(name, value)):
            raise ValueError(f"{name} does not have its form")
        return str(value)

    return check


def moment(name: str, value: Any) -> str:
    """A moment as ISO 8601, with its offset from UTC."""
    try:
        if datetime.fromisoformat(text(name, value)).utcoffset() is not None:
            return str(value)
    except ValueError:
        pass
    raise ValueError(f"{name} is not a moment")


def optional(check: Check) -> Check:
    """None, or what another check accepts."""
    return lambda name, value: None if value is None else check(name, value)


def several(check: Check) -> Check:
    """A list, as a tuple."""

    def each(name: str, value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) > _LONGEST:
            raise ValueError(f"{name} is not a list")
        return tuple(check(name, item) for item in value)

    return each
