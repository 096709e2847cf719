"""The code blocks of the documentation run as they are printed, page by page, each page in a fresh folder.

A block that cannot run says why in a remark in front of it, `<!-- not run: the reason -->`; a line that cannot, here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest
import yaml

from otel_duckdb.sync import config

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "examples/README.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))

LINES_NOT_RUN = {
    "pip install": "the tests' environment has all extras; tests/test_installation.py tells what each is good for",
    "make": "each target is a way to all of the repository, and `make test` to this test",
    "promtool": "tests/rules gives the rules to Prometheus itself",
    "amtool": "tests/rules gives the configuration to Alertmanager itself",
    "curl": "tests/exporters asks the endpoint",
}
"""Programs, by their first words, that no block runs."""

LANGUAGES_NOT_RUN = {
    "promql": "made from the rules, which tests/rules gives to Prometheus",
    "text": "no code",
}

APP = "import duckdb\nduckdb.connect('app.db').execute('SELECT 42').fetchall()\n"

FILES = {
    "README.md": {"app.py": APP},
    "docs/index.md": {"app.py": APP},
    "docs/deploy.md": {"app.py": APP},
    "docs/metrics.md": {"app.py": APP},
    "docs/monitor.md": {"app.py": APP},
}
"""What the reader of a page has already."""

BEFORE = {
    "DuckDBInstrumentor().instrument_connection(con)\n": (
        "import duckdb\nfrom otel_duckdb import DuckDBInstrumentor\ncon = duckdb.connect()\n"
    ),
    "sync = Sync(connection,": (
        "import duckdb\nconnection = duckdb.connect('buffer.db')\n"
        "connection.execute('CREATE TABLE ticks AS SELECT 1 AS a')\n"
        "connection.execute('CREATE TABLE orders AS SELECT 1 AS id')\n"
    ),
    "sync.record(rows=copy_ticks())": "def copy_ticks():\n    return 3\n",
    "def test_the_report_reads_its_table_once():": (
        "import duckdb\nconnection = duckdb.connect()\n"
        "connection.execute('CREATE TABLE sales AS SELECT * FROM range(16)')\n"
        "def make_report():\n    return connection.execute('SELECT * FROM sales').fetchall()\n"
    ),
    "@pytest.fixture": "import duckdb\nimport pytest\nfrom otel_duckdb.testing import RecordedTelemetry\n",
}
"""By what stands in a block: the program that it is part of, before it."""

AFTER = {
    "@pytest.fixture": (
        "def test_it(telemetry):\n    duckdb.sql('SELECT 1').fetchall()\n    assert telemetry.names() == ['SELECT']\n"
    ),
}

ELSEWHERE = {
    'Target(host="clickhouse")': 'Target(path="clickhouse")',  # an embedded one for a server
    '"127.0.0.1", 9464': '"127.0.0.1", 0',  # other tests may have the port
}

SAYS = {
    "export OTEL_TRACES_EXPORTER=console": '"db.system.name": "duckdb"',
    "otel-duckdb demo app.py": "connect app",
    "otel-duckdb sync --status": "trades",
    "otel-duckdb sync               # trades: 1000 rows sent": "trades: 1000 rows sent",
    "# ['SELECT']": "['SELECT']",
    "# …, 'BEGIN', 'CREATE TABLE trades'": "'CREATE TABLE trades', 'BATCH INSERT trades', 'COMMIT', 'ROLLBACK']",
}
"""By what stands in a block: what it prints."""


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    place: str
    reason: str | None


def blocks(page):
    text = page.read_text(encoding="utf-8")
    found = re.finditer(r"(?:<!-- not run:([^>]*)-->\n)?^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [
        Block(block[2], block[3], f"{page.name}:{text.count(chr(10), 0, block.start(3)) + 1}", block[1])
        for block in found
    ]


def name(page):
    return page.relative_to(ROOT).as_posix()


def environment(folder):
    ours = {variable: value for variable, value in os.environ.items() if not variable.startswith("OTEL_")}
    return {
        **ours,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "OTEL_TRACES_EXPORTER": "none",  # unless the block says where: nobody listens here
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "0",
    }


def ran(block, folder, *command):
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120, check=False
    )
    told = f"{block.place}\n{block.text}\n{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, told
    assert "Traceback" not in done.stderr, told
    assert "SettingError" not in done.stderr, told
    for part, answer in SAYS.items():
        if part in block.text:
            assert answer in done.stdout, told


def one(table, text):
    return "".join(value for part, value in table.items() if part in text)


def run_python(block, folder):
    text = one(BEFORE, block.text) + block.text + one(AFTER, block.text)
    for printed, here in ELSEWHERE.items():
        text = text.replace(printed, here)
    file = folder / "test_block.py"
    file.write_text(text, encoding="utf-8")
    tests = "def test_" in text
    ran(block, folder, sys.executable, *(["-m", "pytest", "-q", "-p", "no:cacheprovider"] if tests else []), file)


def commands(block):
    """The commands of a shell's block, without prompts, what they print, and lines that are not run here."""
    lines = block.text.splitlines()
    if block.language == "console":
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    words = [" ".join(shlex.split(line, comments=True)[:2]) for line in lines]
    return [
        line
        for line, first in zip(lines, words, strict=True)
        if not any(first == program or first.startswith(f"{program} ") for program in LINES_NOT_RUN)
    ]


def run_shell(block, folder):
    if kept := commands(block):
        ran(block, folder, "bash", "-euo", "pipefail", "-c", "\n".join(kept))


def run_toml(block, folder):
    document = tomllib.loads(block.text)
    if {"database", "tables"} <= document.keys():
        config.parse(document, folder)
    if block.text.startswith("# sync.toml"):
        (folder / "sync.toml").write_text(block.text, encoding="utf-8")
        with duckdb.connect(str(folder / document["database"])) as connection:
            connection.execute("CREATE TABLE trades AS SELECT range AS id FROM range(10)")


def run_yaml(block, _folder):
    assert isinstance(yaml.safe_load(block.text), dict), block.place


def run_json(block, _folder):
    assert isinstance(json.loads(block.text), dict), block.place


def run_sql(block, _folder):
    with duckdb.connect() as connection:
        connection.execute(block.text)


RUN = {
    "python": run_python,
    "sh": run_shell,
    "console": run_shell,
    "toml": run_toml,
    "yaml": run_yaml,
    "json": run_json,
    "sql": run_sql,
}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_blocks_of_a_page_run_one_after_the_other_in_a_fresh_folder(page, tmp_path):
    for folder in ("collector-config", "examples"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for file, text in FILES.get(name(page), {}).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    for block in blocks(page):
        if block.reason is None and block.language not in LANGUAGES_NOT_RUN:
            RUN[block.language](block, tmp_path)


def test_a_block_that_is_not_run_says_why():
    reasons = [block.reason for page in PAGES for block in blocks(page) if block.reason is not None]
    assert reasons
    assert all(len(reason.split()) > 1 for reason in reasons)


def test_every_remark_and_every_fence_is_one_of_a_block():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        found = blocks(page)
        assert text.count("```") == 2 * len(found), page.name
        assert text.count("<!-- not run:") == sum(block.reason is not None for block in found), page.name


def test_everything_that_this_test_knows_of_blocks_is_in_one_that_is_run():
    run = "\n".join(block.text for page in PAGES for block in blocks(page) if block.reason is None)
    assert [part for table in (BEFORE, AFTER, ELSEWHERE, SAYS) for part in table if part not in run] == []
    first_words = [f"{program} " for program in LINES_NOT_RUN]
    assert [words for words in first_words if words not in run] == []


def test_a_block_that_fails_is_found(tmp_path):
    for block in (
        Block("python", "import duckdb\n1 / 0\n", "a page:1", None),
        Block("sh", "no-such\n", "a page:2", None),
    ):
        with pytest.raises(AssertionError, match="a page:"):
            RUN[block.language](block, tmp_path)
