"""Passes requests on to a real ClickHouse server, so that the stand-in's faults can be had in front of one."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_OF_ONE_CONNECTION = frozenset(
    {"connection", "content-encoding", "content-length", "expect", "host", "keep-alive", "transfer-encoding"}
)
_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class Passed:
    """A server's own answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Upstream:
    """A real server."""

    def __init__(self, url: str) -> None:
        """Take it from an address such as https://clickhouse.example:8443."""
        parts = urlsplit(url)
        self._host, self._secure = parts.hostname or "", parts.scheme == "https"
        self._port = parts.port or (8443 if self._secure else 8123)

    def pass_on(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Passed:
        """Ask the server what was asked here; `body` is not compressed any more."""
        kept = {name: value for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION}
        connection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=ssl.create_default_context())
            if self._secure
            else http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        )
        try:
            connection.request(method, path, body, kept)
            answer = connection.getresponse()
            content = answer.read()
            returned = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in _OF_ONE_CONNECTION - {"content-encoding"}
            }
            return Passed(answer.status, returned, content)
        finally:
            connection.close()
