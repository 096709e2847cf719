"""Who may ask what of the API."""

from __future__ import annotations

import hashlib
import hmac
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.monitor.api.clients import Clients, Rates
from otel_duckdb.monitor.discovery import KEY_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.monitor.api.sessions import Sessions
    from otel_duckdb.web.exchange import Request, Response
    from otel_duckdb.web.origins import Origins

READING: Final = ("GET", "HEAD")
EVENTS: Final = "/api/events"
_REQUESTS: Final = 100
_FOR_A_STREAM: Final = 50
"""Requests more for each stream that the client reads: an open page asks 15 times a minute, and has a user."""
_WRONG_KEYS: Final = 5


class Access:
    """Lets through who may ask.

    On loopback everybody of the machine may read, unless a key is set. Who acts shows the key, or the token that stands
    in the announcement, which only the monitor's user can read; or has a session that was begun with one of them. A
    page of another site does not get here: its Host or its Sec-Fetch-Site is refused before. What acts must be sent as
    JSON, which such a page may not do, and its origin is looked at once more.

    A client may ask a hundred times a minute, and fifty times more for each stream it reads; open a hundred streams,
    and show five wrong keys. The token's user is not counted.

    Attributes:
        clients: Tells whose a request is.
        streams_of: Tells how many streams a client reads at the moment.
    """

    def __init__(
        self, token: str, key: str | None, origins: Origins, clients: Clients, sessions: Sessions, *, tls: bool = False
    ) -> None:
        """Let who has `token` act, and who has `key`, where there is one, read and act."""
        self._token = _digest(token.encode())
        self._keys = _digests(key) if key else ()
        self._origins = origins
        self._sessions = sessions
        self._tls = tls
        self.clients = clients
        self._asked = Rates(_REQUESTS)
        self._streams = Rates(_REQUESTS)
        self.streams_of: Callable[[str], int] = lambda _client: 0
        self._wrong = Rates(_WRONG_KEYS)

    def check(self, request: Request) -> None:
        """Raise a `RefusalError` where the request may not be answered."""
        known = self._known(request)
        acts = request.method not in READING
        if known is None and (acts or self._keys):
            what = "acts" if acts else "reads"
            raise RefusalError(HTTPStatus.UNAUTHORIZED, f"who {what} here shows the key in {KEY_HEADER}")

    def session(self, request: Request) -> dict[str, bool]:
        """What a request may do: read, and act; raises a `RefusalError` as `check` does."""
        known = self._known(request)
        return {"reads": known is not None or not self._keys, "acts": known is not None}

    def log_in(self, request: Request) -> Response:
        """Begin a session for who shows the key or the token in the body.

        Raises:
            RefusalError: it is wrong, or the request comes from another site's page.
        """
        client = self.clients.name(request)
        self._count(client)
        self.check_page(request)
        token = self._judge(_key_of(request), client)
        cookie = self._sessions.begin(token=token, secure=self.clients.is_secure(request, tls=self._tls))
        return answer({"reads": True, "acts": True}, headers=(("Set-Cookie", cookie),))

    def log_out(self, request: Request) -> Response:
        """End the session of a request, if it has one.

        Raises:
            RefusalError: the request comes from another site's page.
        """
        self._count(self.clients.name(request))
        self.check_page(request)
        secure = self.clients.is_secure(request, tls=self._tls)
        cookie = self._sessions.end(request.headers.get("cookie", ""), secure=secure)
        return answer({"reads": not self._keys, "acts": False}, headers=(("Set-Cookie", cookie),))

    def _known(self, request: Request) -> bool | None:
        """Whether the request comes from the token's user, False for who has the key, None for a stranger; counted."""
        client = self.clients.name(request)
        shown = _shown(request)
        known = self._judge(shown, client) if shown else self._sessions.find(request.headers.get("cookie", ""))
        if not known:  # the token's user asks as often as wanted
            self._count(client, self._streams if request.path == EVENTS else self._asked)
        return known

    def _judge(self, shown: bytes, client: str) -> bool:
        """Whether it is the token, False for the key; another is refused, and only a few are looked at."""
        digest = _digest(shown)
        if hmac.compare_digest(digest, self._token):  # too long to be guessed, so no stranger can lock its user out
            return True
        wait = self._wrong.wait(client)
        if wait:
            raise _too_many(f"more than {_WRONG_KEYS} wrong keys", wait)
        if any(hmac.compare_digest(digest, key) for key in self._keys):
            return False
        self._wrong.count(client)
        raise RefusalError(HTTPStatus.UNAUTHORIZED, f"the key in {KEY_HEADER} is wrong")

    def _count(self, client: str, rates: Rates | None = None) -> None:
        rates = rates or self._asked
        more = 0 if rates is self._streams else _FOR_A_STREAM * self.streams_of(client)
        wait = rates.wait(client, more)
        if wait:
            raise _too_many(f"more than {_REQUESTS + more} requests", wait)
        rates.count(client)

    def check_page(self, request: Request) -> None:
        """Raise a `RefusalError` where a page of another site could have sent a request that acts."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RefusalError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "what acts is sent as application/json")
        if not self._origins.may_act(request.headers):
            raise RefusalError(HTTPStatus.FORBIDDEN, "a page of another site may not act")


def _shown(request: Request) -> bytes:
    """The key in the headers, as it was sent; empty where there is none."""
    bearer = request.headers.get("authorization", "")
    shown = request.headers.get(KEY_HEADER.lower()) or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")
    return shown.encode("latin-1")


def _key_of(request: Request) -> bytes:
    """The key in the body of a login."""
    try:
        key = json.loads(request.body or b"{}").get("key")
    except (ValueError, RecursionError, AttributeError):
        key = None
    if not isinstance(key, str) or not key:
        raise RefusalError(HTTPStatus.BAD_REQUEST, 'the body is no JSON object with the key, as {"key": "..."}')
    return key.encode("utf-8", "surrogatepass")


def _too_many(what: str, wait: int) -> RefusalError:
    return RefusalError(HTTPStatus.TOO_MANY_REQUESTS, f"{what} in a minute", (("Retry-After", str(wait)),))


def _digests(key: str) -> tuple[bytes, ...]:
    """A key in the encodings that clients write a header in."""
    written = {key.encode("utf-8", "surrogateescape"), key.encode("latin-1", "replace")}
    return tuple(map(_digest, written))


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()
