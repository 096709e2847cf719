"""Runs a program under `opentelemetry-instrument`, as a user would, and tells it what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# The deploy guide's environment, but with short intervals: a test waits for each of them.
_ENVIRONMENT = {
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED": "true",
    "OTEL_BSP_SCHEDULE_DELAY": "250",
    "OTEL_BLRP_SCHEDULE_DELAY": "250",
}


def environment_of(name: str, endpoint: str, **more: str) -> dict[str, str]:
    """The environment of a program that sends to `endpoint`, named as in OTEL_SERVICE_NAME."""
    return {
        **os.environ,
        **_ENVIRONMENT,
        "OTEL_SERVICE_NAME": name,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        **more,
    }


class Service:
    """A program that reads commands as lines of JSON and answers each with one."""

    def __init__(self, name: str, endpoint: str, log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Name it as in OTEL_SERVICE_NAME; what it writes to standard error goes to `log`."""
        self.name = name
        self._log = log
        self._environment = environment_of(name, endpoint, **(environment or {}))
        self._process: subprocess.Popen[str] | None = None

    @property
    def running(self) -> bool:
        """Whether it was started and not yet stopped."""
        return self._process is not None

    def start(self, program: Path, *arguments: str) -> Self:
        """Start it, and return when it says that it is ready."""
        instrument = Path(sys.executable).parent / "opentelemetry-instrument"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [instrument, sys.executable, program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
            )
        self._answer()
        return self

    def do(self, name: str, **arguments: object) -> dict[str, Any]:
        """Have it do something, and return its answer. Raises RuntimeError where it ended instead."""
        process = self._running()
        if process.stdin is not None:
            process.stdin.write(json.dumps({"do": name, **arguments}) + "\n")
            process.stdin.flush()
        return self._answer()

    def stop(self, timeout: float = 30.0) -> int:
        """Let it end by itself, which sends what it still holds; return its exit status."""
        process, self._process = self._running(), None
        with process:
            if process.stdin is not None:
                process.stdin.close()
            try:
                return process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    def _answer(self) -> dict[str, Any]:
        process = self._running()
        line = process.stdout.readline() if process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"{self.name} ended with status {process.wait()}: {self.log()[-2000:]}")
        return dict(json.loads(line))

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process
