"""The hook of `duckdb.connect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_duckdb.core.location import location

if TYPE_CHECKING:
    from otel_duckdb.intercept.gate import Gate


class ConnectCall:
    """`connect`, which makes a connection or says why it cannot."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any] | None:
        """Remember which database is asked for."""
        if not self._gate.active or not self._gate.everything:
            return None
        return (arguments[0] if arguments else keywords.get("database", ":memory:"),)

    def succeed(self, asked: tuple[Any], result: Any) -> Any:
        """Register the connection."""
        self._gate.connections.add(result, location(asked[0]))
        return result

    def fail(self, _asked: tuple[Any], error: BaseException) -> None:
        """Count the failure."""
        self._gate.dispatcher.connect_failed(error)
