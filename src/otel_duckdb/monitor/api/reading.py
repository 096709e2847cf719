"""What each address answers that is read."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from otel_duckdb.monitor.api.answers import RefusalError, answer
from otel_duckdb.monitor.api.exposition import exposition
from otel_duckdb.monitor.api.query import Query
from otel_duckdb.monitor.exports import as_csv
from otel_duckdb.web.exchange import Response, Slow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.web.exchange import Request

_MOST_STATEMENTS: Final = 1000
_MOST_TRACES: Final = 1000
_TRACE: Final = re.compile(r"/api/traces/([0-9a-f]{32})")
_CSV: Final = (("Content-Type", "text/csv; charset=utf-8"),)
_EXPOSITION: Final = (("Content-Type", "text/plain; version=0.0.4; charset=utf-8"),)


class Reading:
    """Answers from what a monitor knows; what may take long is `Slow`."""

    def __init__(self, monitor: Watched) -> None:
        self._monitor = monitor
        self.quick: Mapping[str, Callable[[Query], Any]] = {
            "/api/status": lambda _: monitor.status(),
            "/api/statements": self._statements,
            "/api/running": lambda _: monitor.running(),
            "/api/alerts": lambda _: monitor.alerts(),
            "/api/sync": lambda _: monitor.sync(),
            "/api/traces": self._traces,
            "/api/actions": lambda _: monitor.actions(),
            "/api/about": lambda _: monitor.about(),
        }
        self.slow: Mapping[str, Callable[[Query, Request], Any]] = {
            "/api/metrics": self._metrics,
            "/api/report": self._report,
            "/api/storage": self._storage,
            "/metrics": self._exposition,
        }

    def has(self, path: str) -> bool:
        """Whether there is such an address."""
        return path in self.quick or path in self.slow or _TRACE.fullmatch(path) is not None

    def answer(self, request: Request) -> Response | Slow | None:
        """Answer a request, None where there is no such address.

        Raises:
            RefusalError: what was given with it makes no sense.
        """
        if request.path in self.quick:
            return answer(self.quick[request.path](Query(request.query)))
        handler = self.slow.get(request.path)
        if handler is None:
            return self._trace(request.path)
        query = Query(request.query)

        def make() -> Response:
            found = handler(query, request)
            return found if isinstance(found, Response) else answer(found)

        return Slow(make)

    def _statements(self, query: Query) -> Any:
        limit = query.whole("limit", 50, 1, _MOST_STATEMENTS)
        return self._monitor.statements(query.text("sort") or "total", limit, query.text("database"))

    def _traces(self, query: Query) -> Any:
        limit = query.whole("limit", 50, 1, _MOST_TRACES)
        sort = query.text("sort") or "start"
        least = query.number("min_ms", "milliseconds")
        return {"traces": self._monitor.traces(least, query.text("name"), query.flag("error"), limit, sort)}

    def _trace(self, path: str) -> Response | None:
        """One trace; None where the address is that of none."""
        found = _TRACE.fullmatch(path)
        if found is None:
            return None
        try:
            return answer(self._monitor.trace(found[1]))
        except LookupError as error:
            raise RefusalError(HTTPStatus.NOT_FOUND, str(error)) from None

    def _metrics(self, query: Query, request: Request) -> Any:
        chosen = query.word("format", "json", "csv")
        wanted = chosen == "csv" or (chosen is None and _prefers_csv(request.headers.get("accept", "")))
        found = self._monitor.metrics(
            query.texts("name"), query.number("start"), query.number("end"), query.number("step")
        )
        return Response(HTTPStatus.OK, as_csv(found).encode(), _CSV) if wanted else found

    def _report(self, query: Query, _request: Request) -> Any:
        hours = query.number("hours", "hours")
        return self._monitor.make_report(24.0 if hours is None else hours)

    def _storage(self, query: Query, _request: Request) -> Any:
        return self._monitor.storage(query.text("database"), tables=bool(query.flag("tables")))

    def _exposition(self, _query: Query, _request: Request) -> Any:
        return Response(HTTPStatus.OK, exposition(self._monitor.sample()), _EXPOSITION)


def _prefers_csv(accept: str) -> bool:
    kinds = [kind.partition(";")[0].strip().lower() for kind in accept.split(",")]
    return "text/csv" in kinds and "application/json" not in kinds
