"""Asks a monitor of this machine, in another process."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import psutil

from otel_duckdb.monitor.discovery import KEY_HEADER

if TYPE_CHECKING:
    from otel_duckdb.monitor.discovery import Announcement

_SECONDS: Final = 5.0
_ACTING_SECONDS: Final = 60.0


class MonitorError(Exception):
    """A monitor gave no answer, or refused; the text says why."""


def ask(monitor: Announcement, path: str, *, within: float = _SECONDS, **query: Any) -> dict[str, Any]:
    """Return what a monitor answers to a GET, within so many seconds.

    Raises:
        MonitorError: it gave no answer, or refused.
    """
    given = urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)
    return _exchange(monitor, "GET", f"{path}?{given}" if given else path, None, within)


def act(monitor: Announcement, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a monitor answers to a POST.

    Raises:
        MonitorError: it gave no answer, or refused.
    """
    ask(monitor, "/healthz")  # one that hangs is told long before an action may have taken its time
    return _exchange(monitor, "POST", path, json.dumps(body or {}), _ACTING_SECONDS)


def _exchange(monitor: Announcement, method: str, path: str, body: str | None, seconds: float) -> dict[str, Any]:
    if _is_stopped(monitor.pid):
        raise MonitorError(
            f"process {monitor.pid} is stopped, by SIGSTOP or a debugger; kill -CONT {monitor.pid} lets it go on"
        )
    headers = {KEY_HEADER: monitor.token, "Content-Type": "application/json"}
    connection: http.client.HTTPConnection | None = None
    try:
        connection = _connection(monitor, seconds)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
    except TimeoutError as error:
        raise MonitorError(
            f"the monitor of process {monitor.pid} gives no answer within {seconds:g} s; the process hangs, or its"
            " machine is overloaded"
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise MonitorError(f"the monitor of process {monitor.pid} gives no answer: {error}") from error
    finally:
        if connection is not None:
            connection.close()
    if response.status != http.client.OK:
        raise MonitorError(f"the monitor of process {monitor.pid} refused: {answer.get('error', response.reason)}")
    return answer


def _is_stopped(pid: int) -> bool:
    """Whether a process is stopped: its system takes connections for it, and it answers none."""
    try:
        return psutil.Process(pid).status() in {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}
    except (psutil.Error, OSError):  # of another namespace of processes, or gone
        return False


def _connection(monitor: Announcement, seconds: float) -> http.client.HTTPConnection:
    if not monitor.certificate:
        return http.client.HTTPConnection(monitor.host, monitor.port, timeout=seconds)
    import ssl  # noqa: PLC0415 - most monitors serve no TLS

    # The monitor's own certificate is trusted, and no other; it is rarely made out to 127.0.0.1.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cafile=monitor.certificate)
    return http.client.HTTPSConnection(monitor.host, monitor.port, timeout=seconds, context=context)
