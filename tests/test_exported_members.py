"""What the package exports is a promise: a name more or less is a decision."""

from __future__ import annotations

import subprocess
import sys

import otel_duckdb


def test_the_exported_names_are_exactly_these():
    assert sorted(otel_duckdb.__all__) == [
        "DuckDBInstrumentor",
        "Operation",
        "SettingError",
        "Settings",
        "Statement",
    ]
    for name in otel_duckdb.__all__:
        assert getattr(otel_duckdb, name).__module__.startswith("otel_duckdb.")


def test_nothing_else_is_public():
    public = {name for name in vars(otel_duckdb) if not name.startswith("_")}
    submodules = {name for name in public if f"otel_duckdb.{name}" in sys.modules}
    assert public - submodules == set(otel_duckdb.__all__)


def test_importing_the_package_loads_no_extra_and_not_duckdb_itself():
    heavy = "{'duckdb', 'opentelemetry.sdk', 'click', 'rich', 'pyarrow', 'pandas', 'prometheus_client', 'tenacity'}"
    code = f"import sys, otel_duckdb; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
