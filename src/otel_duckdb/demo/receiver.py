"""An OTLP/HTTP endpoint for one program on this machine."""

from __future__ import annotations

import gzip
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_duckdb.demo.telemetry import Telemetry

if TYPE_CHECKING:
    from types import TracebackType


class Receiver:
    """Listens on a free port of 127.0.0.1 while it is entered, and keeps what it is sent."""

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self._lock = Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def endpoint(self) -> str:
        """The address to send to, as `OTEL_EXPORTER_OTLP_ENDPOINT` wants it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, path: str, body: bytes) -> bool:
        """Keep the message sent to `path`; False where nothing is kept of that path."""
        with self._lock:
            if path == "/v1/traces":
                self.telemetry.add_spans(ExportTraceServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self.telemetry.add_metrics(ExportMetricsServiceRequest.FromString(body))
            else:
                return False
        return True

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            """Takes one message."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                kept = receiver.take(self.path, body)
                self.send_response(200 if kept else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class' name
                """Print nothing."""

        return Handler
