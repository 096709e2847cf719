"""One client of ClickHouse, or of the embedded chDB, and the inserts made through it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import clickhouse_connect
from opentelemetry import propagate

from otel_duckdb.sync.types import backticked

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        self.database = options.database

    @property
    def client(self) -> Any:
        """The clickhouse-connect client. Raises as clickhouse_connect.get_client does."""
        if self._client is None:
            self._client = self._connect()
        return self._client

    @property
    def name(self) -> str:
        """The target, as messages name it."""
        options = self._options
        if options.host is None:
            return f"chDB at {self._path}" if self._path else "chDB in memory"
        return f"ClickHouse at {options.host}" + (f":{options.port}" if options.port else "")

    def _connect(self) -> Any:
        options = self._options
        if options.host is None:
            return clickhouse_connect.get_client(interface="chdb", path=self._path)
        return clickhouse_connect.get_client(
            host=options.host,
            port=options.port or 0,
            username=options.username,
            password=options.secret(),
            secure=options.secure,
            connect_timeout=max(1, int(options.timeout)),
            send_receive_timeout=max(1, int(options.timeout)),
            autogenerate_session_id=False,
            client_name="otel-duckdb",
        )

    def close(self) -> None:
        """Close the connection; the next use opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    @property
    def has_times(self) -> bool:
        """Whether the server has Time64."""
        numbers = re.findall(r"\d+", str(self.client.server_version))[:2]
        return tuple(map(int, numbers)) >= _TIME64_VERSION

    def table(self, name: str) -> str:
        """A table's full name as SQL."""
        return f"{backticked(self.database)}.{backticked(name)}"

    def command(self, statement: str, settings: dict[str, Any] | None = None) -> None:
        """Run a statement without a result."""
        self.client.command(statement, settings=self._known(settings or {}), transport_settings=_headers())

    def rows(self, query: str) -> Sequence[Sequence[Any]]:
        """Run a query, under the settings of the inserts, and return its rows."""
        settings = self._options.settings
        result: Sequence[Sequence[Any]] = self.client.query(
            query, settings=settings, transport_settings=_headers()
        ).result_rows
        return result

    def insert(self, table: str, payload: Payload, token: str) -> None:
        """Insert a batch as one block under a deduplication token; returns when ClickHouse has stored it."""
        settings = {
            **_SETTINGS,
            "max_insert_block_size": payload.rows + 1,
            "min_insert_block_size_rows": payload.rows + 1,
            "insert_deduplication_token": token,
        }
        self.client.raw_insert(
            self.table(table),
            payload.columns,
            payload.body,
            settings=self._known(settings) | self._options.settings,
            fmt="Arrow",
            transport_settings=_headers(),
        )

    def _known(self, settings: dict[str, Any]) -> dict[str, Any]:
        """The settings the server knows: older ones lack some, and refuse them."""
        known = self.client.server_settings
        return {name: value for name, value in settings.items() if name in known}


def _headers() -> dict[str, str]:
    """The W3C context, so that the server's own spans join the trace."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return headers
