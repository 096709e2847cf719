"""The hook of `duckdb.connect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_duckdb.core.connection import location

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_duckdb.intercept.gate import Gate


class ConnectCall:
    """`connect`, which makes a connection or says why it cannot."""

    def __init__(self, gate: Gate, failed: Callable[[BaseException], None]) -> None:
        self._gate = gate
        self._failed = failed

    def begin(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[Any] | None:
        """Remember which database is asked for."""
        if not self._gate.active or not self._gate.everything:
            return None
        return (arguments[0] if arguments else keywords.get("database", ":memory:"),)

    def succeed(self, asked: tuple[Any], result: Any) -> Any:
        """Register the connection."""
        try:
            self._gate.connections.add(result, location(asked[0]))
        except Exception as fault:
            self._gate.internal_errors.report("intercept", fault)
        return result

    def fail(self, _asked: tuple[Any], error: BaseException) -> None:
        """Count the failure."""
        try:
            self._failed(error)
        except Exception as fault:
            self._gate.internal_errors.report("intercept", fault)
