"""Starts the API of a monitor, as far as it can: what is wrong there is told, and the monitor runs on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from otel_duckdb.installation import advice
from otel_duckdb.text import printable

if TYPE_CHECKING:
    from otel_duckdb.monitor.api import ApiServer
    from otel_duckdb.monitor.api.watched import Watched
    from otel_duckdb.monitor.settings import MonitorSettings

_logger = logging.getLogger("otel_duckdb")


def serve(monitor: Watched, settings: MonitorSettings) -> ApiServer | None:
    """Start the API, and return it; None where it is switched off or cannot be."""
    if not settings.serve or settings.light:
        return None
    try:
        from otel_duckdb.monitor.api import ApiServer  # noqa: PLC0415 - the extra may not be installed
    except ModuleNotFoundError as error:
        advised = advice(error.name or "h11", "monitor")
        _logger.warning("otel_duckdb: the monitor's API needs %s; %s", error.name, advised)
        return None
    try:
        return ApiServer(monitor, settings)
    except (OSError, ValueError) as error:
        where = printable(f"{settings.host}:{settings.port or 3001}")
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        _logger.warning("otel_duckdb: the monitor's API does not run on %s: %s", where, printable(reason))
        return None
