"""Which address is read, which acts, and which is a stream."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.api.access import EVENTS, READING
from otel_duckdb.monitor.api.acting import Acting
from otel_duckdb.monitor.api.answers import RefusalError
from otel_duckdb.monitor.api.live import STREAM
from otel_duckdb.monitor.api.reading import Reading
from otel_duckdb.web.exchange import Response, Stream

if TYPE_CHECKING:
    from otel_duckdb.monitor.api.live import Live
    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.web.exchange import Request, Slow

SESSIONS: Final = ("/api/login", "/api/logout")
READ_ELSEWHERE: Final = (EVENTS, "/api/session", "/healthz", "/openapi.json")
"""What is read, and not answered from what the monitor knows."""


class Routes:
    """Answers requests that are allowed."""

    def __init__(self, monitor: Watched, live: Live) -> None:
        self._live = live
        self._reading = Reading(monitor)
        self._acting = Acting(monitor)

    def answer(self, request: Request) -> Response | Slow | Stream:
        """Answer a request.

        Raises:
            RefusalError: there is no such address, or what was given with it makes no sense.
        """
        try:
            found = self._find(request)
        except ValueError as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, str(error)) from None
        if found is not None:
            return found
        allowed = self.allowed(request.path)
        if not allowed:
            raise RefusalError(
                HTTPStatus.NOT_FOUND, "there is no such address; /api/status is one, /openapi.json tells of all"
            )
        method = allowed.partition(",")[0]
        raise RefusalError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} takes {method}", (("Allow", allowed),))

    def allowed(self, path: str) -> str:
        """The methods that an address takes, as the header `Allow` has them; empty where there is none such."""
        if path in READ_ELSEWHERE or self._reading.has(path):
            return "GET, HEAD"
        return "POST" if path in SESSIONS or self._acting.has(path) else ""

    def _find(self, request: Request) -> Response | Slow | Stream | None:
        if request.method == "POST":
            return self._acting.answer(request)
        if request.method not in READING:
            return None
        if request.path != EVENTS:
            return self._reading.answer(request)
        return Response(HTTPStatus.OK, b"", STREAM) if request.method == "HEAD" else Stream(self._live.begin(), STREAM)
