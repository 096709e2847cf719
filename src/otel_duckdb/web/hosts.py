"""Which names a server may be asked by: a page of another site must not reach it under a name of its own."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LOOPBACK_NAMES: Final = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
_ANY: Final = "*"


class Hosts:
    """The names a server answers to, without their ports.

    These are the loopback ones, the one it listens on, and those that are configured (`*` is any). A server that is
    reached from elsewhere answers to this machine's name, and to every address too: a browser that was led here by a
    name that its owner points to this machine sends that name, never an address.
    """

    def __init__(self, bound: str, configured: Iterable[str] = ()) -> None:
        """Allow the names that fit a server listening on `bound`, and those `configured`."""
        self._names = {name.strip().lower().rstrip(".") for name in configured} | {bound.lower()}
        self._elsewhere = not is_loopback(bound)
        if self._elsewhere:
            self._names |= {socket.gethostname().lower()}

    def allow(self, header: str | None) -> bool:
        """Whether a request with this `Host` header may be answered."""
        name = _without_port(header or "")
        if not name:
            return False
        if _ANY in self._names or name in _LOOPBACK_NAMES:
            return True
        address = _address(name)
        if address is None:
            return name.rstrip(".") in self._names
        if address.is_unspecified:
            return False
        return self._elsewhere or address.is_loopback or str(address) in self._names


def is_loopback(host: str) -> bool:
    """Whether a server that listens on `host` is reached from this machine alone."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    address = _address(host.strip("[]"))
    return address is not None and address.is_loopback


def _without_port(header: str) -> str:
    name = header.strip().lower()
    if name.startswith("["):
        address, bracket, rest = name[1:].partition("]")
        return address if bracket and (not rest or _is_port(rest)) else ""
    host, colon, port = name.partition(":")
    return host if not colon or port.isdecimal() or not port else ""


def _is_port(text: str) -> bool:
    return text.startswith(":") and (text[1:].isdecimal() or not text[1:])


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None
