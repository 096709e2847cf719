"""An OTLP/HTTP endpoint for one program on this machine."""

from __future__ import annotations

import hmac
import secrets
import zlib
from threading import Lock
from typing import TYPE_CHECKING, Final, Self

from google.protobuf.message import DecodeError  # type: ignore[import-untyped] # it ships no types
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_duckdb.demo.telemetry import Telemetry
from otel_duckdb.web.exchange import Limits, Response
from otel_duckdb.web.hosts import Hosts
from otel_duckdb.web.server import Server, listen

if TYPE_CHECKING:
    from types import TracebackType

    from otel_duckdb.web.exchange import Request

_HOST: Final = "127.0.0.1"
_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""The largest message that is taken, before and after it is unpacked."""
_TAKEN: Final = Response(200, b"", (("Content-Type", "application/x-protobuf"),))


class Receiver:
    """Listens on a free port of 127.0.0.1 while it is entered, and keeps what it is sent.

    Its address holds a token that the program alone is told: nobody else on this machine can add to what it sent.
    """

    def __init__(self) -> None:
        self.telemetry = Telemetry()
        self._lock = Lock()
        self._token = secrets.token_urlsafe(24)
        self._server = Server(listen(_HOST, 0), self._answer, Hosts(_HOST), Limits(body_bytes=_MESSAGE_BYTES))

    @property
    def endpoint(self) -> str:
        """The address to send to, as `OTEL_EXPORTER_OTLP_ENDPOINT` wants it."""
        return f"http://{_HOST}:{self._server.port}/{self._token}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def _answer(self, request: Request) -> Response:
        token, _, path = request.path.removeprefix("/").partition("/")
        if not hmac.compare_digest(token.encode(), self._token.encode()):
            return Response(404, b"Nothing is taken here.\n")
        if request.method != "POST":
            return Response(405, b"Only POST is answered.\n", (("Allow", "POST"),))
        try:
            body = _unpacked(request)
        except (zlib.error, EOFError):
            return Response(400, b"The message is not compressed as it says.\n")
        if body is None:
            return Response(413, b"The message is too large.\n")
        try:
            return _TAKEN if self._take(path, body) else Response(404, b"Nothing is kept of this.\n")
        except DecodeError:
            return Response(400, b"The message is none of OTLP.\n")

    def _take(self, path: str, body: bytes) -> bool:
        """Keep the message sent to `path`; False where nothing is kept of that path."""
        with self._lock:
            if path == "v1/traces":
                self.telemetry.add_spans(ExportTraceServiceRequest.FromString(body))
            elif path == "v1/metrics":
                self.telemetry.add_metrics(ExportMetricsServiceRequest.FromString(body))
            else:
                return False
        return True


def _unpacked(request: Request) -> bytes | None:
    """The message as it was before it was compressed, None where it is too large."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding == "identity":
        return request.body
    if encoding not in ("gzip", "deflate"):
        raise zlib.error(encoding)
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # it finds out itself which of the two it is
    body = unpacking.decompress(request.body, _MESSAGE_BYTES)
    if unpacking.unconsumed_tail:
        return None
    if not unpacking.eof:
        raise EOFError
    return body
