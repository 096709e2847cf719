"""The command line: exit codes, one line for an error, JSON where a machine may read."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import duckdb
import pytest

from command_line import otel_duckdb
from otel_duckdb.installation import install_command

OTEL = [sys.executable, "-m", "otel_duckdb.cli"]


def run(*arguments, folder=None):
    done = otel_duckdb(*arguments, folder=folder)
    return done.returncode, done.stdout, done.stderr


def run_process(*arguments, folder=None):
    """As a user does. It is slow; what opens an embedded chDB needs it, for a process can open one folder alone."""
    done = subprocess.run([*OTEL, *arguments], capture_output=True, text=True, cwd=folder, check=False)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path):
    with duckdb.connect(str(tmp_path / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE ticks AS SELECT range AS a FROM range(1000)")
    (tmp_path / "sync.toml").write_text('database = "buffer.duckdb"\n[[tables]]\nname = "ticks"\n')
    return tmp_path


def test_help_lists_the_commands():
    code, out, _ = run("--help")
    assert code == 0
    assert "sync" in out


def test_no_arguments_print_the_help_as_help():
    assert run_process() == run() == run("--help")


def test_an_unknown_command_is_wrong_usage_in_one_line():
    code, out, err = run("snyc")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "snyc" in err


def test_without_click_one_line_says_what_to_install():
    script = "import sys; sys.modules['click'] = None; from otel_duckdb.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert install_command("cli") in done.stderr


@pytest.mark.parametrize(
    ("command", "module", "extra"),
    [
        ("demo", "opentelemetry.proto", "otlp"),
        ("demo", "rich", "cli"),
        ("demo", "h11", "cli"),
        ("sync", "pyarrow", "sync"),
        ("sync", "clickhouse_connect", "sync"),
    ],
)
def test_a_package_that_is_missing_is_exit_2_and_the_smallest_extra_is_advised(command, module, extra, folder):
    script = f"import sys; sys.modules[{module!r}] = None; from otel_duckdb.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", script, command], capture_output=True, text=True, check=False, cwd=folder
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert install_command(extra) in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error():
    done = subprocess.run(
        f"{sys.executable} -m otel_duckdb.cli rules | head -1", shell=True, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


def test_what_was_not_foreseen_is_one_line_too():
    script = (
        "import sys; from otel_duckdb import rules; rules.prometheus_rules = lambda *_, **__: 1 / 0;"
        "from otel_duckdb.cli import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", script, "rules"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "ZeroDivisionError: division by zero" in done.stderr


def test_help_imports_no_command():
    script = (
        "import sys; sys.argv = ['otel-duckdb', '--version']; from otel_duckdb.cli import main; main();"
        "assert not {'pyarrow', 'clickhouse_connect', 'otel_duckdb.sync'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 0


def test_a_buffer_is_synced_to_an_embedded_target_beside_it_and_its_status_told(folder):
    code, out, err = run_process("sync", folder=folder)
    assert (code, out, err) == (0, "ticks: 1000 rows sent\n", "")
    script = (
        "import sys, clickhouse_connect as c; k = c.get_client(interface='chdb', path=sys.argv[1]);"
        "print(k.query('SELECT count(), sum(a) FROM ticks').result_rows)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder / "buffer.duckdb.chdb")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[(1000, 499500)]\n"
    code, out, _ = run("sync", "--status", "--json", folder=folder)
    (status,) = json.loads(out)
    assert code == 0
    assert (status["acknowledged_rows"], status["pending_rows"], status["healthy"]) == (1000, 0, True)
    code, out, _ = run_process("sync", "--json", folder=folder)
    assert (code, json.loads(out)) == (0, [{"table": "ticks", "rows": 0, "error": None}])
    assert "caught up" in run("sync", "--status", folder=folder)[1]


def test_a_dry_run_tells_what_would_be_sent_and_run_and_makes_no_target(folder):
    code, out, _ = run_process("sync", "--dry-run", folder=folder)
    first, *statements = out.splitlines()
    assert (code, first) == (0, "ticks -> ticks: 1000 rows would be sent, after")
    assert [statement.split("(")[0].strip() for statement in statements] == [
        "CREATE TABLE IF NOT EXISTS `default`.`ticks`",
    ]
    assert not (folder / "buffer.duckdb.chdb").exists()


@pytest.mark.slow
def test_a_dry_run_tells_how_a_target_would_be_changed_and_changes_nothing(folder):
    assert run_process("sync", folder=folder)[0] == 0
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        connection.execute("ALTER TABLE ticks ADD COLUMN b INTEGER")
        connection.execute("INSERT INTO ticks VALUES (1, 2)")
    code, out, _ = run_process("sync", "--dry-run", "--json", folder=folder)
    (plan,) = json.loads(out)
    assert (code, plan["rows"], plan["refusal"]) == (0, 1, None)
    assert plan["statements"] == ["ALTER TABLE `default`.`ticks` ADD COLUMN IF NOT EXISTS `b` Nullable(Int32)"]
    assert run_process("sync", "--dry-run", "--json", folder=folder)[1] == out


def test_a_dry_run_tells_of_each_table_why_it_would_be_refused(folder):
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE odd (u UNION(a INTEGER))")
    with (folder / "sync.toml").open("a") as file:
        file.write('[[tables]]\nname = "odd"\n[[tables]]\nname = "none"\n')
    code, out, _ = run_process("sync", "--dry-run", folder=folder)
    assert code == 1
    assert "odd -> odd: REFUSED: table 'odd', column 'u' holds UNION" in out
    assert "none -> none: REFUSED: table 'none' is not in the DuckDB database" in out
    assert "ticks -> ticks: 1000 rows would be sent" in out


def test_a_dry_run_asks_a_server_that_is_away(folder):
    with (folder / "sync.toml").open("a") as file:
        file.write('[target]\nhost = "127.0.0.1"\nport = 1\n')
    code, out, _ = run("sync", "--dry-run", folder=folder)
    assert code == 1
    assert "ticks -> ticks: REFUSED: ClickHouse at 127.0.0.1:1 does not answer" in out


def test_a_terminal_sees_how_far_each_table_is(folder):
    leader, terminal = os.openpty()
    with subprocess.Popen(
        [*OTEL, "sync"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=terminal,
        text=True,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(terminal)
        shown = b""
        with suppress(OSError):  # Linux ends a terminal with an error
            while piece := os.read(leader, 4096):
                shown += piece
        os.close(leader)
        out = process.stdout.read()
    assert (process.returncode, out) == (0, "ticks: 1000 rows sent\n")
    assert "1000/1000" in shown.decode()


def test_a_failing_table_is_exit_1_and_shows_in_the_status(folder):
    with duckdb.connect(str(folder / "buffer.duckdb")) as connection:
        connection.execute("CREATE TABLE odd (u UNION(a INTEGER))")
    with (folder / "sync.toml").open("a") as file:
        file.write('[[tables]]\nname = "odd"\n')
    code, out, err = run_process("sync", folder=folder)
    assert code == 1
    assert "ticks: 1000 rows sent" in out
    assert "column 'u'" in err.splitlines()[-1]


def test_a_server_that_is_away_is_exit_1_and_shows_in_the_status(folder):
    with (folder / "sync.toml").open("a") as file:
        file.write('[target]\nhost = "127.0.0.1"\nport = 1\n[retry]\nattempts = 1\n')
    code, _, err = run("sync", folder=folder)
    assert code == 1
    assert "ClickHouse at 127.0.0.1:1" in err
    code, out, _ = run("sync", "--status", folder=folder)
    assert code == 1
    assert "FAILING since" in out


def test_a_wrong_file_is_wrong_usage_in_one_line(folder):
    (folder / "sync.toml").write_text("databse = 1\n")
    code, out, err = run("sync", folder=folder)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "unknown key databse" in err


def test_a_database_that_is_not_there_is_not_made(folder):
    (folder / "sync.toml").write_text('database = "none.duckdb"\n[[tables]]\nname = "ticks"\n')
    code, _, err = run("sync", folder=folder)
    assert code == 2
    assert "none.duckdb" in err
    assert not (folder / "none.duckdb").exists()


@pytest.mark.parametrize("option", [(), ("--status",), ("--dry-run",)], ids=["once", "status", "dry run"])
def test_a_file_that_is_no_database_is_one_cause_with_one_exit_code_and_no_word_of_other_processes(folder, option):
    (folder / "sync.toml").write_text('database = "sync.toml"\n[[tables]]\nname = "ticks"\n')
    code, _, err = run("sync", *option, folder=folder)
    assert code == 1
    assert "cannot open" in err
    assert "process" not in err


def test_a_reset_names_one_table(folder):
    assert run("sync", "--reset", "ticks", "--reset", "other", "--yes", folder=folder)[0] == 2
    assert "--reset is ''" in run("sync", "--reset", "", "--yes", folder=folder)[2]


@pytest.mark.slow
def test_a_reset_sends_all_rows_anew(folder):
    assert run_process("sync", folder=folder)[0] == 0
    code, out, err = run_process("sync", "--reset", "ticks", folder=folder)
    assert (code, out.strip()) == (2, "")
    assert "the 1000 rows in the buffer will be sent anew" in err
    assert "--reset ticks --delete-sent --yes" in err
    assert run_process("sync", folder=folder)[1] == "ticks: 0 rows sent\n"
    assert run_process("sync", "--reset", "ticks", "--yes", folder=folder)[0] == 0
    assert run_process("sync", folder=folder)[1] == "ticks: 1000 rows sent\n"
    assert run_process("sync", "--reset", "other", "--yes", folder=folder)[0] == 2
