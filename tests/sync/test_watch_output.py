"""`otel-duckdb sync --watch` whose output goes to a pipe, a file, a terminal, or nowhere."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pytest

from eventually import eventually

WATCH = """
import sys
from otel_duckdb.commands import _sync_running
_sync_running._FIRST_WORD_SECONDS = _sync_running._WORD_SECONDS = 0.5
from otel_duckdb.cli import main
sys.argv = ["otel-duckdb", "sync", "--watch"]
sys.exit(main())
"""
WORD = "1 tables, 100 rows stored, 0 waiting"

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path):
    with duckdb.connect(str(tmp_path / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE ticks AS SELECT range AS id FROM range(100)")
    (tmp_path / "sync.toml").write_text('database = "buffer.duckdb"\ninterval = 0.2\n[[tables]]\nname = "ticks"\n')
    return tmp_path


@contextmanager
def watching(folder, output, errors=subprocess.PIPE, command=(sys.executable, "-c", WATCH)):
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, cwd=folder, stdout=output, stderr=errors, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()  # what a test that fails leaves running would be waited for


def wait_for_word(process):
    for line in process.stdout:
        if WORD in line.decode():
            return
    raise AssertionError("it ended without a word")


def shown_on(leader):
    """What a terminal that everybody has closed was told."""
    shown = b""
    with suppress(OSError):  # Linux ends a terminal with an error
        while piece := os.read(leader, 4096):
            shown += piece
    os.close(leader)
    return shown


def test_it_ends_in_silence_once_nobody_reads_its_lines(folder):
    with watching(folder, subprocess.PIPE) as process:
        wait_for_word(process)
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""


def test_a_disk_full_of_its_lines_keeps_no_row_from_being_sent(folder):
    with Path("/dev/full").open("w") as full, watching(folder, full) as process:
        for _ in range(2):
            line = process.stderr.readline().decode()
            assert line == "otel-duckdb: the sync goes on, but a line cannot be printed: No space left on device\n"
        log = folder / "buffer.duckdb.wal"  # nobody else can ask DuckDB while the sync has the file
        eventually(lambda: log.exists() and b'"acknowledged_rows": 100' in log.read_bytes())
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.communicate(timeout=30)[1].decode()
    assert process.returncode == 0
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        rows = connection.execute("SELECT state ->> '$.acknowledged_rows' FROM otel_duckdb_sync.tables").fetchall()
    assert rows == [("100",)]


def test_it_runs_without_a_standard_output(folder):
    leader, terminal = os.openpty()
    shell = f"exec {sys.executable} -c '{WATCH}' >&-"
    with watching(folder, None, terminal, ["sh", "-c", shell]) as process:
        os.close(terminal)
        eventually((folder / "buffer.duckdb.chdb").exists)
        time.sleep(1)
        process.send_signal(signal.SIGTERM)
        assert (process.wait(30), shown_on(leader)) == (0, b"")


def test_who_sends_the_lines_to_a_file_gets_them_though_a_terminal_is_there(folder):
    leader, terminal = os.openpty()
    with watching(folder, subprocess.PIPE, terminal) as process:
        os.close(terminal)
        wait_for_word(process)
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(30) == 0
    assert shown_on(leader) == b""
