"""What of the requests stands in the audit trail: those that act, and those that are refused, a bounded number."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel_duckdb.telemetry.locks import make_reentrant_lock
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.monitor.api.answers import RefusalError
    from otel_duckdb.monitor.api.clients import Clients
    from otel_duckdb.web.exchange import Refusal, Request

_MINUTE: Final = 60.0
_A_MINUTE: Final = 60
"""Refusals told a minute; whoever asks without end must not fill the disk, so of the others only the number is told."""
_CHARACTERS: Final = 200
_TOLD: Final = frozenset({401, 403, 415, 421, 429})
"""Refusals for who asked, and from where; a misspelt address or value is no matter of the audit."""


class Auditing:
    """Tells the audit trail of requests."""

    def __init__(self, tell: Callable[..., None], clients: Clients) -> None:
        """Tell by `tell`, as `Audit.tell` takes it."""
        self._tell = tell
        self._clients = clients
        self._lock = make_reentrant_lock()
        self._began = 0.0
        self._told = 0
        self._left_out = 0

    def acted(self, request: Request) -> None:
        """A request that acts was let through."""
        self._tell("acting_request", "info", path=_cut(request.path), client=_cut(self._clients.name(request)))

    def refused(self, request: Request, refusal: RefusalError) -> None:
        """A request was refused by the API."""
        if refusal.status in _TOLD:
            self._refused(refusal.status, refusal.reason, request.path, self._clients.name(request))

    def refused_early(self, refusal: Refusal) -> None:
        """A request was refused by the server, before the API saw it."""
        if refusal.status in _TOLD:
            self._refused(refusal.status, refusal.reason, refusal.path, refusal.peer)

    def _refused(self, status: int, reason: str, path: str, client: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now - self._began >= _MINUTE:
                self._began, self._told = now, 0
            if self._told >= _A_MINUTE:
                self._left_out += 1
                return
            self._told += 1
            left_out, self._left_out = self._left_out, 0
        self._tell(
            "refused_access",
            "warning",
            status=int(status),
            reason=reason,
            path=_cut(path),
            client=_cut(client),
            left_out=left_out or None,
        )


def _cut(text: str) -> str:
    return printable(text)[:_CHARACTERS]
