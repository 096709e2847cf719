"""Tells systemd that a service is ready, alive and about to stop, where systemd asks for that."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ADDRESS: Final = "NOTIFY_SOCKET"
_TIMEOUT: Final = 1.0


class ServiceManager:
    """The manager that started this process, as the variables of a service with `Type=notify` name it; else nobody.

    Attributes:
        watchdog_seconds: Within which it wants a sign of life, None where it wants none.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        """Read the variables; `os.environ` if None."""
        environment = os.environ if environment is None else environment
        self._address = _address(environment.get(_ADDRESS, ""))
        self.watchdog_seconds = _watchdog(environment)

    def ready(self, status: str) -> None:
        """Tell that the service has started."""
        self._tell("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """Give a sign of life."""
        self._tell("WATCHDOG=1", f"STATUS={status}")

    def stopping(self) -> None:
        """Tell that the service is about to end."""
        self._tell("STOPPING=1")

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        told = "\n".join(line.replace("\n", " ") for line in lines).encode()
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            sending.settimeout(_TIMEOUT)
            sending.connect(self._address)
            sending.send(told)


def _address(given: str) -> str | None:
    """A path, or a name that begins with a zero byte, which is written as `@`."""
    if given[:1] not in {"/", "@"} or not hasattr(socket, "AF_UNIX"):
        return None
    return f"\0{given[1:]}" if given.startswith("@") else given


def _watchdog(environment: Mapping[str, str]) -> float | None:
    microseconds = environment.get("WATCHDOG_USEC", "")
    for_whom = environment.get("WATCHDOG_PID", "")
    if not microseconds.isdigit() or not int(microseconds) or for_whom not in {"", str(os.getpid())}:
        return None
    return int(microseconds) / 1e6
