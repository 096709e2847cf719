"""The server of the API: where it listens, how it is announced, and the way of each request through it."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_duckdb.installation import version
from otel_duckdb.monitor import page
from otel_duckdb.monitor.api.access import READING, Access
from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.monitor.api.auditing import Auditing
from otel_duckdb.monitor.api.clients import Clients
from otel_duckdb.monitor.api.cors import Cors
from otel_duckdb.monitor.api.live import Live
from otel_duckdb.monitor.api.openapi import description
from otel_duckdb.monitor.api.routes import Routes
from otel_duckdb.monitor.api.sessions import Sessions
from otel_duckdb.monitor.discovery import KEY_HEADER, Announced, Announcement
from otel_duckdb.text import printable
from otel_duckdb.web.exchange import Limits, Response, Slow, Stream
from otel_duckdb.web.hosts import Hosts, is_loopback
from otel_duckdb.web.origins import Origins
from otel_duckdb.web.server import Server, listen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.monitor.server_settings import ServerSettings
    from otel_duckdb.web.exchange import Refusal, Request
    from otel_duckdb.web.tls import Certificates

DEFAULT_PORT: Final = 3001
_NEXT_PORTS: Final = 20
_LIMITS: Final = Limits(connections=64, body_bytes=65_536, path_characters=8_192, streams=16)
_HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Frame-Options", "DENY"),
)
_logger: Final = logging.getLogger("otel_duckdb")


class ApiServer:
    """Serves what a monitor knows, until `stop`.

    Attributes:
        port: Where it listens.
        token: What lets its user act.
        address: Where a browser finds the page.
    """

    def __init__(self, monitor: Watched, settings: ServerSettings) -> None:
        """Listen where the settings say; without a port on 3001, or on the next one that is free.

        Raises:
            OSError: the port is taken, or there is no such address here.
            ValueError: it would be reached from other machines, and there is no key; or a certificate is none.
        """
        host, key = settings.host, settings.api_key
        if not is_loopback(host) and not key:
            raise ValueError(
                f"on {printable(host)} others reach the monitor; set OTEL_DUCKDB_MONITOR_API_KEY to the key that"
                f" they show in {KEY_HEADER}, or listen on 127.0.0.1"
            )
        certificates = _certificates(settings)
        listener = _listen(host, settings.port)
        self.port: int = listener.getsockname()[1]
        self.token = secrets.token_urlsafe(32)
        self._prefix = settings.path_prefix
        origins = Origins(settings.allowed_origins, links=True)
        sessions = Sessions(f"otel_duckdb_{self.port}", self._prefix or "/")
        clients = Clients(settings.trusted_proxies)
        self._access = Access(self.token, key, origins, clients, sessions, tls=certificates is not None)
        self._cors = Cors(origins, any_listed=bool(settings.allowed_origins))
        self._auditing = Auditing(monitor.audit, clients)
        self._report: Callable[[str, BaseException], None] = monitor.report
        self._server = Server(
            listener,
            self._answer,
            Hosts(host, settings.allowed_hosts),
            _LIMITS,
            origins=origins,
            refuse=self._refused,
            certificates=certificates,
        )
        self._access.streams_of = self._server.streams_of
        self._live = Live(monitor, self._server.broadcast)
        self._routes = Routes(monitor, self._live)
        asked = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host  # noqa: S104 - it is compared
        self._certificate = "" if settings.tls_certificate is None else str(Path(settings.tls_certificate).absolute())
        scheme = "https" if self._certificate else "http"
        self.address = f"{scheme}://{f'[{asked}]' if ':' in asked else asked}:{self.port}{self._prefix}/"
        self._announced = self._announce(asked)
        self._server.start()

    def stop(self) -> None:
        """Free the port."""
        if self._announced is not None:
            self._announced.withdraw()
        self._server.stop(2.0)

    def forget(self) -> None:
        """In a forked child: the port and the announcement are the parent's."""
        self._server.forget()

    def sampled(self) -> None:
        """A sample was taken: tell those who read the events."""
        if not self._server.streams:
            return
        try:
            self._live.sampled()
        except Exception as error:
            self._report("api", error)

    def _announce(self, asked: str) -> Announced | None:
        program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
        announcement = Announcement(
            os.getpid(), asked, self.port, self.token, version(), time.time(), program, self._certificate
        )
        try:
            return Announced(announcement)
        except OSError as error:
            _logger.warning("otel_duckdb: `otel-duckdb status` will not find this monitor: %s", printable(error))
            return None

    def _answer(self, request: Request) -> Response | Slow | Stream:
        found: Response | Slow | Stream
        try:
            found = self._find(request)
        except Exception as error:
            found = self._failed(request, error)
        if isinstance(found, Slow):
            make = found.make
            return Slow(lambda: self._completed(request, self._made(request, make)))
        if isinstance(found, Stream):
            client = self._access.clients.name(request)
            return replace(found, headers=self._headers(request, found), client=client)
        return self._completed(request, found)

    def _made(self, request: Request, make: Callable[[], Response]) -> Response:
        try:
            return make()
        except Exception as error:
            return self._failed(request, error)

    def _failed(self, request: Request, error: Exception) -> Response:
        """The answer where there is none: a refusal, or a fault of ours, of which not a word is told."""
        if isinstance(error, RefusalError):
            self._auditing.refused(request, error)
            return error.response()
        if isinstance(error, ValueError):
            return RefusalError(HTTPStatus.BAD_REQUEST, str(error)).response()
        self._report("api", error)
        return RefusalError(HTTPStatus.INTERNAL_SERVER_ERROR, "that failed; the program's log says where").response()

    def _completed(self, request: Request, found: Response) -> Response:
        return replace(found, headers=self._headers(request, found))

    def _headers(self, request: Request, found: Response | Stream) -> tuple[tuple[str, str], ...]:
        """The headers of an answer: its own, and of those that every answer has what it does not bring itself."""
        given = {name.lower() for name, _ in found.headers}
        always = (each for each in _HEADERS if each[0].lower() not in given)
        return (*found.headers, *always, *self._cors.headers(request))

    def _find(self, request: Request) -> Response | Slow | Stream:
        request, moved = self._without_prefix(request)
        if moved:
            return Response(HTTPStatus.PERMANENT_REDIRECT, b"", (("Location", f"{self._prefix}/"),))
        reads = request.method in READING
        found = (self._public(request.path) if reads else None) or self._of_access(request) or self._allowed(request)
        if request.method == "POST":
            self._auditing.acted(request)
        return found

    def _allowed(self, request: Request) -> Response | Slow | Stream:
        self._access.check(request)
        if request.method == "POST" and self._routes.allowed(request.path) == "POST":
            self._access.check_page(request)
        return self._routes.answer(request)

    def _public(self, path: str) -> Response | None:
        """What everybody may read, as nothing of the program stands in it; on the page a key is entered."""
        if path == "/healthz":
            return answer({"status": "ok"})
        return answer(description(self._prefix)) if path == "/openapi.json" else page.respond(path)

    def _of_access(self, request: Request) -> Response | None:
        """What says who may do what, which nobody needs a key for."""
        preflight = self._cors.preflight(request, self._routes.allowed(request.path))
        if preflight is not None:
            return preflight
        self._cors.check_link(request)
        if request.path == "/api/session" and request.method in READING:
            return answer(self._access.session(request))
        if request.path == "/api/login" and request.method == "POST":
            return self._access.log_in(request)
        if request.path == "/api/logout" and request.method == "POST":
            return self._access.log_out(request)
        return None

    def _without_prefix(self, request: Request) -> tuple[Request, bool]:
        """The request as it is without the prefix, which a proxy may have taken off; and whether its `/` is missing."""
        if not self._prefix or not request.path.startswith(self._prefix):
            return request, False
        rest = request.path[len(self._prefix) :]
        if not rest:
            return request, request.method in READING
        return (replace(request, path=rest), False) if rest.startswith("/") else (request, False)

    def _refused(self, refusal: Refusal) -> Response:
        """The answer to what the server refused before it came here."""
        self._auditing.refused_early(refusal)
        response = RefusalError(HTTPStatus(refusal.status), refusal.reason).response()
        return replace(response, headers=(*response.headers, *_HEADERS))


def _certificates(settings: ServerSettings) -> Certificates | None:
    """Read the certificate, before anything listens."""
    if settings.tls_certificate is None:
        if settings.tls_key is not None:
            raise ValueError("OTEL_DUCKDB_MONITOR_TLS_KEY names a key, and OTEL_DUCKDB_MONITOR_TLS_CERTIFICATE nothing")
        return None
    from otel_duckdb.web.tls import Certificates  # noqa: PLC0415 - who has no certificate does without ssl

    return Certificates(settings.tls_certificate, settings.tls_key)


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
