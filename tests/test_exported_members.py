"""What the package exports is a promise: a name more or less is a decision."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest

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


def test_nothing_else_is_public(monkeypatch):
    for name in otel_duckdb.__all__:
        monkeypatch.delitem(vars(otel_duckdb), name, raising=False)
    assert set(otel_duckdb.__all__) <= set(dir(otel_duckdb))
    for name in otel_duckdb.__all__:
        getattr(otel_duckdb, name)
    members = {name for name, value in vars(otel_duckdb).items() if not isinstance(value, ModuleType)}
    assert {name for name in members if not name.startswith("_")} - {"annotations"} == set(otel_duckdb.__all__)
    with pytest.raises(AttributeError, match="module 'otel_duckdb' has no attribute 'Nothing'"):
        _ = otel_duckdb.Nothing


def test_importing_the_package_loads_no_extra_and_not_duckdb_itself():
    heavy = "{'duckdb', 'opentelemetry.sdk', 'click', 'rich', 'pyarrow', 'pandas', 'prometheus_client', 'tenacity'}"
    code = f"import sys, otel_duckdb; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
