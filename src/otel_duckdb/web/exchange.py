"""A request as the server hands it over, and the answer to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

PLAIN: Final = (("Content-Type", "text/plain; charset=utf-8"),)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives to all who ask it, and to one of them.

    Attributes:
        connections: Connections at a time; one more closes the one that is open for the longest time.
        request_seconds: From the connection to the last byte of its request.
        response_seconds: From the request's end to the last byte of its answer.
        head_bytes: The request line and the headers together.
        path_characters: The path with its query.
        body_bytes: The body of a request as it is sent, compressed or not.
    """

    connections: int = 16
    request_seconds: float = 10.0
    response_seconds: float = 30.0
    head_bytes: int = 16_384
    path_characters: int = 2_048
    body_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is complete.

    Attributes:
        method: `GET`, `POST`, as it was sent.
        path: The path without the query.
        query: What stands behind the first `?` of the address, as it was sent.
        headers: The headers by their names in lower case; of those sent twice the last.
        body: The body as it was sent.
        arrived_at: When its last byte was read, by `time.perf_counter`.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float
    query: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; its length, and that the connection is closed after it, are added."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = PLAIN
