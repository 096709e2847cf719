"""Exports a command's own telemetry where the standard OTEL_* variables ask for it."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final

import click
from opentelemetry import _logs, metrics, trace

from otel_duckdb.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ASKING: Final = ("OTEL_EXPORTER_OTLP_", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_CONFIG_FILE")
_OFF: Final = {"true", "1"}
_END_SECONDS: Final = 5.0
"""How long the end waits for a collector that does not answer."""


def asked() -> bool:
    """Whether the environment asks for telemetry, and nobody has configured any yet."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() in _OFF:
        return False
    configured = trace._TRACER_PROVIDER is not None or metrics._internal._METER_PROVIDER is not None
    return not configured and any(name.startswith(_ASKING) and value.strip() for name, value in os.environ.items())


@contextmanager
def exported() -> Iterator[None]:
    """Configure OpenTelemetry's SDK as `opentelemetry-instrument` does, and send what is left at the end.

    Where that fails, the command goes on without telemetry, and says so in one line.
    """
    root = logging.getLogger()
    before = tuple(root.handlers)
    if asked():
        try:
            _configure()
        except Exception as error:
            _warn(
                f"no telemetry is exported, for what the OTEL_* variables ask for cannot be set up: {error}; correct"
                " them, install what they name (pip install 'otel-duckdb[otlp]'), or set OTEL_SDK_DISABLED=true"
            )
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if one not in before]:
            _let_go(handler)
        _end()


def _configure() -> None:
    if "service.name" not in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        os.environ.setdefault("OTEL_SERVICE_NAME", "otel-duckdb-sync")
    for signal in ("TRACES", "METRICS"):
        os.environ.setdefault(f"OTEL_{signal}_EXPORTER", "otlp")
    os.environ.setdefault("OTEL_LOGS_EXPORTER", "none")
    for point in entry_points(group="opentelemetry_configurator"):
        point.load()().configure(auto_instrumentation_version="")
        return
    raise RuntimeError("OpenTelemetry's SDK is not installed")


def _let_go(handler: logging.Handler) -> None:
    """Take a handler of the SDK off the root logger.

    Its `flush`, called at exit, starts a thread, which Python 3.12 refuses with a traceback; the provider sends all
    that is left when it is shut down.
    """
    logging.getLogger().removeHandler(handler)
    handler.flush = lambda: None  # type: ignore[method-assign] # the SDK keeps the handler, so it cannot just go


def _end() -> None:
    """Send what is left, of all signals at once, and wait for a bounded time."""
    logs = getattr(_logs._internal, "_LOGGER_PROVIDER", None)
    providers = (trace._TRACER_PROVIDER, metrics._internal._METER_PROVIDER, logs)
    shutdowns = [shutdown for one in providers if (shutdown := getattr(one, "shutdown", None)) is not None]
    threads = [threading.Thread(target=_quietly, args=(shutdown,), daemon=True) for shutdown in shutdowns]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _END_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    if any(thread.is_alive() for thread in threads):
        _warn(f"the last telemetry was not delivered within {_END_SECONDS:g} s; is the collector there?")
        for shutdown in shutdowns:
            atexit.unregister(shutdown)  # it would wait again


def _quietly(shutdown: Callable[[], None]) -> None:
    try:
        shutdown()
    except Exception as error:
        _warn(f"the last telemetry was not delivered: {error}")


def _warn(message: str) -> None:
    click.echo(f"otel-duckdb: {printable(message)}", err=True)
