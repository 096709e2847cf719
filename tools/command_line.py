"""Runs `otel-duckdb` in this process, for tests that ask what a command says and does, and not of the process it is."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from subprocess import CompletedProcess
from typing import TYPE_CHECKING
from unittest import mock

from otel_duckdb.commands._group import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def otel_duckdb(
    *arguments: str | Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> CompletedProcess[str]:
    """Run one command in a folder, with further variables; the exit code and what it printed in that encoding."""
    with (
        tempfile.TemporaryFile("w+", encoding=encoding) as out,
        tempfile.TemporaryFile("w+", encoding=encoding) as err,
        contextlib.chdir(folder or "."),
        mock.patch.dict(os.environ, environment or {}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _loggers_as_they_were("otel_duckdb", "clickhouse_connect", "urllib3", "opentelemetry"),
    ):
        code = run([str(argument) for argument in arguments])
        out.seek(0)
        err.seek(0)
        return CompletedProcess(["otel-duckdb", *arguments], code, out.read(), err.read())


@contextlib.contextmanager
def _loggers_as_they_were(*names: str) -> Iterator[None]:
    """A command gives loggers handlers for as long as its process lives; here they are taken off after it."""
    kept = {name: logging.getLogger(name).handlers[:] for name in names}
    try:
        yield
    finally:
        for name, handlers in kept.items():
            logging.getLogger(name).handlers[:] = handlers
