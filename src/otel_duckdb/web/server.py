"""The server: one thread that waits for all connections at once."""

from __future__ import annotations

import contextlib
import errno
import logging
import selectors
import socket
import sys
import time
from collections import Counter, deque
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Final

from otel_duckdb.web.connection import Connection
from otel_duckdb.web.exchange import Limits, Refusal, Response, Slow, Stream
from otel_duckdb.web.origins import Origins
from otel_duckdb.web.slow import SlowAnswers

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.web.connection import Channel
    from otel_duckdb.web.exchange import Request
    from otel_duckdb.web.hosts import Hosts
    from otel_duckdb.web.tls import Certificates

    Answer = Callable[[Request], Response | Slow | Stream]

_logger: Final = logging.getLogger(__name__)
_WAITING: Final = 64
"""Connections the system holds until they are accepted."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS: Final = 1.0
"""How long nothing is accepted after the system had no descriptor: it would be asked without end."""
_CROWDED_SECONDS: Final = 0.02
"""How long nothing is accepted after a connection took another's place, so that a crowd costs no processor."""
_END_SECONDS: Final = 2.0
"""How long the end waits for answers that are being made or sent: a reader that stopped reading must not hold it up."""
_ROUNDS: Final = 32
"""How often those that are ready are looked for before the complete requests are answered."""
_HEARTBEAT: Final = b":\n\n"
"""A comment, as streams of events have it."""
_BROADCASTS: Final = 256
"""Pieces for the streams that wait for the server's thread; older ones are dropped."""
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

    What does not come from an allowed host, is too long or takes too long is refused before the function is asked. An
    answer that is `Slow` is made in another thread, and a `Stream` goes on with what is broadcast; neither keeps
    others waiting.

    Attributes:
        port: Where it listens.
        hosts: The names it may be asked by.
        origins: The sites whose pages may ask.
        limits: What it gives to those who ask.
        refuse: Makes the answer that tells of a refusal.
        streams: How many streams are open.
    """

    def __init__(
        self,
        listener: socket.socket,
        answer: Answer,
        hosts: Hosts,
        limits: Limits | None = None,
        *,
        origins: Origins | None = None,
        refuse: Callable[[Refusal], Response] = Refusal.as_text,
        certificates: Certificates | None = None,
    ) -> None:
        """Serve on `listener`, which the server closes in the end, once it is started."""
        self.port: int = listener.getsockname()[1]
        self.hosts = hosts
        self.origins = origins or Origins()
        self.limits = limits or Limits()
        self.refuse = refuse
        self.streams = 0
        self._listener = listener
        self._answer = answer
        self._certificates = certificates
        self._selector: selectors.BaseSelector = _Selector()
        self._connections: dict[Channel, Connection] = {}
        self._waker, self._wakened = socket.socketpair()
        self._waker.setblocking(False)
        self._wakened.setblocking(False)
        self._slow = SlowAnswers(self.limits.slow_answers, self.limits.slow_waiting, self._wake)
        self._pieces: deque[bytes] = deque(maxlen=_BROADCASTS)
        self._beat_at = 0.0
        self._resting_until = 0.0
        self._ends_at: float | None = None
        self._exhausted = False
        self._thread = Thread(target=self._serve, name="otel-duckdb http server", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        for readable in (self._listener, self._wakened):
            self._selector.register(readable, selectors.EVENT_READ)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """End, and free the port; what is being answered has 2 s to come to its end, or less: `seconds`."""
        if self._ends_at is None:
            self._ends_at = time.monotonic() + min(seconds, _END_SECONDS)
        self._wake()
        self._thread.join(seconds)
        self._listener.close()

    def broadcast(self, piece: bytes) -> None:
        """Send a piece on every stream; from any thread, and without waiting for a reader."""
        if self.streams:
            self._pieces.append(piece)
            self._wake()

    def streams_of(self, client: str) -> int:
        """How many streams of a client are open; asked in the server's thread, by the function that answers."""
        return sum(one.streaming and one.client == client for one in self._connections.values()) if self.streams else 0

    def forget(self) -> None:
        """In a forked child: close what belongs to the parent, whose thread is not here."""
        self._close()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # it has ended already, or is awake
            self._waker.send(b"\0")

    def _close(self) -> None:
        for opened in (self._listener, self._waker, self._wakened, *tuple(self._connections)):
            opened.close()

    def _serve(self) -> None:
        try:
            while self._goes_on():
                self._turn()
        finally:
            for connection in tuple(self._connections.values()):
                if connection.streaming:
                    self._advance(connection, connection.expired)  # its reader sees a whole answer
            self._close()

    def _goes_on(self) -> bool:
        """Whether to take another turn: until the end, and then while an answer is being made or sent."""
        if self._ends_at is None:
            return True
        if time.monotonic() >= self._ends_at:
            return False
        return any(
            one.waiting or (one.interest & selectors.EVENT_WRITE and not one.streaming)
            for one in self._connections.values()
        )

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
                elif key.fileobj is self._wakened:
                    self._awake()
                else:
                    self._handle(key.data, events)
            patience = 0.0
        for connection, response in self._slow.taken():
            if connection.waiting and connection.channel in self._connections:
                self._advance(connection, partial(self._send, connection, response))
        for connection in tuple(self._connections.values()):
            if connection.request is not None and not connection.waiting:
                self._advance(connection, partial(self._reply, connection))
        self._broadcast()
        self._expire()

    def _patience(self) -> float | None:
        """Seconds until something is to be done though nothing comes; None for ever."""
        moments = [connection.deadline for connection in self._connections.values()]
        if self._resting_until:
            moments.append(self._resting_until)
        if self.streams:
            moments.append(self._beat_at)
        if self._ends_at is not None:
            moments.append(self._ends_at)
        return max(min(moments) - time.monotonic(), 0) if moments else None

    def _awake(self) -> None:
        with contextlib.suppress(OSError):
            while self._wakened.recv(4096):
                pass

    def _accept(self) -> None:
        try:
            accepted, address = self._listener.accept()
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._rest(_REST_SECONDS)
                if not self._exhausted:
                    self._exhausted = True
                    _logger.warning("port %s: no connection can be accepted (%s)", self.port, error.strerror)
            return
        if len(self._connections) >= self.limits.connections:
            self._make_room()
            self._rest(_CROWDED_SECONDS)
        accepted.setblocking(False)
        try:
            channel: Channel = accepted if self._certificates is None else self._certificates.wrap(accepted)
        except OSError:
            accepted.close()  # it is gone already
            return
        connection = Connection(channel, str(address[0]), self)
        self._connections[channel] = connection
        self._selector.register(channel, selectors.EVENT_READ, connection)

    def _make_room(self) -> None:
        """Close the oldest connection of the client that holds the most; none that is a stream or being answered."""
        held = [one for one in self._connections.values() if not one.waiting and not one.streaming]
        counts = Counter(one.peer for one in held)
        if held:
            self._drop(max(held, key=lambda one: counts[one.peer]))  # of those that are equal the first, the oldest

    def _rest(self, seconds: float) -> None:
        self._resting_until = time.monotonic() + seconds
        self._selector.unregister(self._listener)

    def _handle(self, connection: Connection, events: int) -> None:
        if events & selectors.EVENT_WRITE and connection.channel in self._connections:
            self._advance(connection, connection.write)
        # Its place may have been taken a moment ago.
        if events & ~selectors.EVENT_WRITE and connection.channel in self._connections:
            self._advance(connection, connection.read)

    def _advance(self, connection: Connection, step: Callable[[], bool]) -> None:
        """Take a step, and wait for what comes next, or close: no step of one connection ends the server."""
        before, streamed = connection.interest, connection.streaming
        try:
            goes_on = step()
        except Exception:
            _logger.exception("port %s: a connection failed", self.port)
            goes_on = False
        self.streams += connection.streaming - streamed
        if not goes_on:
            self._drop(connection, before)
            return
        self._watch(connection, before)

    def _watch(self, connection: Connection, before: int) -> None:
        interest = connection.interest
        if not before:
            if interest:
                self._selector.register(connection.channel, interest, connection)
        elif interest:
            self._selector.modify(connection.channel, interest, connection)
        else:
            self._selector.unregister(connection.channel)

    def _reply(self, connection: Connection) -> bool:
        if connection.request is None:
            return connection.write()
        answer = self._respond(connection.request)
        if isinstance(answer, Slow):
            if self._slow.begin(connection, answer):
                connection.wait()
                return True
            answer = self._busy(connection, "Too many answers are being made; ask again.")
        if isinstance(answer, Stream):
            if self.streams < self.limits.streams:
                if not self.streams:
                    self._beat_at = time.monotonic() + self.limits.heartbeat_seconds
                connection.begin_stream(answer)
                return connection.write()
            answer = self._busy(connection, f"At most {self.limits.streams} streams are open at a time.")
        return self._send(connection, answer)

    def _send(self, connection: Connection, response: Response) -> bool:
        connection.answer(response)
        return connection.write()

    def _busy(self, connection: Connection, reason: str) -> Response:
        path = "" if connection.request is None else connection.request.path
        refusal = self.refuse(Refusal(503, reason, connection.peer, path))
        return Response(refusal.status, refusal.body, (*refusal.headers, ("Retry-After", "5")))

    def _broadcast(self) -> None:
        pieces = []
        while self._pieces:
            pieces.append(self._pieces.popleft())
        if self.streams and time.monotonic() >= self._beat_at:
            self._beat_at = time.monotonic() + self.limits.heartbeat_seconds
            pieces.append(_HEARTBEAT)
        if pieces:
            together = b"".join(pieces)
            for connection in tuple(self._connections.values()):
                if connection.streaming:
                    self._advance(connection, partial(connection.push, together))

    def _expire(self) -> None:
        now = time.monotonic()
        if self._resting_until and now >= self._resting_until:
            self._resting_until = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ)
        for connection in tuple(self._connections.values()):
            if now >= connection.deadline:
                self._advance(connection, connection.expired)

    def _drop(self, connection: Connection, watched: int | None = None) -> None:
        if connection.interest if watched is None else watched:
            self._selector.unregister(connection.channel)
        if connection.streaming:
            connection.streaming = False
            self.streams -= 1
        del self._connections[connection.channel]
        connection.close()

    def _respond(self, request: Request) -> Response | Slow | Stream:
        try:
            return self._answer(request)
        except Exception:
            _logger.exception("port %s: a request could not be answered", self.port)
            return Response(500, b"It could not be answered; the program's log says why.\n")
