"""What each address does that acts."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.monitor.api.query import Body
from otel_duckdb.web.exchange import Response, Slow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.web.exchange import Request

_ACTIONS: Final = "/api/actions/"
_AT_A_TIME: Final = 2
"""Requests for actions; they run one after another, and what waits for them must leave room for those who read."""


class Acting:
    """Does what is asked of a monitor; what DuckDB has a part in is `Slow`."""

    def __init__(self, monitor: Watched) -> None:
        self._monitor = monitor
        self._free = threading.BoundedSemaphore(_AT_A_TIME)
        self.quick: Mapping[str, Callable[[Body], Any]] = {
            "/api/cancel": self._cancel,
            "/api/alertmanager": lambda body: monitor.receive_alertmanager(body.values),
            "/api/silences": self._silence,
            "/api/silences/end": self._end_silence,
        }
        self.slow: Mapping[str, Callable[[Body], Any]] = {"/api/cleanup": self._clean_up}

    def has(self, path: str) -> bool:
        """Whether there is such an address."""
        return path in self.quick or path in self.slow or self._action(path) is not None

    def answer(self, request: Request) -> Response | Slow | None:
        """Do what is asked, None where there is no such address.

        Raises:
            RefusalError: what was given makes no sense, or may not be done.
        """
        if request.path in self.quick:
            return answer(self.quick[request.path](Body(request)))
        handler = self.slow.get(request.path) or self._action(request.path)
        if handler is None:
            return None
        body = Body(request)
        return Slow(lambda: self._bounded(handler, body))

    def _bounded(self, handler: Callable[[Body], Any], body: Body) -> Response:
        if not self._free.acquire(blocking=False):
            raise RefusalError(
                HTTPStatus.SERVICE_UNAVAILABLE, "other actions are being done; ask again", (("Retry-After", "5"),)
            )
        try:
            return answer(handler(body))
        finally:
            self._free.release()

    def _action(self, path: str) -> Callable[[Body], Any] | None:
        """The action that the address names."""
        name = path.removeprefix(_ACTIONS)
        if not path.startswith(_ACTIONS) or not name or "/" in name:
            return None
        return lambda body: {
            "results": self._monitor.run_action(
                name, body.text("database"), dry_run=body.flag("dry_run"), argument=body.text("argument") or ""
            )
        }

    def _clean_up(self, body: Body) -> Any:
        clean_up = self._monitor.emergency_clean_up if body.flag("emergency") else self._monitor.clean_up
        return {"results": clean_up(dry_run=body.flag("dry_run"), by="api")}

    def _silence(self, body: Body) -> Any:
        seconds = body.number("seconds")
        if seconds is None:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "seconds is missing; how long is the silence?")
        return self._monitor.silence(body.text("name") or "", seconds, body.text("database") or "")

    def _end_silence(self, body: Body) -> Any:
        identity = body.text("id")
        if not identity:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "id is missing; /api/alerts tells that of each silence")
        try:
            return {"ended": self._monitor.end_silence(identity)}
        except LookupError as error:
            raise RefusalError(HTTPStatus.CONFLICT, str(error)) from None

    def _cancel(self, body: Body) -> Any:
        identity = body.values.get("id")
        if not isinstance(identity, int) or isinstance(identity, bool):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "id is the whole number that /api/running tells of an operation")
        try:
            return {"cancelled": self._monitor.cancel(identity)}
        except PermissionError as error:
            raise RefusalError(HTTPStatus.FORBIDDEN, str(error)) from None
        except LookupError as error:
            raise RefusalError(HTTPStatus.CONFLICT, str(error)) from None
