"""ClickHouse's HTTP interface over the engine, with the faults it was told to have."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from clickhouse_standin import body, native
from clickhouse_standin.engine import Answer, EngineError
from clickhouse_standin.faults import Fault, Faults, Kind
from clickhouse_standin.statements import Statement, split
from clickhouse_standin.status import status_of
from clickhouse_standin.upstream import Passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_standin.engine import Engine
    from clickhouse_standin.upstream import Upstream

# Parameters of the interface itself. All others are settings, and the engine refuses one it does not know.
# Asynchronous inserts are done at once: what a client that waits for them sees is the same.
_NO_SETTINGS = frozenset(
    {
        "query",
        "database",
        "default_format",
        "client_protocol_version",
        "session_id",
        "session_check",
        "session_timeout",
        "query_id",
        "compress",
        "decompress",
        "quota_key",
        "role",
        "user",
        "password",
        "enable_http_compression",
        "wait_end_of_query",
        "buffer_size",
        "http_headers_progress_interval_ms",
        "send_progress_in_http_headers",
        "async_insert",
        "wait_for_async_insert",
    }
)
_LINGER_NOT = struct.pack("ii", 1, 0)
_UNKNOWN_COMPRESSION_METHOD = 89


class ConnectionDroppedError(Exception):
    """A fault ended the connection; nothing is to be answered."""


class ProxyError(Exception):
    """A fault answers with an HTTP status in ClickHouse's stead."""

    def __init__(self, status: int) -> None:
        """Answer with `status`."""
        super().__init__(status)
        self.status = HTTPStatus(status)


class Server(ThreadingHTTPServer):
    """Serves one engine on one port of 127.0.0.1; it can stop listening, as a server that is down, and listen again."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, engine: Engine | None, port: int, upstream: Upstream | None = None) -> None:
        """Take the port; accept() begins to serve, from the engine or, in its stead, from a real server."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.engine = engine
        self.upstream = upstream
        self.faults = Faults()
        self.port: int = self.server_address[1]
        self.listening = False
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._serving: threading.Thread | None = None

    def accept(self) -> None:
        """Listen, on the same port as before."""
        if self.listening:
            return
        if self._serving is not None:
            self.socket = socket.socket(self.address_family, self.socket_type)
            self.server_address = ("127.0.0.1", self.port)
            self.server_bind()
            self.server_activate()
        self._serving = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name="clickhouse-http"
        )
        self._serving.start()
        self.listening = True

    def refuse(self) -> None:
        """Stop listening and break every connection: new ones are refused by the operating system."""
        if not self.listening or self._serving is None:
            return
        self.shutdown()
        self._serving.join()
        self.socket.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _reset_on_close(connection)
            with contextlib.suppress(OSError):  # it may be closed by now
                connection.shutdown(socket.SHUT_RDWR)
        self.listening = False

    def process_request_thread(self, request: socket.socket, client_address: tuple[str, int]) -> None:  # type: ignore[override]  # typeshed has a wider address
        """Serve one connection, known to refuse() while it lives."""
        with self._lock:
            self._connections.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._connections.discard(request)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]  # typeshed also has UDP's requests
        """End a connection: in order, or by a reset where a fault wants that."""
        with contextlib.suppress(OSError):
            if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_LINGER_NOT)) == _LINGER_NOT:
                request.close()
                return
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: a client that goes away in the middle is no error of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes: the second would wait 40 ms for an acknowledgement
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Write no access log."""

    def do_GET(self) -> None:
        """Answer a ping or a query."""
        target = urlsplit(self.path)
        if target.path == "/ping":
            self._reply(HTTPStatus.OK, b"Ok.\n")
            return
        parameters = dict(parse_qsl(target.query, keep_blank_values=True))
        try:
            answer = self._answer(parameters)
        except ConnectionDroppedError:
            self.close_connection = True
            _reset_on_close(self.connection)
        except ProxyError as error:
            self._reply(error.status, f"<html><h1>{error.status.phrase}</h1></html>\n".encode())
        except EngineError as error:
            self._refuse(error.code, str(error))
        except body.UnknownEncodingError as error:
            self.close_connection = True  # the body was not read
            self._refuse(_UNKNOWN_COMPRESSION_METHOD, f"Code: {_UNKNOWN_COMPRESSION_METHOD}. DB::Exception: {error}")
        else:
            if isinstance(answer, Passed):
                self._reply(HTTPStatus(answer.status), answer.body, **answer.headers)
                return
            self._reply(
                HTTPStatus.OK, answer.body, **{"X-ClickHouse-Summary": f'{{"written_rows":"{answer.written_rows}"}}'}
            )

    do_POST = do_GET  # noqa: N815 - the name is the base class's

    def _answer(self, parameters: dict[str, str]) -> Answer | Passed:
        if self.server.upstream is not None:
            pieces = body.pieces(self.rfile, self.headers)
        else:
            fields = body.form(self.rfile, self.headers)
            parameters = {**parameters, **fields}
            pieces = iter(()) if fields else body.pieces(self.rfile, self.headers)
        head = f"{parameters['query']}\n".encode() if parameters.get("query") else b""
        first = next(pieces, b"")
        fault = self.server.faults.meet(_describe(head + first))
        if fault is not None and fault.kind is Kind.RESET:
            raise ConnectionDroppedError
        content = first + b"".join(pieces)

        def perform() -> Answer | Passed:
            if self.server.upstream is not None:
                return self.server.upstream.pass_on(self.command, self.path, dict(self.headers), content)
            return self._run(split(head + content), parameters)

        return perform() if fault is None else self._suffer(fault, perform)

    def _suffer(self, fault: Fault, perform: Callable[[], Answer | Passed]) -> Answer | Passed:
        """Do to a request what a fault says."""
        if fault.kind is Kind.ERROR:
            raise EngineError(
                f"Code: {fault.code}. DB::Exception: A fault made for a test. (code {fault.code})", fault.code
            )
        if fault.kind is Kind.STATUS:
            raise ProxyError(fault.status)
        if fault.kind is Kind.SLOW:
            time.sleep(fault.seconds)
        answer = perform()
        if fault.kind in (Kind.LOST_ANSWER, Kind.LATE_STATUS):
            time.sleep(fault.seconds)
            raise ConnectionDroppedError if fault.kind is Kind.LOST_ANSWER else ProxyError(fault.status)
        return answer

    def _run(self, statement: Statement, parameters: dict[str, str]) -> Answer:
        engine = self.server.engine
        if engine is None:
            raise EngineError("there is neither an engine nor a server behind this")
        if statement.sql.strip() == native.GREETING and "client_protocol_version" in parameters:
            return Answer(native.greeting(engine.version))
        database = parameters.get("database") or self.headers.get("X-ClickHouse-Database") or "default"
        settings = {
            name: value
            for name, value in parameters.items()
            if name not in _NO_SETTINGS and not name.startswith("param_")
        }
        if statement.carries_data:
            return engine.insert(statement, database=database, settings=settings)
        return engine.run(
            statement.sql,
            database=database,
            settings=settings,
            parameters={
                name.removeprefix("param_"): value for name, value in parameters.items() if name.startswith("param_")
            },
            session=parameters.get("session_id"),
            output_format=parameters.get("default_format") or self.headers.get("X-ClickHouse-Format") or "TabSeparated",
        )

    def _refuse(self, code: int, message: str) -> None:
        self._reply(status_of(code), f"{message}\n".encode(), **{"X-ClickHouse-Exception-Code": str(code)})

    def _reply(self, status: HTTPStatus, content: bytes, **headers: str) -> None:
        own = {
            "Content-Type": "application/octet-stream",
            "X-ClickHouse-Server-Display-Name": "chdb",
            "X-ClickHouse-Timezone": "UTC",
        }
        self.send_response(status)
        for name, value in {**own, **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Control(ThreadingHTTPServer):
    """Takes the faults over HTTP, on a port of its own, so that it can be reached while the server refuses."""

    daemon_threads = True

    def __init__(self, controlled: Server) -> None:
        """Take a free port."""
        super().__init__(("127.0.0.1", 0), _ControlHandler)
        self.controlled = controlled
        self.port: int = self.server_address[1]


class _ControlHandler(BaseHTTPRequestHandler):
    server: Control

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Write no access log."""

    def do_GET(self) -> None:
        """Tell the faults in force and how often each was met."""
        self._reply(HTTPStatus.OK, self.server.controlled.faults.report())

    def do_POST(self) -> None:
        """Change the faults: /faults arms one, /clear ends all, /refuse and /accept stop and start listening."""
        controlled = self.server.controlled
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.path:
            case "/faults":
                try:
                    controlled.faults.arm(Fault.from_json(json.loads(content)))
                except (KeyError, TypeError, ValueError) as error:
                    self._reply(HTTPStatus.BAD_REQUEST, f"not a fault: {error!r}")
                    return
            case "/clear":
                controlled.faults.clear()
                controlled.accept()
            case "/refuse":
                controlled.refuse()
            case "/accept":
                controlled.accept()
            case _:
                self._reply(HTTPStatus.NOT_FOUND, f"{self.path} is none of /faults, /clear, /refuse, /accept")
                return
        self.do_GET()

    def _reply(self, status: HTTPStatus, content: object) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)


def _describe(head: bytes) -> str:
    """The beginning of a request, for a fault's regular expression: enough to hold the statement of any insert."""
    return head[: body.PIECE].decode(errors="replace")


def _reset_on_close(connection: socket.socket) -> None:
    """Make the connection's close a reset rather than an orderly end."""
    with contextlib.suppress(OSError):  # it may be closed by now
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
