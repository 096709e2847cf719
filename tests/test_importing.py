"""DuckDB is imported by the program, never before it: DuckDB looks around when it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otel_duckdb.installation import install_command

QUIET = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}


def run(folder, text, *, instrumented, **variables):
    path = folder / "app.py"
    path.write_text(text)
    launcher = [str(Path(sys.executable).with_name("opentelemetry-instrument"))] if instrumented else []
    done = subprocess.run(
        [*launcher, sys.executable, str(path)],
        env=os.environ | QUIET | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_settings_are_the_same_under_opentelemetry_instrument(tmp_path):
    text = (
        "import duckdb\n"
        "rows = duckdb.connect().execute('SELECT name, value FROM duckdb_settings() ORDER BY name').fetchall()\n"
        "print([row for row in rows if row[0] not in ('secret_directory',)])\n"
        "print(hasattr(duckdb.DuckDBPyConnection.execute, '__wrapped__'))"
    )
    plain = run(tmp_path, text, instrumented=False).stdout.splitlines()
    observed = run(tmp_path, text, instrumented=True).stdout.splitlines()
    assert observed[0] == plain[0]
    assert "('enable_progress_bar', 'false')" in observed[0]
    assert plain[1] == "False"
    assert observed[1] == "True"


def test_a_program_without_duckdb_does_not_load_it(tmp_path):
    done = run(tmp_path, "import sys; print('duckdb' in sys.modules)", instrumented=True)
    assert done.stdout == "False\n"


USED_LATER_OR_BY_FEW = {
    # Modules that a start brings along in any case, such as asyncio with OpenTelemetry's API, are not among them.
    *("http.server", "multiprocessing", "sqlite3", "xml.etree", "pdb", "unittest", "difflib", "shlex", "tomllib"),
    *("click", "rich", "h11", "apprise", "cryptography", "filelock", "clickhouse_connect", "tenacity", "chdb"),
    *("pyarrow", "pandas", "numpy", "polars", "sqlalchemy", "prometheus_client"),
}
"""Modules of Python's library and of extras."""
ROOMS_FOR_FEW = ("monitor", "sync", "rules", "web", "demo", "commands", "exporters", "cli", "testing")


def test_a_start_imports_nothing_that_is_used_later_or_by_few(tmp_path):
    text = (
        "import duckdb, sys\n"
        "duckdb.connect().execute('SELECT 42').fetchall()\n"
        "print(*sorted(name.removeprefix('otel_duckdb.') for name in sys.modules))"
    )
    imported = set(run(tmp_path, text, instrumented=True).stdout.split())
    assert "instrumentor" in imported
    assert not imported & (USED_LATER_OR_BY_FEW | set(ROOMS_FOR_FEW))


def test_uninstrument_before_the_import_leaves_duckdb_as_it_is(tmp_path):
    text = (
        "from otel_duckdb import DuckDBInstrumentor\n"
        "DuckDBInstrumentor().uninstrument()\n"
        "import duckdb\n"
        "print(hasattr(duckdb.DuckDBPyConnection.execute, '__wrapped__'))"
    )
    assert run(tmp_path, text, instrumented=True).stdout == "False\n"


def test_only_the_last_instrument_before_the_import_counts(tmp_path):
    text = (
        "from otel_duckdb import DuckDBInstrumentor\n"
        "instrumentor = DuckDBInstrumentor()\n"
        "instrumentor.instrument()\n"
        "instrumentor.uninstrument()\n"
        "instrumentor.instrument()\n"
        "import duckdb\n"
        "print(hasattr(duckdb.DuckDBPyConnection.execute, '__wrapped__'))\n"
        "instrumentor.uninstrument()\n"
        "print(hasattr(duckdb.DuckDBPyConnection.execute, '__wrapped__'))"
    )
    assert run(tmp_path, text, instrumented=False).stdout == "True\nFalse\n"


@pytest.mark.parametrize("imported", ["import duckdb\n", ""])
def test_a_bad_option_is_told_at_once(tmp_path, imported):
    text = (
        f"{imported}"
        "from otel_duckdb import DuckDBInstrumentor, SettingError\n"
        "try:\n"
        "    DuckDBInstrumentor().instrument(min_duration_ms=-1)\n"
        "except SettingError as error:\n"
        "    print(error)\n"
    )
    expected = "min_duration_ms is -1; allowed is a number of milliseconds from 0\n"
    assert run(tmp_path, text, instrumented=False).stdout == expected


def test_a_bad_environment_variable_is_logged_and_the_program_runs(tmp_path):
    text = "import duckdb\nprint(duckdb.execute('SELECT 42').fetchall())"
    done = run(tmp_path, text, instrumented=True, OTEL_DUCKDB_PROFILE="sometimes")
    assert done.stdout == "[(42,)]\n"
    assert "OTEL_DUCKDB_PROFILE is 'sometimes'; allowed is off or slow or all" in done.stderr


def test_what_needs_no_extra_of_the_sync_does_without_them(tmp_path):
    text = (
        "import sys\n"
        "for name in ('pyarrow', 'clickhouse_connect', 'tenacity'): sys.modules[name] = None\n"
        "from otel_duckdb.sync import trace_sync, load\n"
        "with trace_sync('ticks') as sync: sync.record(rows=1)\n"
        "print('duckdb' in sys.modules)\n"
        "try:\n"
        "    from otel_duckdb.sync import Sync\n"
        "except ModuleNotFoundError as error:\n"
        "    print(error)"
    )
    loaded, refusal = run(tmp_path, text, instrumented=False).stdout.splitlines()
    assert loaded == "False"
    assert refusal == f"otel_duckdb.sync.Sync needs pyarrow; run: {install_command('sync')}"
