"""What each address of the API answers."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.web.exchange import Request, Response

_MOST_VALUES: Final = 50
_MOST_STATEMENTS: Final = 1000
_MOST_SECONDS: Final = 1e12
_MOST_DIGITS: Final = 9


class Routes:
    """Answers requests from what a monitor knows."""

    def __init__(self, monitor: Watched) -> None:
        self._monitor = monitor
        self._read: Mapping[str, Callable[[Query], Any]] = {
            "/api/status": lambda _: monitor.status(),
            "/api/statements": self._statements,
            "/api/running": lambda _: monitor.running(),
            "/api/alerts": lambda _: monitor.alerts(),
            "/api/metrics": self._metrics,
            "/api/report": self._report,
        }
        self._act: Mapping[str, Callable[[dict[str, Any]], Any]] = {
            "/api/cancel": self._cancel,
            "/api/cleanup": self._clean_up,
            "/api/alertmanager": monitor.receive_alertmanager,
            "/api/silences": self._silence,
        }

    def answer(self, request: Request) -> Response:
        """Answer a request that is allowed.

        Raises:
            RefusalError: there is no such address, or what was given with it makes no sense.
        """
        table: Mapping[str, Any] = self._read if request.method in ("GET", "HEAD") else self._act
        handler: Callable[[Any], Any] | None = table.get(request.path) or self._action(request)
        if handler is None or request.method not in ("GET", "HEAD", "POST"):
            if request.path in (*self._read, *self._act):
                allowed = "GET" if request.path in self._read else "POST"
                raise RefusalError(
                    HTTPStatus.METHOD_NOT_ALLOWED, f"{request.path} takes {allowed}", (("Allow", allowed),)
                )
            raise RefusalError(HTTPStatus.NOT_FOUND, "there is no such address; /api/status is one")
        given: Any = Query(request.query) if table is self._read else _body(request)
        try:
            return answer(handler(given))
        except ValueError as error:
            raise RefusalError(HTTPStatus.BAD_REQUEST, str(error)) from None

    def _statements(self, query: Query) -> Any:
        limit = query.whole("limit", 50, 1, _MOST_STATEMENTS)
        return self._monitor.statements(query.text("sort") or "total", limit, query.text("database"))

    def _metrics(self, query: Query) -> Any:
        return self._monitor.metrics(
            query.texts("name"), query.number("start"), query.number("end"), query.number("step")
        )

    def _report(self, query: Query) -> Any:
        hours = query.number("hours")
        return self._monitor.make_report(24.0 if hours is None else hours)

    def _action(self, request: Request) -> Callable[[dict[str, Any]], Any] | None:
        """The action that the address names, if it is a POST to one."""
        before, slash, name = request.path.rpartition("/")
        if request.method != "POST" or before + slash != "/api/actions/" or not name:
            return None
        return lambda body: {
            "results": self._monitor.run_action(
                name, _given(body, "database", str), dry_run=_flag(body, "dry_run"), argument=_text(body, "argument")
            )
        }

    def _clean_up(self, body: dict[str, Any]) -> Any:
        clean_up = self._monitor.emergency_clean_up if _flag(body, "emergency") else self._monitor.clean_up
        return {"results": clean_up(dry_run=_flag(body, "dry_run"), by="api")}

    def _silence(self, body: dict[str, Any]) -> Any:
        seconds = _given(body, "seconds", (int, float))
        if seconds is None:
            raise RefusalError(HTTPStatus.BAD_REQUEST, "seconds is missing; how long is the silence?")
        return self._monitor.silence(_text(body, "name"), seconds, _text(body, "database"))

    def _cancel(self, body: dict[str, Any]) -> Any:
        identity = body.get("id")
        if not isinstance(identity, int) or isinstance(identity, bool):
            raise RefusalError(HTTPStatus.BAD_REQUEST, "id is the whole number that /api/running tells of an operation")
        try:
            return {"cancelled": self._monitor.cancel(identity)}
        except PermissionError as error:
            raise RefusalError(HTTPStatus.FORBIDDEN, str(error)) from None
        except LookupError as error:
            raise RefusalError(HTTPStatus.CONFLICT, str(error)) from None


class Query:
    """What stands behind the `?` of an address."""

    def __init__(self, text: str) -> None:
        """Read it; what is not UTF-8 or too much is refused."""
        try:
            self._values = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_VALUES, errors="strict")
        except ValueError:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"the query is not UTF-8, or has over {_MOST_VALUES} values"
            ) from None

    def texts(self, name: str) -> list[str]:
        """Every value of that name."""
        return self._values.get(name, [])

    def text(self, name: str) -> str | None:
        """The one value of that name, None without one."""
        values = self.texts(name)
        if len(values) > 1:
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"{name} is given {len(values)} times; once is right")
        return values[0] if values else None

    def number(self, name: str) -> float | None:
        """The number of that name, None without one."""
        text = self.text(name)
        if text is None:
            return None
        try:
            found = float(text)
        except ValueError:
            found = float("nan")
        if not abs(found) < _MOST_SECONDS:  # NaN is not less, either
            raise RefusalError(HTTPStatus.BAD_REQUEST, f"{name} is {text!r}; allowed is a number of seconds")
        return found

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """The whole number of that name."""
        text = self.text(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS or not low <= int(text) <= high:
            raise RefusalError(
                HTTPStatus.BAD_REQUEST, f"{name} is {text!r}; allowed is a whole number from {low} to {high}"
            )
        return int(text)


def _given(body: dict[str, Any], name: str, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    """The value of that name, None without one; one of another kind is refused."""
    value = body.get(name)
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise RefusalError(
            HTTPStatus.BAD_REQUEST, f"{name} is {printable(repr(value))[:100]}, which is of another kind"
        )
    return value


def _flag(body: dict[str, Any], name: str) -> bool:
    return bool(_given(body, name, bool))


def _text(body: dict[str, Any], name: str) -> str:
    return str(_given(body, name, str) or "")


def _body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.body or b"{}")
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RefusalError(HTTPStatus.BAD_REQUEST, "the body is no JSON object")
    return body
