"""Pages of which sites may ask: a browser tells where a request comes from, and no page can make it lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_OWN: Final = ("same-origin", "none")
_PORTS: Final = {"http": 80, "https": 443}


class Origins:
    """The origins of other sites whose pages may ask, by default none.

    Requests of programs tell no origin, and are allowed. The name the server was asked by must have been looked at
    before (`Hosts`): without that, a page of a site whose name leads here is of the server's own origin.
    """

    def __init__(self, configured: Iterable[str] = (), *, links: bool = False) -> None:
        """Allow pages of those `configured`, such as `https://grafana.example`; with `links` others may lead here."""
        self._listed = {origin.strip().lower().rstrip("/") for origin in configured}
        self._links = links

    def listed(self, origin: str | None) -> bool:
        """Whether an `Origin` header names one of those configured."""
        return origin is not None and origin.lower() in self._listed

    def allow(self, method: str, headers: Mapping[str, str]) -> bool:
        """Whether a request may be answered; what acts is looked at by `may_act` too."""
        if headers.get("sec-fetch-site", "none") in _OWN or self.listed(headers.get("origin")):
            return True
        followed = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        return self._links and followed and method in ("GET", "HEAD")

    def may_act(self, headers: Mapping[str, str]) -> bool:
        """Whether a request that changes something comes from a program, from an own page, or from a listed one."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if self.listed(origin):
            return True
        if site is not None:
            return site in _OWN
        return origin is None or _is_own(origin, headers.get("host", ""))


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is the server's own; browsers tell no `Sec-Fetch-Site` where they reach it without TLS."""
    try:
        parts, asked = urlsplit(origin), urlsplit(f"//{host}")
        default = _PORTS.get(parts.scheme)
        same_port = (parts.port or default) == (asked.port or default)
    except ValueError:
        return False
    return default is not None and same_port and bool(parts.hostname) and parts.hostname == asked.hostname
