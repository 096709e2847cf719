"""Which client asks, and how often each may."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_duckdb.web.exchange import Request

_MINUTE: Final = 60.0
_REMEMBERED: Final = 1024
_IPV6_NETWORK: Final = 64
"""The part of an IPv6 address, in bits, that tells one client from another: below it each picks as many as it likes."""


class Clients:
    """Tells whose request it is: the other end's, or, where that is a proxy we were told of, the one it names."""

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        """Believe the X-Forwarded-For of these `proxies`, addresses or networks; of nobody else.

        Raises:
            ValueError: one is no address.
        """
        self._proxies = [ipaddress.ip_network(one, strict=False) for one in proxies]

    def name(self, request: Request) -> str:
        """The client: an address, or the network of 64 bits where it is one of IPv6."""
        hops = [request.peer]
        if self._is_proxy(request.peer):
            hops = [*request.headers.get("x-forwarded-for", "").split(","), request.peer]
        while len(hops) > 1 and self._is_proxy(hops[-1]):
            last = hops.pop()
            if _address(hops[-1]) is None:
                return _client(last)  # it is not an address, so it is not believed
        return _client(hops[-1])

    def is_secure(self, request: Request, *, tls: bool) -> bool:
        """Whether the client's end of the way is encrypted."""
        if tls:
            return True
        return self._is_proxy(request.peer) and request.headers.get("x-forwarded-proto", "").lower() == "https"

    def _is_proxy(self, text: str) -> bool:
        address = _address(text) if self._proxies else None
        return address is not None and any(address in network for network in self._proxies)


class Rates:
    """Counts what each client did within the last minute; of many clients those that were heard of last."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic, remembered: int = _REMEMBERED) -> None:
        """Allow each client `most` a minute."""
        self.most = most
        self._clock = clock
        self._remembered = remembered
        self._seen: OrderedDict[str, tuple[float, int, int]] = OrderedDict()

    def wait(self, client: str, more: int = 0) -> int:
        """Seconds until it may go on, 0 where it may now; it may do so many `more` a minute than others."""
        now = self._clock()
        began, before, current = self._counts(client, now)
        passed = (now - began) / _MINUTE
        if before * (1 - passed) + current < self.most + more:
            return 0
        return max(1, math.ceil((1 - passed) * _MINUTE))

    def count(self, client: str) -> None:
        """Count one."""
        began, before, current = self._counts(client, self._clock())
        self._seen[client] = began, before, current + 1
        self._seen.move_to_end(client)
        while len(self._seen) > self._remembered:
            self._seen.popitem(last=False)

    def _counts(self, client: str, now: float) -> tuple[float, int, int]:
        """When its present minute began, the count of the one before that, and its own."""
        began, before, current = self._seen.get(client, (now, 0, 0))
        if now < began + _MINUTE:
            return began, before, current
        return (began + _MINUTE, current, 0) if now < began + 2 * _MINUTE else (now, 0, 0)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _client(text: str) -> str:
    address = _address(text)
    if address is None:
        return text.strip()
    if address.version == 4:  # noqa: PLR2004 - the version of IP
        return str(address)
    return str(ipaddress.ip_network(f"{address}/{_IPV6_NETWORK}", strict=False))
