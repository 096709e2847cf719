"""The commands of the monitor at narrow and dumb terminals, with closed outputs, odd numbers and odd files."""

import os
import signal
import subprocess
import sys

import click
import pytest
from rich.console import Console

from command_line import otel_duckdb
from otel_duckdb import cli
from otel_duckdb.commands import _monitors, benchmark, cleanup, top
from otel_duckdb.commands._group import CommandError, group
from otel_duckdb.commands._signals import ending_in_order
from otel_duckdb.monitor.discovery import Announcement

STATEMENT = {
    **dict.fromkeys(("total_ms", "mean_ms", "p95_ms", "max_ms"), 1234.5),
    **dict.fromkeys(("calls", "rows"), 123456),
    "share": 0.5,
    "plan_regression": None,
    "errors": 0,
    "text": "select sum(a) from t where a > ? group by b",
}
FOUND = {"since": "2026-11-26T14:00:00.000Z", "statements": [STATEMENT], "remainder": None, "dropped": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        *("health --memory-percent nan", "health --critical-hours nan", "health --oldest-seconds inf"),
        *("top --interval nan", "top --interval inf", "report --period nan", "monitor FILE --interval nan"),
    ],
)
def test_what_is_no_finite_number_is_wrong_usage(arguments, tmp_path):
    file = tmp_path / "a.duckdb"
    file.touch()
    with pytest.raises(click.UsageError, match="is not a finite number"):
        group.main([str(file) if word == "FILE" else word for word in arguments.split()], standalone_mode=False)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
@pytest.mark.parametrize("command", ["status", "monitor"])
def test_a_pipe_or_a_device_is_not_waited_for(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(click.UsageError, match="is not a regular file"):
            group.main([command, str(path)], standalone_mode=False)


def shown(width, *printed):
    console = Console(width=width, file=None, record=True, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(*printed)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "columns"), [(120, 7), (80, 7), (40, 3)])
def test_a_narrow_terminal_sees_the_statement_and_whole_figures(width, columns):
    head, row = shown(width, top._table(FOUND, "total", width))
    assert len(head.split()) == columns
    assert "select sum(a) from" in row
    assert "1.23 s" in row


def test_the_figure_that_is_sorted_by_is_never_left_out():
    head, _ = shown(40, top._table({**FOUND, "statements": [{**STATEMENT, "errors": 123_456}]}, "errors", 40))
    assert head.split() == ["total", "errors", "statement"]


def test_what_runs_now_can_be_named_on_a_narrow_terminal():
    running = {
        "id": 12345,
        "elapsed_seconds": 75.2,
        "phase": "execute or waiting",
        "rows": 1_234_567,
        "text": "select 1",
    }
    assert shown(80, top._running([running], 80))[1].split("  ") == [
        *("12345", "1 min 15 s", "execute or waiting", "1,234,567", "select 1"),
    ]
    assert shown(40, top._running([running], 40))[1].split("  ") == ["12345", "1 min 15 s", "select 1"]


def test_a_narrow_terminal_sees_what_a_clean_up_did(monkeypatch, capsys):
    action = {"action": "remove_temporary_files", "database": "shop", "outcome": "nothing to do", "seconds": 0.0}
    action |= {"detail": "there is no folder of temporary files", "before": {}, "after": {}, "freed_bytes": 0}
    monkeypatch.setattr(cleanup, "console", lambda: Console(width=40, file=sys.stdout))
    cleanup._draw("app.py (process 1)", [action], dry_run=True)
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "app.py (process 1)",
        *("remove_temporary_files shop: nothing to", "do", "  there is no folder of temporary files"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes an output with other words")
def test_a_closed_output_is_no_error_and_is_no_files_number():
    program = "import os, sys; from otel_duckdb.commands._group import run; run(['--help'])"
    program += "; sys.exit(os.fstat(1).st_rdev != os.stat(os.devnull).st_rdev or sys.stdout is None)"
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" >&-', sys.executable, program], stderr=subprocess.PIPE, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="a process is ended in another way")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_a_command_made_is_put_away_where_it_is_ended_by_a_signal(name):
    number = getattr(signal, name)
    before = signal.signal(number, signal.SIG_DFL)
    put_away = []

    @ending_in_order()
    def work():
        try:
            signal.raise_signal(number)
        finally:
            put_away.append(name)

    try:
        with pytest.raises(SystemExit) as ended:
            work()
        assert (ended.value.code, put_away) == (128 + number, [name])
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_signal_that_whoever_starts_a_command_ignores_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ending_in_order():
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ctrl_c_in_the_middle_of_a_query_is_no_fault(monkeypatch):
    def interrupted(*_):
        raise RuntimeError("Query interrupted")  # as DuckDB says it

    monkeypatch.setattr(benchmark, "run_test", interrupted)
    done = otel_duckdb("benchmark", "--test-type", "query")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "otel-duckdb: interrupted")


def test_ctrl_c_while_modules_are_imported_is_one_line(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_main", interrupted)
    assert cli.main() == 1
    assert capsys.readouterr().err == "otel-duckdb: interrupted\n"


def announced(pid, started):
    return Announcement(pid, "127.0.0.1", 1, "token", "0.1.0", started, "app.py")


def test_of_several_monitors_in_one_process_the_oldest_is_asked_and_of_several_processes_none(monkeypatch):
    found = [announced(7, 20.0), announced(7, 10.0)]
    monkeypatch.setattr(_monitors, "running", lambda: iter(found))
    assert _monitors.one_monitor().started == _monitors.one_monitor(7).started == 10.0
    found.append(announced(8, 5.0))
    with pytest.raises(CommandError, match=r"choose one with --pid: 8 \(app\.py\), 7 \(app\.py\)"):
        _monitors.one_monitor()
    assert _monitors.one_monitor(7).started == 10.0
