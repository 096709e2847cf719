"""Pages of other sites: what those are told that are configured, which by default are none."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.api.answers import RefusalError
from otel_duckdb.web.exchange import Response

if TYPE_CHECKING:
    from otel_duckdb.web.exchange import Request
    from otel_duckdb.web.origins import Origins

_ALLOWED_HEADERS: Final = "Authorization, Content-Type, X-Monitoring-Key"
_AGE: Final = "600"


class Cors:
    """Tells browsers which sites may read; cookies are never allowed to come from another one."""

    def __init__(self, origins: Origins, *, any_listed: bool) -> None:
        self._origins = origins
        self._any_listed = any_listed

    def headers(self, request: Request) -> tuple[tuple[str, str], ...]:
        """The headers of an answer; none as long as no site is listed."""
        if not self._any_listed:
            return ()
        origin = request.headers.get("origin", "")
        if not self._origins.listed(origin):
            return (("Vary", "Origin"),)
        return (("Vary", "Origin"), ("Access-Control-Allow-Origin", origin))

    def preflight(self, request: Request, allowed: str) -> Response | None:
        """The answer to a browser that asks whether it may send a request; None where this is none."""
        asks = request.method == "OPTIONS" and "access-control-request-method" in request.headers
        if not asks or not allowed or not self._origins.listed(request.headers.get("origin")):
            return None
        given = (
            ("Access-Control-Allow-Methods", allowed),
            ("Access-Control-Allow-Headers", _ALLOWED_HEADERS),
            ("Access-Control-Max-Age", _AGE),
        )
        return Response(HTTPStatus.NO_CONTENT, b"", given)

    def check_link(self, request: Request) -> None:
        """Refuse a link of another site that leads to the API: such links may lead to the page alone."""
        site = request.headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin") and not self._origins.listed(request.headers.get("origin")):
            raise RefusalError(HTTPStatus.FORBIDDEN, "a page of another site may not ask")
