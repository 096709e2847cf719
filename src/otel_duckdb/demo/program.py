"""Runs a program under `opentelemetry-instrument`, with its telemetry sent to an address of ours."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

_ENDING: Final = 5.0
"""Seconds that the program has to end, where we are ended."""
_COLLECTION_MS: Final = 200
"""Gauges are read this often, so that a short program shows them too."""


def run_instrumented(program: Sequence[str], endpoint: str, output: IO[str] | None = None) -> int:
    """Run `program`, its standard output on `output`, and return its exit code.

    Raises:
        FileNotFoundError: `opentelemetry-instrument` is not installed beside this Python.
    """
    instrument = Path(sys.executable).with_name("opentelemetry-instrument")
    command = [str(instrument), *_words(program)]
    process = subprocess.Popen(  # noqa: S603 - running the user's program is what this is for
        command, env=environment(endpoint, os.environ), stdout=output
    )
    try:
        return process.wait()
    except BaseException:  # of Ctrl-C it has heard itself, of a SIGTERM to this process it has not
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING)
        process.kill()  # does nothing to one that has ended
        process.wait()
        raise


def _words(program: Sequence[str]) -> list[str]:
    """The words of the command: a Python file is run by this Python, and nothing stands for the sample."""
    if not program:
        return [sys.executable, "-m", "otel_duckdb.demo.sample"]
    return [sys.executable, *program] if program[0].endswith(".py") else list(program)


def environment(endpoint: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The inherited variables without those that lead telemetry elsewhere, and those that send it to `endpoint`."""
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith("OTEL_") or name.startswith(("OTEL_DUCKDB_", "OTEL_PYTHON_"))
    }
    return {
        **kept,
        **_without_proxy(inherited),
        "OTEL_TRACES_EXPORTER": "otlp",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRIC_EXPORT_INTERVAL": str(_COLLECTION_MS),
    }


def _without_proxy(inherited: Mapping[str, str]) -> dict[str, str]:
    """What is reached without a proxy: what the program reached so before, and our address."""
    given = inherited.get("no_proxy") or inherited.get("NO_PROXY") or ""
    hosts = ",".join(part for part in (given.strip(" ,"), "127.0.0.1") if part)
    return dict.fromkeys(("NO_PROXY", "no_proxy"), hosts)
