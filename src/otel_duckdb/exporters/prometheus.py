"""The Prometheus endpoint in the process: the instruments' names as they are, with exemplars in OpenMetrics."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401 - its fork hook must stand before the SDK's, which waits for its lock
import contextlib
import gzip
import logging
import os
import socket
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.exposition import choose_encoder, gzip_accepted

from otel_duckdb.exporters._exposition import Exposition
from otel_duckdb.settings import SettingError, _whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import StartResponse, WSGIEnvironment

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

    A port in use is one error in the log, and the program's other telemetry goes on.

    Raises:
        SettingError: the port is no port.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        *,
        serve: bool = True,
    ) -> None:
        """Start to serve."""
        super().__init__()
        self._exposition = Exposition()
        self._data: MetricsData | None = None
        self._written: dict[bool, bytes] = {}
        self._collected_at = float("-inf")
        self._lock = threading.Lock()
        self._server: WSGIServer | None = None
        self._thread: threading.Thread | None = None
        if serve:
            self._listen(*_address(host, port))
        _forget_in_forked_child(self)

    @property
    def port(self) -> int | None:
        """The port that is served, None where none is."""
        return self._server.server_port if self._server else None

    def render(self, accept: str | None = None) -> tuple[bytes, str]:
        """Collect, and give the exposition with its content type; `accept` is the HTTP header that chooses the format.

        OpenMetrics (with exemplars) for those who accept it, Prometheus' text for all others. Counters are of the
        type unknown or untyped: to OpenMetrics, and to prometheus_client's readers, a counter's name ends in `_total`.
        One collection serves all who asked before it began.
        """
        _, content_type = choose_encoder(accept or "")
        openmetrics = content_type.startswith("application/openmetrics-text")
        asked_at = time.perf_counter()
        with self._lock:
            if self._collected_at < asked_at:
                self._collect_now()
            if openmetrics not in self._written:
                data = self._data or MetricsData([])
                self._written[openmetrics] = self._exposition.write(data, openmetrics=openmetrics).encode()
            return self._written[openmetrics], content_type

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Free the port; a second call does nothing."""
        del kwargs
        server, self._server = self._server, None
        if server:
            _stop(server)
        if self._thread:
            self._thread.join(timeout_millis / 1000)

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

    def _listen(self, host: str, port: int) -> None:
        try:
            self._server, self._thread = start_http_server(port, host, CollectorRegistry())
        except OSError as error:
            _logger.error(  # noqa: TRY400 - one line, for there is nothing to trace
                "Prometheus endpoint: cannot listen on %s:%s (%s); metrics are not served here. Set %s to a free port.",
                host,
                port,
                error.strerror or error,
                PORT_VARIABLE,
            )
        else:
            self._server.set_app(self._answer)

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        plain = [("Content-Type", "text/plain; charset=utf-8")]
        if environ["REQUEST_METHOD"] != "GET":
            start_response("405 Method Not Allowed", [("Allow", "GET"), *plain])
            return [b"Only GET is answered.\n"]
        if environ["PATH_INFO"] not in ("/", "/metrics"):
            start_response("404 Not Found", plain)
            return [b"The metrics are at /metrics.\n"]
        try:
            body, content_type = self.render(environ.get("HTTP_ACCEPT"))
        except Exception as error:
            _logger.exception("Prometheus endpoint: a collection failed")
            start_response("500 Internal Server Error", plain)
            return [f"A collection failed: {error}\n".encode()]
        headers = [("Content-Type", content_type)]
        if gzip_accepted(environ.get("HTTP_ACCEPT_ENCODING", "")):
            headers.append(("Content-Encoding", "gzip"))
            body = gzip.compress(body, compresslevel=1)
        start_response("200 OK", headers)
        return [body]


def pull_exporter(**options: Any) -> PrometheusReader:
    """Make the reader that the SDK's declarative file names: `pull: {exporter: {duckdb_prometheus: {port: 9464}}}`.

    Raises:
        SettingError: an option is unknown or the port is no port.
    """
    unknown = sorted(set(options) - {"host", "port"})
    if unknown:
        raise SettingError(f"duckdb_prometheus: unknown option {unknown[0]!r}; known are host, port")
    return PrometheusReader(**options)


def _address(host: str | None, port: int | None) -> tuple[str, int]:
    check: Callable[[str, object], int] = _whole(0, 65_535)
    if port is not None:
        number = check("port", port)
    else:
        number = check(PORT_VARIABLE, os.environ.get(PORT_VARIABLE, "").strip() or DEFAULT_PORT)
    return host or os.environ.get(HOST_VARIABLE, "").strip() or DEFAULT_HOST, number


def _stop(server: WSGIServer) -> None:
    stopping = threading.Thread(target=server.shutdown)
    stopping.start()
    # The server looks only twice a second whether it shall stop, but at once when someone calls.
    with contextlib.suppress(OSError):
        socket.create_connection(server.socket.getsockname()[:2], timeout=1).close()
    stopping.join()
    server.server_close()


def _forget_in_forked_child(reader: PrometheusReader) -> None:
    """Leave the port to the parent: a forked child has the socket but not the thread that serves it."""
    reference = weakref.ref(reader)

    def forget() -> None:
        child = reference()
        if child is None:
            return
        child._lock = threading.Lock()
        server, child._server, child._thread = child._server, None, None
        if server:
            server.socket.close()

    if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
        os.register_at_fork(after_in_child=forget)
