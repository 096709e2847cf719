"""The server: one thread that waits for all connections at once."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import sys
import time
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Final

from otel_duckdb.web.connection import Connection
from otel_duckdb.web.exchange import Limits, Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.web.exchange import Request
    from otel_duckdb.web.hosts import Hosts

_logger: Final = logging.getLogger(__name__)
_WAITING: Final = 64
"""Connections the system holds until they are accepted."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS: Final = 1.0
"""How long nothing is accepted after the system had no descriptor: it would be asked without end."""
_CROWDED_SECONDS: Final = 0.02
"""How long nothing is accepted after a connection took another's place, so that a crowd costs no processor."""
_ROUNDS: Final = 32
"""How often those that are ready are looked for before the complete requests are answered."""
# Unlike epoll, these keep nothing in the system that a forked child would share with its parent.
_Selector: Final = getattr(selectors, "PollSelector", selectors.SelectSelector)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on the first address of `host`; port 0 takes a free one.

    Raises:
        OSError: there is no such address here, or the port is taken.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":  # where it would let another program listen on the same port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_WAITING)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class Server:
    """Answers requests by a function, one after the other, in a thread of its own.

    What does not come from an allowed host, is too long or takes too long is refused before the function is asked.
    """

    def __init__(
        self, listener: socket.socket, answer: Callable[[Request], Response], hosts: Hosts, limits: Limits | None = None
    ) -> None:
        """Serve on `listener`, which the server closes in the end, once it is started."""
        self.port: int = listener.getsockname()[1]
        self._listener = listener
        self._answer = answer
        self._hosts = hosts
        self._limits = limits or Limits()
        self._selector: selectors.BaseSelector = _Selector()
        self._connections: dict[socket.socket, Connection] = {}
        self._waker, self._wakened = socket.socketpair()
        self._resting_until = 0.0
        self._stopping = False
        self._exhausted = False
        self._thread = Thread(target=self._serve, name="otel-duckdb http server", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        for readable in (self._listener, self._wakened):
            self._selector.register(readable, selectors.EVENT_READ)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """End, and free the port; what is being answered has `seconds` to come to its end."""
        self._stopping = True
        with contextlib.suppress(OSError):  # it has ended already
            self._waker.send(b"\0")
        self._thread.join(seconds)
        self._listener.close()

    def forget(self) -> None:
        """In a forked child: close what belongs to the parent, whose thread is not here."""
        self._close()

    def _close(self) -> None:
        for opened in (self._listener, self._waker, self._wakened, *tuple(self._connections)):
            opened.close()

    def _serve(self) -> None:
        try:
            while not self._stopping:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        # All who have asked by now are read before anyone is answered, so that they can share one answer.
        patience = self._patience()
        for _ in range(_ROUNDS):
            ready = self._selector.select(patience)
            if not ready:
                break
            for key, events in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif key.data is not None:
                    self._handle(key.data, events)
            patience = 0.0
        for connection in tuple(self._connections.values()):
            if connection.request is not None:
                self._advance(connection, partial(self._reply, connection))
        self._expire()

    def _patience(self) -> float | None:
        """Seconds until something is to be done though nothing comes; None for ever."""
        moments = [connection.deadline for connection in self._connections.values()]
        if self._resting_until:
            moments.append(self._resting_until)
        return max(min(moments) - time.monotonic(), 0) if moments else None

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._rest(_REST_SECONDS)
                if not self._exhausted:
                    self._exhausted = True
                    _logger.warning("port %s: no connection can be accepted (%s)", self.port, error.strerror)
            return
        if len(self._connections) >= self._limits.connections:
            self._drop(next(iter(self._connections.values())))
            self._rest(_CROWDED_SECONDS)
        connection = Connection(accepted, self._hosts, self._limits)
        self._connections[accepted] = connection
        self._selector.register(accepted, selectors.EVENT_READ, connection)

    def _rest(self, seconds: float) -> None:
        self._resting_until = time.monotonic() + seconds
        self._selector.unregister(self._listener)

    def _handle(self, connection: Connection, events: int) -> None:
        if connection.socket not in self._connections:
            return  # its place was taken a moment ago
        self._advance(connection, connection.write if events & selectors.EVENT_WRITE else connection.read)

    def _advance(self, connection: Connection, step: Callable[[], bool]) -> None:
        """Take a step, and wait for what comes next, or close: no step of one connection ends the server."""
        try:
            goes_on = step()
        except Exception:
            _logger.exception("port %s: a connection failed", self.port)
            goes_on = False
        if not goes_on:
            self._drop(connection)
            return
        events = selectors.EVENT_WRITE if connection.sending else selectors.EVENT_READ
        self._selector.modify(connection.socket, events, connection)

    def _reply(self, connection: Connection) -> bool:
        if connection.request is not None:
            connection.answer(self._respond(connection.request))
        return connection.write()

    def _expire(self) -> None:
        now = time.monotonic()
        if self._resting_until and now >= self._resting_until:
            self._resting_until = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)
        for connection in tuple(self._connections.values()):
            if now >= connection.deadline:
                self._advance(connection, connection.expired)

    def _drop(self, connection: Connection) -> None:
        self._selector.unregister(connection.socket)
        del self._connections[connection.socket]
        connection.close()

    def _respond(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except Exception:
            _logger.exception("port %s: a request could not be answered", self.port)
            return Response(500, b"It could not be answered; the program's log says why.\n")
