"""Connections to a ClickHouse server that keep a deadline in whole, bound its answers, and can be broken off.

urllib3's timeouts are those of one read: a server that sends a byte now and then outlasts them for ever.
"""

from __future__ import annotations

import io
import socket
import threading
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from clickhouse_connect.driver.httputil import check_env_proxy, get_pool_manager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from otel_duckdb.telemetry.locks import make_reentrant_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

ANSWER_BYTES: Final = 64 * 1024 * 1024
"""The most that is read of one answer: what a sync asks for is a few numbers, or the settings of a server."""


class AnswerTooLargeError(OSError):
    """A target's answer is larger than anything a sync asks for."""


class AbortedError(OSError):
    """What was under way was broken off, because the sync was told to stop."""


class Transport:
    """The connections of one client: their common deadline, and the sockets that are open."""

    def __init__(self, host: str, port: int, *, secure: bool, seconds: float) -> None:
        """Give each call `seconds` in whole; a proxy that the environment names is used."""
        self._seconds = seconds
        self._until = monotonic() + seconds
        self._nested = False
        self.aborted = False
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._lock = make_reentrant_lock()
        proxy = check_env_proxy("https" if secure else "http", host, port)
        self.manager = get_pool_manager(https_proxy=proxy) if secure else get_pool_manager(http_proxy=proxy)
        # Whoever is sent elsewhere by an answer would send the rows there again, and without TLS if it says so.
        self.manager.urlopen = partial(self.manager.urlopen, redirect=False)
        self.manager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self),
        }

    @contextmanager
    def call(self) -> Iterator[None]:
        """Count the time from here on; a call within another shares its time."""
        if self._nested:
            yield
            return
        self._nested, self.aborted, self._until = True, False, monotonic() + self._seconds
        try:
            yield
        finally:
            self._nested = False

    def remaining(self) -> float:
        """The seconds left of the call.

        Raises:
            TimeoutError: there are none.
            AbortedError: it was broken off.
        """
        if self.aborted:
            raise AbortedError("broken off, for the sync was told to stop")
        left = self._until - monotonic()
        if left <= 0:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")
        return left

    def opened(self, one: socket.socket) -> None:
        """Remember a socket, to be broken off."""
        with self._lock:
            self._sockets.add(one)

    def abort(self) -> None:
        """Break off what is under way, from any thread."""
        self.aborted = True
        self.shut()

    def shut(self) -> None:
        """Shut all sockets, whatever they are at."""
        with self._lock:
            sockets = list(self._sockets)
        for one in sockets:
            with suppress(OSError):
                socket.socket.shutdown(one, socket.SHUT_RDWR)


def _pool(pool: Any, connection: Any, transport: Transport) -> Any:
    """A pool class whose connections keep the deadline of a transport."""

    class Connection(connection):  # type: ignore[misc]  # the base is a parameter
        sock: Any
        timeout: Any

        def _new_conn(self) -> socket.socket:
            raw: socket.socket = super()._new_conn()
            transport.opened(raw)
            return raw

        def connect(self) -> None:
            self.timeout = min(self.timeout or transport.remaining(), transport.remaining())
            breaking = threading.Timer(transport.remaining(), transport.shut)  # a handshake may drip, too
            breaking.daemon = True
            if issubclass(connection, HTTPSConnection):
                breaking.start()
            try:
                super().connect()
            finally:
                breaking.cancel()
            transport.opened(self.sock)
            self.sock = _Deadlined(self.sock, transport)

    class Pool(pool):  # type: ignore[misc]  # the base is a parameter
        ConnectionCls = Connection

    return Pool


class _Deadlined:
    """A socket, as http.client uses one, each of whose steps has what is left of the call's time."""

    def __init__(self, inner: socket.socket, transport: Transport) -> None:
        self._inner = inner
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def sendall(self, data: Any) -> None:
        self._inner.settimeout(self._transport.remaining())
        self._inner.sendall(data)

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError("only answers are read through a file")
        return io.BufferedReader(_Answer(self._inner, self._transport))


class _Answer(io.RawIOBase):
    """The bytes of one answer."""

    def __init__(self, inner: socket.socket, transport: Transport) -> None:
        self._inner = inner
        self._transport = transport
        self._read = 0
        self._held = inner.makefile("rb", buffering=0)  # so that closing the connection waits for this file, as usual

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._inner.settimeout(self._transport.remaining())
        count = self._inner.recv_into(buffer)
        self._read += count
        if self._read > ANSWER_BYTES:
            raise AnswerTooLargeError(f"an answer of more than {ANSWER_BYTES} bytes")
        return count

    def close(self) -> None:
        self._held.close()
        super().close()
