"""One part of the pipeline: a process that is ready when its address answers."""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLL = 0.05
_STOP_TIMEOUT = 15.0


class StartError(Exception):
    """A part that did not become ready; the text names its log."""


@dataclass(slots=True)
class Part:
    """A program, how it is run, and the address that answers with status 200 once it is ready."""

    name: str
    command: list[str]
    ready_url: str
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The number of the running process."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process; `wait_until_ready` tells when it serves."""
        if self._process is not None:
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_ends_with_its_starter(), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
                start_new_session=True,  # a terminal's Ctrl-C is for the starter, which stops the parts in order
            )

    def wait_until_ready(self, timeout: float = 60.0) -> None:
        """Return when the ready address answers. Raises StartError when the process ends, or the time is up."""
        deadline = time.monotonic() + timeout
        while not _answers(self.ready_url):
            self.check()
            if time.monotonic() > deadline:
                raise StartError(f"{self.name} was not ready after {timeout:g} s; see {self.log}")
            time.sleep(_POLL)

    def check(self) -> None:
        """Raises StartError where the process has ended by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise StartError(f"{self.name} ended with status {self._process.returncode}; see {self.log}")

    def stop(self) -> None:
        """End the process, in order if it lets itself be."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()


def _ends_with_its_starter() -> list[str]:
    """A prefix that ends a program when its starter is killed, where the system has one."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _answers(url: str) -> bool:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=2)
    try:
        connection.request("GET", address.path or "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
