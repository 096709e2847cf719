"""Sessions of the page: a cookie stands for the key that was shown once, since a stream's request can show none."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final = 12 * 3600
_MOST: Final = 64


class Sessions:
    """The sessions of one server; it forgets them when it ends."""

    def __init__(self, cookie: str, path: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        """Keep sessions under the name `cookie`, for addresses below `path`."""
        self._cookie = cookie
        self._path = path
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, bool]] = OrderedDict()

    def begin(self, *, token: bool, secure: bool) -> str:
        """Begin a session, and return the `Set-Cookie` header; `token` is whether its user showed the token."""
        secret = secrets.token_urlsafe(32)
        self._known[_digest(secret)] = self._clock() + _SECONDS, token
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        return self._header(secret, _SECONDS, secure=secure)

    def end(self, cookies: str, *, secure: bool) -> str:
        """End a session, and return the `Set-Cookie` header that takes the cookie away."""
        self._known.pop(_digest(self._secret(cookies)), None)
        return self._header("", 0, secure=secure)

    def find(self, cookies: str) -> bool | None:
        """Whether the session of these cookies was begun with the token; None where there is no session."""
        secret = self._secret(cookies)
        if not secret:
            return None
        found = self._known.get(_digest(secret))
        if found is None:
            return None
        ends, token = found
        if ends < self._clock():
            del self._known[_digest(secret)]
            return None
        return token

    def _secret(self, cookies: str) -> str:
        for each in cookies.split(";"):
            name, _, value = each.strip().partition("=")
            if name == self._cookie:
                return value
        return ""

    def _header(self, value: str, seconds: int, *, secure: bool) -> str:
        tls = "; Secure" if secure else ""
        return f"{self._cookie}={value}; Path={self._path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{tls}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
