"""Answers of the API: JSON, and refusals that say why."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from otel_duckdb.text import encodable
from otel_duckdb.web.exchange import Response

JSON: Final = (("Content-Type", "application/json"),)


class RefusalError(Exception):
    """A request that is not answered, with its status and the reason."""

    def __init__(self, status: HTTPStatus, reason: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers

    def response(self) -> Response:
        """The answer that tells of it."""
        return Response(self.status, as_json({"error": self.reason}), (*self.headers, *JSON))


def answer(value: Any, status: HTTPStatus = HTTPStatus.OK, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return a value as JSON."""
    return Response(status, as_json(value), (*headers, *JSON))


def as_json(value: Any) -> bytes:
    """Write a value as JSON, in one line; what is no number is null."""
    return encodable(json.dumps(_finite(value), ensure_ascii=False, separators=(",", ":"), default=str)).encode()


def _finite(value: Any) -> Any:
    """JSON has no NaN: what is no number is null."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
