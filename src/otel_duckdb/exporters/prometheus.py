"""The Prometheus endpoint in the process: the instruments' names as they are, with exemplars in OpenMetrics."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its fork hook must stand before the SDK's, which waits for its lock
import gzip
import logging
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from prometheus_client.exposition import choose_encoder, gzip_accepted

from otel_duckdb.exporters._exposition import Exposition
from otel_duckdb.settings import ALLOWED_HOSTS_VARIABLE, SettingError, whole
from otel_duckdb.text import encodable, printable
from otel_duckdb.web.exchange import PLAIN, Response
from otel_duckdb.web.hosts import Hosts, is_loopback
from otel_duckdb.web.server import Server, listen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_duckdb.web.exchange import Request

HOST_VARIABLE: Final = "OTEL_EXPORTER_PROMETHEUS_HOST"
PORT_VARIABLE: Final = "OTEL_EXPORTER_PROMETHEUS_PORT"
DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 9464

_logger: Final = logging.getLogger(__name__)


class PrometheusReader(MetricReader):
    """Serves what the SDK has collected at `http://host:port/metrics`, each metric under its instrument's own name.

    `host` and `port` come from the arguments, else from OTEL_EXPORTER_PROMETHEUS_HOST and _PORT, else they are
    localhost and 9464; port 0 takes a free one. With `serve=False` nothing listens, and `render()` is the way to the
    text.

    A request is answered that names in its `Host` header a loopback name, `host` or one of `allowed_hosts` (else of
    OTEL_DUCKDB_ALLOWED_HOSTS, joined by commas; `*` is any), and beyond loopback this machine's name or any address.
    At most 16 connections are held, each for as long as 10 seconds until its request is complete.

    A port in use is one error in the log, and the program's other telemetry goes on.

    Raises:
        SettingError: the port is no port.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        allowed_hosts: Iterable[str] | str | None = None,
        serve: bool = True,
    ) -> None:
        """Start to serve."""
        super().__init__()
        self._exposition = Exposition()
        self._data: MetricsData | None = None
        self._written: dict[bool, bytes] = {}
        self._collected_at = float("-inf")
        self._lock = threading.Lock()
        self._server: Server | None = None
        if serve:
            self._listen(*_address(host, port), _allowed(allowed_hosts))
        _forget_in_forked_child(self)

    @property
    def port(self) -> int | None:
        """The port that is served, None where none is."""
        return self._server.port if self._server else None

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """Collect, and give the exposition with its content type; `accept` is the HTTP header that chooses the format.

        OpenMetrics (with exemplars) for those who accept it, Prometheus' text for all others. Counters are of the
        type unknown or untyped: to OpenMetrics, and to prometheus_client's readers, a counter's name ends in `_total`.
        One collection serves all who asked before it began.
        """
        return self._render(accept, time.perf_counter())

    def _render(self, accept: str | None, asked_at: float) -> tuple[bytes, str]:
        content_type = _content_type(accept or "")
        openmetrics = content_type.startswith("application/openmetrics-text")
        with self._lock:
            if self._collected_at < asked_at:
                self._collect_now()
            if openmetrics not in self._written:
                data = self._data or MetricsData([])
                text = self._exposition.write(data, openmetrics=openmetrics)
                self._written[openmetrics] = encodable(text).encode()
            return self._written[openmetrics], content_type

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Free the port; a second call does nothing."""
        del kwargs
        server, self._server = self._server, None
        if server:
            server.stop(timeout_millis / 1000)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        del timeout_millis, kwargs
        self._exposition.keep_exemplars(metrics_data)
        self._data = metrics_data

    def _collect_now(self) -> None:
        began_at = time.perf_counter()
        self._data = None  # for the SDK tells nothing of a collection that is empty
        self._written.clear()
        if self._collect is not None:
            self.collect()
        self._collected_at = began_at

    def _listen(self, host: str, port: int, allowed_hosts: Iterable[str]) -> None:
        try:
            listener = listen(host, port)
        except OSError as error:
            _logger.error(  # noqa: TRY400 - one line, for there is nothing to trace
                "Prometheus endpoint: cannot listen on %s:%s (%s); metrics are not served here. Set %s to a free port.",
                printable(host),
                port,
                error.strerror or error,
                PORT_VARIABLE,
            )
            return
        if not is_loopback(host):
            _logger.warning(
                "Prometheus endpoint: on %s:%s whoever reaches this machine reads, without a password, all metrics "
                "and the resource: names of databases and tables, volumes, latencies, errors, the command line. "
                "Let only the scraper reach the port, or set %s to localhost.",
                printable(host),
                listener.getsockname()[1],
                HOST_VARIABLE,
            )
        self._server = Server(listener, self._answer, Hosts(host, allowed_hosts))
        self._server.start()

    def _answer(self, request: Request) -> Response:
        if request.method != "GET":
            return Response(405, b"Only GET is answered.\n", (("Allow", "GET"), *PLAIN))
        if request.path not in ("/", "/metrics"):
            return Response(404, b"The metrics are at /metrics.\n")
        try:
            body, content_type = self._render(request.headers.get("accept"), request.arrived_at)
        except Exception:
            _logger.exception("Prometheus endpoint: a collection failed")
            return Response(500, b"A collection failed; the program's log says why.\n")
        headers = [("Content-Type", content_type)]
        if gzip_accepted(request.headers.get("accept-encoding", "")):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, compresslevel=1)
        return Response(200, body, tuple(headers))


def _content_type(accept: str) -> str:
    try:
        return str(choose_encoder(accept)[1])
    except (TypeError, ValueError):  # it compares what it reads of a version that is none
        return str(choose_encoder("")[1])


def pull_exporter(**options: Any) -> PrometheusReader:
    """Make the reader that the SDK's declarative file names: `pull: {exporter: {duckdb_prometheus: {port: 9464}}}`.

    Raises:
        SettingError: an option is unknown or the port is no port.
    """
    unknown = sorted(set(options) - {"host", "port", "allowed_hosts"})
    if unknown:
        raise SettingError(f"duckdb_prometheus: unknown option {unknown[0]!r}; known are host, port, allowed_hosts")
    return PrometheusReader(**options)


def _address(host: str | None, port: int | None) -> tuple[str, int]:
    check: Callable[[str, object], int] = whole(0, 65_535)
    if port is not None:
        number = check("port", port)
    else:
        number = check(PORT_VARIABLE, os.environ.get(PORT_VARIABLE, "").strip() or DEFAULT_PORT)
    return host or os.environ.get(HOST_VARIABLE, "").strip() or DEFAULT_HOST, number


def _allowed(hosts: Iterable[str] | str | None) -> list[str]:
    given = os.environ.get(ALLOWED_HOSTS_VARIABLE, "") if hosts is None else hosts
    names = given.split(",") if isinstance(given, str) else [str(name) for name in given]
    return [name for name in map(str.strip, names) if name]


def _forget_in_forked_child(reader: PrometheusReader) -> None:
    """Leave the port to the parent: a forked child has the socket but not the thread that serves it."""
    reference = weakref.ref(reader)

    def forget() -> None:
        child = reference()
        if child is None:
            return
        child._lock = threading.Lock()
        server, child._server = child._server, None
        if server:
            server.forget()

    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=forget)
