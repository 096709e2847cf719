"""The server of the API: where it listens, and how it is announced."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_duckdb.installation import version
from otel_duckdb.monitor import page
from otel_duckdb.monitor.api.access import KEY_HEADER, Access
from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.monitor.api.routes import Routes
from otel_duckdb.monitor.discovery import Announced, Announcement
from otel_duckdb.text import printable
from otel_duckdb.web.exchange import Limits
from otel_duckdb.web.hosts import Hosts, is_loopback
from otel_duckdb.web.server import Server, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.web.exchange import Request, Response

DEFAULT_PORT: Final = 3001
_NEXT_PORTS: Final = 20
_LIMITS: Final = Limits(connections=64, body_bytes=65_536)
_logger: Final = logging.getLogger("otel_duckdb")


class ApiServer:
    """Serves what a monitor knows, until `stop`.

    Attributes:
        port: Where it listens.
    """

    def __init__(
        self,
        monitor: Watched,
        host: str = "127.0.0.1",
        port: int | None = None,
        key: str | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        """Listen on `host` and `port`; without a port on 3001, or on the next one that is free.

        Raises:
            OSError: the port is taken, or there is no such address here.
            ValueError: it would be reached from other machines, and there is no key.
        """
        if not is_loopback(host) and not key:
            raise ValueError(
                f"on {printable(host)} others reach the monitor; set OTEL_DUCKDB_MONITOR_API_KEY to the key that"
                f" they show in {KEY_HEADER}, or listen on 127.0.0.1"
            )
        token = secrets.token_urlsafe(32)
        self._access = Access(token, key)
        self._routes = Routes(monitor)
        self._report: Callable[[str, BaseException], None] = monitor.report
        listener = _listen(host, port)
        self._server = Server(listener, self._answer, Hosts(host, allowed_hosts), _LIMITS)
        self.port = self._server.port
        self._announced = self._announce(host, token)
        self._server.start()

    def stop(self) -> None:
        """Free the port."""
        if self._announced is not None:
            self._announced.withdraw()
        self._server.stop(2.0)

    def forget(self) -> None:
        """In a forked child: the port and the announcement are the parent's."""
        self._server.forget()

    def _announce(self, host: str, token: str) -> Announced | None:
        asked = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - it is compared
        program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
        try:
            return Announced(Announcement(os.getpid(), asked, self.port, token, version(), time.time(), program))
        except OSError as error:
            _logger.warning("otel_duckdb: `otel-duckdb status` will not find this monitor: %s", printable(error))
            return None

    def _answer(self, request: Request) -> Response:
        try:
            if request.path == "/healthz" and request.method in ("GET", "HEAD"):
                return answer({"status": "ok"})
            file = page.respond(request.path) if request.method in ("GET", "HEAD") else None
            if file is not None:  # nothing of the program stands in it, and a key is entered there
                return file
            self._access.check(request)
            return self._routes.answer(request)
        except RefusalError as refusal:
            return refusal.response()
        except Exception as error:
            self._report("api", error)
            return RefusalError(
                HTTPStatus.INTERNAL_SERVER_ERROR, "that failed; the program's log says where"
            ).response()


def _listen(host: str, port: int | None) -> socket.socket:
    if port is not None:
        return listen(host, port)
    for free in (*range(DEFAULT_PORT, DEFAULT_PORT + _NEXT_PORTS), 0):
        try:
            return listen(host, free)
        except OSError:
            if not free:
                raise
    raise AssertionError("port 0 is always tried")
