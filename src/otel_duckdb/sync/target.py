"""One client of ClickHouse, or of the embedded chDB, and the inserts made through it."""

from __future__ import annotations

import re
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import clickhouse_connect
from opentelemetry import propagate

from otel_duckdb.sync.messages import keep_secret
from otel_duckdb.sync.transport import Transport
from otel_duckdb.sync.types import backticked

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from otel_duckdb.sync.config import Target
    from otel_duckdb.sync.payload import Payload

_TIME64_VERSION: Final = (25, 6)
# One batch is one block, so that it is stored wholly or not at all, and its token stands for all of it. ClickHouse must
# answer when the rows are stored, not before: since 26 its default is otherwise.
_SETTINGS: Final[dict[str, Any]] = {
    "async_insert": 0,
    "wait_for_async_insert": 1,
    "insert_deduplicate": 1,
    "max_insert_threads": 1,
    "min_insert_block_size_bytes": 0,
    "input_format_parallel_parsing": 0,
    "date_time_overflow_behavior": "throw",
}


class Clickhouse:
    """A client that connects when it is first used; one thread uses it at a time."""

    def __init__(self, options: Target, embedded_path: str | None) -> None:
        """Prepare a client of `options.host`, or of chDB at `options.path`, else at `embedded_path`, else in memory."""
        self._options = options
        self._path = options.path or embedded_path
        self._client: Any = None
        self._transport: Transport | None = None
        self._session: str | None = None
        self.database = options.database
        self.cluster = options.cluster
        self.seconds = options.timeout

    @property
    def name(self) -> str:
        """The target, as messages name it."""
        options = self._options
        if options.host is None:
            return f"chDB at {self._path}" if self._path else "chDB in memory"
        return f"ClickHouse at {options.host}" + (f":{options.port}" if options.port else "")

    @contextmanager
    def _calling(self) -> Iterator[Any]:
        """The clickhouse-connect client, connected first where it is not; all of it within one `timeout`.

        Raises what clickhouse_connect.get_client and its client do.
        """
        if self._options.host is not None and self._transport is None:
            self._transport = Transport(
                self._options.host,
                self._options.port or 0,
                secure=self._options.secure,
                seconds=self._options.timeout,
            )
        if self._transport is None:
            self._client = self._client or clickhouse_connect.get_client(interface="chdb", path=self._path)
            yield self._client
            return
        with self._transport.call():
            self._client = self._client or self._connect(self._transport)
            yield self._client

    def _connect(self, transport: Transport) -> Any:
        options, password = self._options, self._options.secret()
        keep_secret(options.username or "", password)
        return clickhouse_connect.get_client(
            host=options.host,
            port=options.port or 0,
            username=options.username,
            password=password,
            secure=options.secure,
            connect_timeout=max(1, int(options.timeout)),
            send_receive_timeout=max(1, int(options.timeout)),
            session_id=self._session,
            autogenerate_session_id=False,
            query_retries=0,
            client_name="otel-duckdb",
            pool_mgr=transport.manager,
        )

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        client, self._client = self._client, None
        transport, self._transport = self._transport, None
        if client is not None:
            client.close()
        if transport is not None:
            transport.manager.clear()

    def abort(self) -> None:
        """Break off what is under way over the network, from any thread."""
        transport = self._transport
        if transport is not None:
            transport.abort()

    @property
    def aborted(self) -> bool:
        """Whether the last call was broken off."""
        return self._transport is not None and self._transport.aborted

    def has_times(self) -> bool:
        """Whether the server has Time64."""
        with self._calling() as client:
            numbers = re.findall(r"\d+", str(client.server_version))[:2]
        return tuple(map(int, numbers)) >= _TIME64_VERSION

    def table(self, name: str) -> str:
        """A table's full name as SQL."""
        return f"{backticked(self.database)}.{backticked(name)}"

    def command(self, statement: str, settings: dict[str, Any] | None = None) -> None:
        """Run a statement without a result."""
        with self._calling() as client:
            client.command(statement, settings=_known(client, settings or {}), transport_settings=_headers())

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """Run a query, under the settings of the inserts, and return its rows."""
        with self._calling() as client:
            result: Sequence[Sequence[Any]] = client.query(
                query, settings=self._options.settings, transport_settings=_headers()
            ).result_rows
        return result

    @contextmanager
    def session(self) -> Iterator[Clickhouse]:
        """A client with a session of its own, in which temporary tables live; they end with it."""
        one = Clickhouse(self._options, self._path)
        one._session = secrets.token_hex(16)
        try:
            yield one
        finally:
            one.close()

    def insert(self, table: str, payload: Payload, token: str) -> None:
        """Insert a batch as one block under a deduplication token; returns when ClickHouse has stored it."""
        settings = {
            **_SETTINGS,
            "max_insert_block_size": payload.rows + 1,
            "min_insert_block_size_rows": payload.rows + 1,
            "insert_deduplication_token": token,
        }
        with self._calling() as client:
            client.raw_insert(
                self.table(table),
                payload.columns,
                payload.body,
                settings=_known(client, settings) | self._options.settings,
                fmt="Arrow",
                transport_settings=_headers(),
            )


def _known(client: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """The settings the server knows: older ones lack some, and refuse them."""
    return {name: value for name, value in settings.items() if name in client.server_settings}


def _headers() -> dict[str, str]:
    """The W3C context, so that the server's own spans join the trace."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
