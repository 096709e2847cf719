"""A request as the server hands it over, and the answers to it: at once, slow, or a stream without an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLAIN: Final = (("Content-Type", "text/plain; charset=utf-8"),)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives to all who ask it, and to one of them.

    Attributes:
        connections: Connections at a time; one more closes the oldest of the client that holds the most of them, but no
            stream, and none whose answer is being made.
        request_seconds: From the connection to the last byte of its request.
        response_seconds: From the request's end to the last byte of its answer.
        head_bytes: The request line and the headers together.
        path_characters: The path with its query.
        body_bytes: The body of a request as it is sent, compressed or not.
        slow_answers: Slow answers that are made at a time, each in a thread of its own.
        slow_waiting: Slow answers that wait for these.
        slow_seconds: How long a slow answer may take to be made.
        streams: Streams at a time.
        stream_bytes: What a stream's reader may leave unread before its stream is closed.
        stream_seconds: How long a stream lasts; its reader may ask again then.
        heartbeat_seconds: Between two signs of life on every stream.
    """

    connections: int = 16
    request_seconds: float = 10.0
    response_seconds: float = 30.0
    head_bytes: int = 16_384
    path_characters: int = 2_048
    body_bytes: int = 0
    slow_answers: int = 4
    slow_waiting: int = 24
    slow_seconds: float = 120.0
    streams: int = 0
    stream_bytes: int = 262_144
    stream_seconds: float = 3_600.0
    heartbeat_seconds: float = 15.0


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
        peer: The address at the other end of the connection.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    arrived_at: float
    query: str = ""
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; its length, and that the connection is closed after it, are added."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = PLAIN


@dataclass(frozen=True, slots=True)
class Slow:
    """An answer that may take long: it is made in a thread of its own, and hinders no other."""

    make: Callable[[], Response]


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end: its headers and its beginning; what `Server.broadcast` is given follows.

    `client` is whose it is, which `Server.streams_of` goes by.
    """

    begin: bytes
    headers: tuple[tuple[str, str], ...]
    client: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that the server refuses by itself, before anybody is asked for an answer.

    Attributes:
        status: The status of the answer.
        reason: One sentence.
        peer: The address at the other end of the connection.
        path: What was asked for, as far as it was read; whatever the stranger wrote.
    """

    status: int
    reason: str
    peer: str
    path: str = ""

    def as_text(self) -> Response:
        """The answer as text."""
        return Response(self.status, f"{self.reason}\n".encode())
