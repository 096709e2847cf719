"""`scripts/error-messages CHECKOUT [SHARE]`: which errors of DuckDB's own tests keep a useful message.

CHECKOUT is a clone of DuckDB's repository at the version that is installed; of its test files one in SHARE is run, all
unless it is given. A file that crashes DuckDB or takes too long is left at that point.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Final

import duckdb

from duckdb_tests.sqllogic import Step, steps
from otel_duckdb.core.errors import safe_message
from otel_duckdb.statement import parse

_STATEMENT_SECONDS: Final = 2
_FILE_SECONDS: Final = 25
_FILES_OF_A_CHILD: Final = 40
_ROWS: Final = 3000
_SET_UP: Final = """
    set threads = 1; set memory_limit = '1GB';
    set autoinstall_known_extensions = false; set autoload_known_extensions = false
"""


class File:
    """One test file, its connections and its folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = tempfile.mkdtemp()
        self._database = ":memory:"
        self._connections: dict[str, duckdb.DuckDBPyConnection] = {}

    def run(self) -> None:
        """Run all its steps, and print each error as a line of JSON."""
        try:
            for step in steps(self._path.read_text(encoding="utf-8", errors="replace")):
                try:
                    self._step(step)
                except Exception as error:
                    _tell(step.text, error)
        finally:
            self._close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _step(self, step: Step) -> None:
        text = step.text.replace("__TEST_DIR__", self._folder).replace("{TEST_DIR}", self._folder)
        if step.opens:
            self._close()
            self._database = text or self._database
            return
        connection = self._connection(step.connection)
        timer = threading.Timer(_STATEMENT_SECONDS, connection.interrupt)
        timer.start()
        try:
            connection.execute(text).fetchmany(_ROWS)
        finally:
            timer.cancel()

    def _connection(self, name: str) -> duckdb.DuckDBPyConnection:
        if "" not in self._connections:
            self._connections[""] = duckdb.connect(self._database)
            self._connections[""].execute(_SET_UP)
        if name not in self._connections:
            self._connections[name] = self._connections[""].cursor()
        return self._connections[name]

    def _close(self) -> None:
        for connection in self._connections.values():
            with suppress(duckdb.Error):
                connection.close()
        self._connections.clear()


def _tell(text: str, error: Exception) -> None:
    message = str(error)
    if message.startswith("INTERRUPT"):
        return
    told = safe_message(error, parse(text).redacted)
    is_useful = " " in told and not told.endswith("Error: ?")
    print(
        json.dumps({"useful": is_useful, "message": message[:1000], "told": told, "statement": text[:500]}), flush=True
    )


def _child(files: list[Path]) -> None:
    for file in files:
        timer = threading.Timer(_FILE_SECONDS, os._exit, (3,))
        timer.daemon = True
        timer.start()
        print(f"file {file}", flush=True)
        File(file).run()
        timer.cancel()
    os._exit(0)  # a database that is left open must not hold up the end


def _errors(root: Path, files: list[Path]) -> list[dict[str, object]]:
    """What children that run the files say; after one that ended early, the next goes on behind its last file."""
    found: list[dict[str, object]] = []
    while files:
        part, files = files[:_FILES_OF_A_CHILD], files[_FILES_OF_A_CHILD:]
        command = [sys.executable, "-m", "duckdb_tests", "--child", *map(str, part)]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        found += [json.loads(line) for line in lines if line.startswith("{")]
        begun = sum(line.startswith("file ") for line in lines)
        files = part[max(begun, 1) :] + files
    return found


def main(arguments: list[str]) -> None:
    """Run the files, and print the share of useful messages and those that the table does not know."""
    if arguments[:1] == ["--child"]:
        _child([Path(name) for name in arguments[1:]])
    if not arguments or not (Path(arguments[0]) / "test").is_dir():
        raise SystemExit(
            f"error-messages: {' '.join(arguments) or 'no argument'} is no checkout of DuckDB's repository"
        )
    root = Path(arguments[0]).absolute()
    step = int(arguments[1]) if len(arguments) > 1 else 1
    errors = _errors(root, sorted(root.glob("test/**/*.test"))[::step])
    unknown = Counter(str(each["message"])[:160] for each in errors if not each["useful"])
    for message, count in unknown.most_common():
        print(count, message.replace("\n", "\\n"))
    if not errors:
        raise SystemExit(f"error-messages: no test in {root} gave an error")
    useful = sum(bool(each["useful"]) for each in errors)
    share_of_all = f"{useful} of {len(errors)} errors ({useful / len(errors):.1%})"
    print(f"DuckDB {duckdb.__version__}: {share_of_all} keep a useful message")


if __name__ == "__main__":
    main(sys.argv[1:])
