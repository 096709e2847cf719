"""One connection to the server: reads one request, sends one answer or a stream, and waits for nobody."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus
from selectors import EVENT_READ, EVENT_WRITE
from typing import TYPE_CHECKING, Final, Protocol

import h11

from otel_duckdb.web.exchange import Refusal, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_duckdb.web.exchange import Limits, Response, Stream
    from otel_duckdb.web.hosts import Hosts
    from otel_duckdb.web.origins import Origins

_PIECE: Final = 16_384
_LINGER_SECONDS: Final = 1.0
"""How long what comes after an answer is read and dropped: to close at once could take the answer back."""
_STREAM_READS: Final = 4_096
"""What a stream's reader may send, who has nothing to say any more."""
_LONGEST_NUMBER: Final = 18
_ALWAYS: Final = (
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


class Channel(Protocol):
    """A socket that does not block, plain or under TLS."""

    def fileno(self) -> int: ...  # noqa: D102 - as a socket has it
    def recv(self, size: int, /) -> bytes: ...  # noqa: D102 - as a socket has it
    def send(self, piece: memoryview, /) -> int: ...  # noqa: D102 - as a socket has it
    def shutdown(self, how: int, /) -> None: ...  # noqa: D102 - as a socket has it
    def close(self) -> None: ...  # noqa: D102 - as a socket has it


class Policy(Protocol):
    """What a server's connections have in common."""

    @property
    def hosts(self) -> Hosts:
        """The names it may be asked by."""

    @property
    def origins(self) -> Origins:
        """The sites whose pages may ask."""

    @property
    def limits(self) -> Limits:
        """What each may take."""

    @property
    def refuse(self) -> Callable[[Refusal], Response]:
        """Make the answer that tells of a refusal."""


class Connection:
    """A connection that was accepted.

    Attributes:
        peer: The address at the other end.
        deadline: When it is closed if it is not done by then, by `time.monotonic`.
        request: The request once it is complete and allowed, until it is answered.
        waiting: Whether its answer is being made elsewhere.
        streaming: Whether its answer is a stream.
        client: Whose stream it is.
    """

    def __init__(self, channel: Channel, peer: str, policy: Policy) -> None:
        self.channel = channel
        self.peer = peer
        self.deadline = time.monotonic() + policy.limits.request_seconds
        self.request: Request | None = None
        self.waiting = self.streaming = False
        self.client = ""
        self._policy = policy
        self._limits = policy.limits
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=policy.limits.head_bytes)
        self._head: h11.Request | None = None
        self._head_bytes = self._ignored = 0
        self._body = bytearray()
        self._out = memoryview(b"")
        self._answered = False

    @property
    def interest(self) -> int:
        """What it waits for of its socket; 0 for nothing, which no selector takes."""
        if self.waiting:
            return 0  # that the other side has no more to say, or says too much, would be told without end
        if not self._out:
            return EVENT_READ
        return EVENT_READ | EVENT_WRITE if self.streaming else EVENT_WRITE

    def read(self) -> bool:
        """Read what has come; False when the connection is over."""
        while True:
            if self.request is not None:
                return True  # it waits for its answer, though the other side may have no more to say
            try:
                piece = self.channel.recv(_PIECE)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:
                return False
            if not piece:
                return False
            if not self._answered:
                self._take(piece)
            elif self.streaming:
                self._ignored += len(piece)
                if self._ignored > _STREAM_READS:
                    return False
            if not _pending(self.channel):
                return True

    def expired(self) -> bool:
        """Its time is over: say so where a request was begun; False when the connection is over."""
        if self.streaming:
            return self._end_stream()
        if self.waiting:
            self._refuse(HTTPStatus.GATEWAY_TIMEOUT, "The answer took too long to be made.")
        elif self._answered or not self._head_bytes:
            return False
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request was not complete in time.")
        return self.write()

    def wait(self) -> None:
        """Its answer is being made elsewhere."""
        self.waiting = True
        self.deadline = time.monotonic() + self._limits.slow_seconds

    def answer(self, response: Response) -> None:
        """Take what is to be sent; `write` sends it."""
        self._begin_answer(response.status, (*response.headers, ("Content-Length", str(len(response.body)))))
        if self._head is None or self._head.method != b"HEAD":
            self._send(h11.Data(response.body))
        self.deadline = time.monotonic() + self._limits.response_seconds

    def begin_stream(self, stream: Stream) -> None:
        """Send the beginning of a stream; `push` and `write` send what follows."""
        self._begin_answer(HTTPStatus.OK, stream.headers)
        self.streaming = True
        self.client = stream.client
        self._send(h11.Data(stream.begin))
        self.deadline = time.monotonic() + self._limits.stream_seconds

    def push(self, piece: bytes) -> bool:
        """Send a piece of the stream; False where its reader has left too much unread."""
        self._send(h11.Data(piece))
        return self.write() and len(self._out) <= self._limits.stream_bytes

    def write(self) -> bool:
        """Send what can be sent; False when the connection is over."""
        try:
            while self._out:
                self._out = self._out[self.channel.send(self._out) :]
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        return self._linger() if self._answered and not self.streaming else True

    def close(self) -> None:
        """Free the descriptor."""
        self.channel.close()

    def _begin_answer(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        self._answered = True
        self.request = None
        self.waiting = False
        self._out = memoryview(b"")
        given = {name.lower() for name, _ in headers}
        always = [(name, value) for name, value in _ALWAYS if name.lower() not in given]
        self._send(h11.Response(status_code=status, reason=HTTPStatus(status).phrase, headers=[*headers, *always]))

    def _send(self, event: h11.Event) -> None:
        piece = self._protocol.send(event) or b""
        self._out = memoryview(bytes(self._out) + piece) if self._out else memoryview(piece)

    def _end_stream(self) -> bool:
        self.streaming = False
        self._send(h11.EndOfMessage())
        self.deadline = time.monotonic() + _LINGER_SECONDS
        return self.write()

    def _linger(self) -> bool:
        try:
            self.channel.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        self.deadline = time.monotonic() + _LINGER_SECONDS
        return True

    def _take(self, piece: bytes) -> None:
        if self._head is None:
            self._head_bytes += len(piece)
        try:
            self._protocol.receive_data(piece)
            while self.request is None and not self._answered and self._next():
                pass
        except h11.RemoteProtocolError as error:
            status = error.error_status_hint
            self._refuse(status, f"{HTTPStatus(status).phrase}.")

    def _next(self) -> bool:
        """Handle what the pieces so far make up; False when more is needed."""
        event = self._protocol.next_event()
        if isinstance(event, h11.Request):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > self._limits.body_bytes:
                self._too_large()
        elif isinstance(event, h11.EndOfMessage):
            self._complete()
        else:
            if self._head is not None and self._protocol.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            return False
        return True

    def _begin(self, head: h11.Request) -> None:
        self._head = head
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        length = headers.get("content-length", "0")
        if self._head_bytes - len(self._protocol.trailing_data[0]) > self._limits.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are too long.")
        elif len(head.target) > self._limits.path_characters:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG, "The path is too long.")
        elif head.http_version not in (b"1.0", b"1.1"):
            self._refuse(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "This is another version of HTTP than 1.0 and 1.1.")
        elif not self._policy.hosts.allow(headers.get("host")):
            self._refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server is not asked by that name; OTEL_DUCKDB_ALLOWED_HOSTS names those it may be asked by.",
            )
        elif not self._policy.origins.allow(head.method.decode(), headers):
            self._refuse(HTTPStatus.FORBIDDEN, "A page of another site may not ask.")
        elif "transfer-encoding" in headers and ("content-length" in headers or head.http_version < b"1.1"):
            # A proxy before us may take the one for the body's end, and we the other.
            self._refuse(HTTPStatus.BAD_REQUEST, "Where the body ends is told in two ways.")
        elif len(length) > _LONGEST_NUMBER or int(length) > self._limits.body_bytes:
            self._too_large()

    def _complete(self) -> None:
        if self._head is None:
            return
        path, _, query = self._head.target.decode("latin-1").partition("?")
        self.request = Request(
            self._head.method.decode(),
            path,
            {name.decode(): value.decode("latin-1") for name, value in self._head.headers},
            bytes(self._body),
            time.perf_counter(),
            query,
            self.peer,
        )

    def _too_large(self) -> None:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {self._limits.body_bytes} bytes are taken.")

    def _refuse(self, status: int, reason: str) -> None:
        path = "" if self._head is None else self._head.target.decode("latin-1").partition("?")[0]
        self.answer(self._policy.refuse(Refusal(status, reason, self.peer, path)))


def _pending(channel: Channel) -> int:
    pending: Callable[[], int] | None = getattr(channel, "pending", None)
    return 0 if pending is None else pending()
