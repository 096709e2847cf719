"""Where this package lies and what surrounds it: without metadata, without an SDK, with a misspelt variable."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from otel_duckdb import installation, settings
from otel_duckdb.installation import install_command

SOURCE = Path(__file__).parents[1] / "src"


def run(program, *, before=(), **environment):
    done = subprocess.run(
        [*before, sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


HIDDEN = """
import importlib.metadata as metadata
real = metadata.version, metadata.distribution
def hide(name, ask):
    if name == "otel-duckdb": raise metadata.PackageNotFoundError(name)
    return ask(name)
metadata.version = lambda name: hide(name, real[0])
metadata.distribution = lambda name: hide(name, real[1])
"""
QUERY = """
import duckdb
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from otel_duckdb import DuckDBInstrumentor
exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
DuckDBInstrumentor().instrument(tracer_provider=provider)
duckdb.connect().execute("SELECT 42").fetchall()
[span] = exporter.get_finished_spans()
print(span.name, span.instrumentation_scope.version)
"""


def test_without_its_metadata_the_package_works_all_the_same():
    assert run(HIDDEN + QUERY).stdout.split() == ["SELECT", "unknown"]


def test_the_package_works_from_a_zip_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "vendored.zip", "w") as archive:
        for file in (SOURCE / "otel_duckdb").rglob("*.py"):
            archive.write(file, file.relative_to(SOURCE))
    program = f"import sys; sys.path.insert(0, {str(tmp_path / 'vendored.zip')!r})\n" + HIDDEN + QUERY
    out = run(program + "import otel_duckdb; print(otel_duckdb.__file__)").stdout
    assert "SELECT unknown" in out
    assert "vendored.zip" in out


def test_the_command_line_tells_a_version_without_metadata():
    assert (
        run(HIDDEN + "from otel_duckdb.commands._group import run; run(['--version'])").stdout
        == "otel-duckdb, version unknown\n"
    )


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (None, "pip install 'otel-duckdb[sync]'"),
        ({"url": "file:///a/clone", "dir_info": {}}, "pip install '/a/clone[sync]'"),
        ({"url": "file:///a/my%20clone", "dir_info": {"editable": True}}, "pip install -e '/a/my clone[sync]'"),
        (
            {"url": "https://host/x.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "pip install 'otel-duckdb[sync] @ git+https://host/x.git@abc'",
        ),
        (
            {"url": "file:///a/otel_duckdb-1-py3-none-any.whl", "archive_info": {}},
            "pip install 'otel-duckdb[sync] @ file:///a/otel_duckdb-1-py3-none-any.whl'",
        ),
    ],
)
def test_a_hint_names_a_command_that_works_for_how_the_package_was_installed(monkeypatch, origin, command):
    class Distribution(metadata.Distribution):
        def read_text(self, filename):
            return None if origin is None else json.dumps(origin)

        def locate_file(self, path):
            return path

    monkeypatch.setattr(installation.metadata, "distribution", lambda _name: Distribution())
    assert install_command("sync") == command


def test_a_hint_without_metadata_names_the_package(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installation.metadata, "distribution", missing)
    assert install_command("sync", "chdb") == "pip install 'otel-duckdb[sync,chdb]'"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("OTEL_DUCKDB_PROFIL", "OTEL_DUCKDB_PROFILE"),
        ("OTEL_DUCKDB_SLOW_TRESHOLD", "OTEL_DUCKDB_SLOW_THRESHOLD_MS"),
        ("OTEL_DUCDB_REQUIRE_PARENT", "OTEL_DUCKDB_REQUIRE_PARENT"),
        ("otel_duckdb_profile", "OTEL_DUCKDB_PROFILE"),
    ],
)
def test_a_misspelt_variable_is_told_with_the_nearest_one(name, nearest):
    [sentence] = settings.misspelt_variables({name: "x", "OTEL_DUCKDB_PROFILE": "off", "OTEL_TRACES_EXPORTER": "none"})
    assert sentence == f"the environment variable {name} is no option; the nearest is {nearest}"


def test_a_misspelt_variable_leaves_one_warning_when_duckdb_is_instrumented():
    program = "import duckdb\nfrom otel_duckdb import DuckDBInstrumentor\nDuckDBInstrumentor().instrument()"
    assert run(program, OTEL_DUCKDB_PROFIL="all").stderr == (
        "otel_duckdb: the environment variable OTEL_DUCKDB_PROFIL is no option; the nearest is OTEL_DUCKDB_PROFILE\n"
    )


BARE = """
import os, sys
os.environ.setdefault("PYTHONPATH", "")  # which opentelemetry-instrument sets
for name in ("opentelemetry.sdk", "opentelemetry.distro"): sys.modules[name] = None
import opentelemetry.instrumentation.auto_instrumentation.sitecustomize  # what opentelemetry-instrument runs first
import duckdb
duckdb.connect().execute("SELECT 42").fetchall()
"""


def told_by(program, **environment):
    lines = run(program, **environment).stderr.splitlines()
    return [line for line in lines if line.startswith("otel_duckdb:")]


def test_opentelemetry_instrument_without_an_sdk_leaves_one_line_that_says_what_to_install():
    environment = {"OTEL_PYTHON_DISTRO": "none", "OTEL_PYTHON_CONFIGURATOR": "none"}
    [line] = told_by(BARE, **environment)
    assert line == (
        "otel_duckdb: opentelemetry-instrument found no OpenTelemetry SDK, so nothing is recorded; "
        f"run: {install_command('otlp')}"
    )
    assert told_by(BARE, **environment, OTEL_SDK_DISABLED="true") == []


def test_instrumented_in_code_without_an_sdk_nothing_is_said_for_one_may_come():
    program = "import duckdb\nfrom otel_duckdb import DuckDBInstrumentor\nDuckDBInstrumentor().instrument()"
    assert told_by(program) == []
