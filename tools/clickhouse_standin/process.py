"""Starts and steers a stand-in from Python: always a process of its own, since chDB does not survive a fork."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_standin.faults import Fault

_STOP_TIMEOUT = 10.0


class StandIn:
    """A running stand-in.

        with StandIn(tmp_path / "clickhouse") as clickhouse:
            client = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port)
            with clickhouse.fault(Fault(Kind.ERROR, "^INSERT INTO trades", times=2, code=252)):
                ...

    The data stays in `directory`; a new stand-in over it finds it again. `port` 0 takes a free port.
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, port: int = 0, log: Path | None = None, upstream: str | None = None) -> None:
        """Prepare one; the file `log` takes what it writes to standard error, which else goes to the caller's.

        With an `upstream`, such as https://clickhouse.example:8443, it passes requests on to a real server.
        """
        self.directory = directory
        self._upstream = upstream
        self.port = port
        self._log = log
        self._control = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the HTTP interface."""
        return f"http://{self.host}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when it serves. Raises RuntimeError where it ends instead."""
        home = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH"))))
        command = [
            "-m",
            "clickhouse_standin",
            *(("--upstream", self._upstream) if self._upstream else ("--path", str(self.directory))),
            "--port",
            str(self.port),
            "--until-stdin-ends",
        ]
        with nullcontext() if self._log is None else self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # a terminal's Ctrl-C is for the starter
            )
        announced = self._process.stdout.readline() if self._process.stdout else b""
        if not announced:
            status = self._process.wait()
            self.stop()
            raise RuntimeError(f"the ClickHouse stand-in ended with status {status} before it served; see its log")
        ports = json.loads(announced)
        self.port, self._control = ports["port"], ports["control"]

    def stop(self) -> None:
        """Stop, and return when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    def arm(self, fault: Fault) -> None:
        """Put a fault in force until clear() is called, or it has been met as often as it says."""
        self._tell("/faults", fault.to_json())

    def clear(self) -> None:
        """End all faults, and listen again."""
        self._tell("/clear")

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        """Put a fault in force for a block."""
        self.arm(fault)
        try:
            yield
        finally:
            self.clear()

    def refuse(self) -> None:
        """Refuse connections until clear() is called, and break those that are open."""
        self._tell("/refuse")

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections for a block, and break those that are open."""
        self.refuse()
        try:
            yield
        finally:
            self._tell("/accept")

    def faults(self) -> list[dict[str, Any]]:
        """Each fault in force, with the number of statements that `met` it."""
        return self._tell("/faults", method="GET")

    def _tell(self, path: str, content: object = None, method: str = "POST") -> list[dict[str, Any]]:
        data = None if method == "GET" else json.dumps(content).encode()
        request = urllib.request.Request(f"http://{self.host}:{self._control}{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return list(json.load(answer))
