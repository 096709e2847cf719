"""Who may ask what of the API."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.api.answers import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.web.exchange import Request

KEY_HEADER: Final = "X-Monitoring-Key"
_MINUTE: Final = 60.0
_REQUESTS: Final = 100
_WRONG_KEYS: Final = 5


class Access:
    """Lets through who may ask.

    On loopback everybody of the machine may read, unless a key is set. Who acts shows the key, or the token that stands
    in the announcement, which only the monitor's user can read. A browser's page of another site never gets here: its
    Host or its Sec-Fetch-Site is refused before, and what acts must be sent as JSON, which such a page may not do.
    """

    def __init__(self, token: str, key: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Let who has `token` act, and who has `key`, where there is one, read and act."""
        self._token = _digest(token)
        self._key = _digest(key) if key else None
        self._open = not key
        self._clock = clock
        self._asked: deque[float] = deque()
        self._wrong: deque[float] = deque()

    def check(self, request: Request) -> None:
        """Raise a `RefusalError` where the request may not be answered."""
        now = self._clock()
        known = self._shown(request, now)
        if not known:
            self._limit(self._asked, _REQUESTS, now, "requests")
        acts = request.method not in ("GET", "HEAD")
        if not known and (acts or not self._open):
            what = "acts" if acts else "reads"
            raise RefusalError(HTTPStatus.UNAUTHORIZED, f"who {what} here shows the key in {KEY_HEADER}")
        if acts:
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "what acts is sent as application/json")
            if "origin" in request.headers and request.headers.get("sec-fetch-site") not in ("same-origin", "none"):
                raise RefusalError(HTTPStatus.FORBIDDEN, "a page of another site may not act")

    def _shown(self, request: Request, now: float) -> bool:
        """Whether the request shows a right key; a wrong one is refused, and only a few are looked at."""
        bearer = request.headers.get("authorization", "")
        shown = request.headers.get(KEY_HEADER.lower()) or (bearer[7:] if bearer[:7].lower() == "bearer " else "")
        if not shown:
            return False
        digest = _digest(shown)
        if hmac.compare_digest(digest, self._token):  # too long to be guessed, so no stranger can lock its user out
            return True
        self._limit(self._wrong, _WRONG_KEYS, now, "wrong keys", count=False)
        if self._key is not None and hmac.compare_digest(digest, self._key):
            return True
        self._wrong.append(now)
        raise RefusalError(HTTPStatus.UNAUTHORIZED, f"the key in {KEY_HEADER} is wrong")

    @staticmethod
    def _limit(times: deque[float], most: int, now: float, what: str, *, count: bool = True) -> None:
        while times and times[0] < now - _MINUTE:
            times.popleft()
        if len(times) >= most:
            wait = max(1, round(times[0] + _MINUTE - now))
            raise RefusalError(
                HTTPStatus.TOO_MANY_REQUESTS, f"more than {most} {what} in a minute", (("Retry-After", str(wait)),)
            )
        if count:
            times.append(now)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
