"""What a request gives with its address or in its body, read and bounded."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from otel_duckdb.monitor.api.answers import RefusalError
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.web.exchange import Request

_MOST_VALUES: Final = 200
_MOST_SECONDS: Final = 1e12
_MOST_DIGITS: Final = 9


class Query:
    """What stands behind the `?` of an address."""

    def __init__(self, text: str) -> None:
        """Read it; what is not UTF-8 or too much is refused."""
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_VALUES, errors="strict")
        except ValueError:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"the query is not UTF-8, or has over {_MOST_VALUES} values"
            ) from None

    def texts(self, name: str) -> list[str]:
        """Every value of that name."""
        return self._values.get(name, [])

    def text(self, name: str) -> str | None:
        """The one value of that name, None without one."""
        values = self.texts(name)
        if len(values) > 1:
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"{name} is given {len(values)} times; once is right")
        return values[0] if values else None

    def number(self, name: str, unit: str = "seconds") -> float | None:
        """The number of that name, None without one."""
        text = self.text(name)
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not abs(found) < _MOST_SECONDS:  # NaN is not less, either
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"{name} is {printable(repr(text))}; allowed is a number of {unit}"
            )
        return found

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """The whole number of that name."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or not low <= int(text) <= high:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST,
                f"{name} is {printable(repr(text))}; allowed is a whole number from {low} to {high}",
            )
        return int(text)

    def flag(self, name: str) -> bool | None:
        """True or false under that name, None without one."""
        return {None: None, "true": True, "false": False}[self.word(name, "true", "false")]

    def word(self, name: str, *allowed: str) -> str | None:
        """One of the words that are allowed, None without one."""
        text = self.text(name)
        if text is not None and text not in allowed:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"{name} is {printable(repr(text))}; allowed is {' or '.join(allowed)}"
            )
        return text


class Body:
    """The JSON object of a request that acts."""

    def __init__(self, request: Request) -> None:
        """Read it; what is no JSON object is refused, and nothing is an empty one."""
        try:
            self.values: Any = json.loads(request.body or b"{}")
        except (ValueError, RecursionError):
            self.values = None
        if not isinstance(self.values, dict):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "the body is no JSON object")

    def text(self, name: str) -> str | None:
        """The text of that name, None without one."""
        found: str | None = self._given(name, str)
        return found

    def flag(self, name: str) -> bool:
        """Whether that name is true."""
        return bool(self._given(name, bool))

    def number(self, name: str) -> float | None:
        """The number of that name, None without one."""
        found: float | None = self._given(name, (int, float))
        if found is not None and not abs(found) < _MOST_SECONDS:
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"{name} is too large")
        return found

    def whole(self, name: str) -> int | None:
        """The whole number of that name, None without one."""
        found: int | None = self._given(name, int)
        return found

    def _given(self, name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
        value = self.values.get(name)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"{name} is {printable(repr(value))[:100]}, which is of another kind"
            )
        return value
