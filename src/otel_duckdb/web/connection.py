"""One connection to the server: reads one request, sends one answer, and waits for nobody."""

from __future__ import annotations

import socket
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11

from otel_duckdb.web.exchange import Request, Response

if TYPE_CHECKING:
    from otel_duckdb.web.exchange import Limits
    from otel_duckdb.web.hosts import Hosts

_PIECE: Final = 16_384
_LINGER_SECONDS: Final = 1.0
"""How long what comes after an early answer is read and dropped: to close at once could take the answer back."""
_ALWAYS: Final = (
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)


class Connection:
    """A connection that was accepted.

    Attributes:
        deadline: When it is closed if it is not done by then, by `time.monotonic`.
        request: The request once it is complete and allowed, until it is answered.
    """

    def __init__(self, accepted: socket.socket, hosts: Hosts, limits: Limits) -> None:
        accepted.setblocking(False)
        self.socket = accepted
        self.deadline = time.monotonic() + limits.request_seconds
        self.request: Request | None = None
        self._hosts = hosts
        self._limits = limits
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._head: h11.Request | None = None
        self._head_bytes = 0
        self._body = bytearray()
        self._out = memoryview(b"")
        self._answered = False
        self._lingering = False

    @property
    def sending(self) -> bool:
        """Whether there is something to send."""
        return bool(self._out)

    def read(self) -> bool:
        """Read what has come; False when the connection is over."""
        if self.request is not None:
            return True  # it waits for its answer, though the other side may have no more to say
        try:
            piece = self.socket.recv(_PIECE)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if piece and not self._answered:
            self._take(piece)
        return bool(piece)

    def expired(self) -> bool:
        """Its time is over: say so where a request was begun; False when the connection is over."""
        if self._answered or not self._head_bytes:
            return False
        self.answer(Response(HTTPStatus.REQUEST_TIMEOUT, b"The request was not complete in time.\n"))
        return self.write()

    def answer(self, response: Response) -> None:
        """Take what is to be sent; `write` sends it."""
        self._answered = True
        self._lingering = self.request is None
        self.request = None
        self.deadline = time.monotonic() + self._limits.response_seconds
        head = h11.Response(
            status_code=response.status,
            reason=HTTPStatus(response.status).phrase,
            headers=[*response.headers, *_ALWAYS, ("Content-Length", str(len(response.body)))],
        )
        pieces = [self._protocol.send(head) or b""]
        if self._head is None or self._head.method != b"HEAD":
            pieces.append(self._protocol.send(h11.Data(response.body)) or b"")
        self._out = memoryview(b"".join(pieces))

    def write(self) -> bool:
        """Send what can be sent; False when the connection is over."""
        try:
            while self._out:
                self._out = self._out[self.socket.send(self._out) :]
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not self._answered:
            return True
        if not self._lingering:
            return False
        return self._linger()

    def close(self) -> None:
        """Free the descriptor."""
        self.socket.close()

    def _linger(self) -> bool:
        try:
            self.socket.shutdown(socket.SHUT_WR)
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
                go_on = self._protocol.send(h11.InformationalResponse(status_code=100, headers=[]))
                self._out = memoryview(go_on or b"")
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
        elif not self._hosts.allow(headers.get("host")):
            self._refuse(
                HTTPStatus.MISDIRECTED_REQUEST,
                "This server is not asked by that name; OTEL_DUCKDB_ALLOWED_HOSTS names those it may be asked by.",
            )
        elif headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN, "A page of another site may not ask.")
        elif int(length) > self._limits.body_bytes:
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
        )

    def _too_large(self) -> None:
        self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"At most {self._limits.body_bytes} bytes are taken.")

    def _refuse(self, status: int, reason: str) -> None:
        self.answer(Response(status, f"{reason}\n".encode()))
