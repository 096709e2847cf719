"""DuckDB's own tests are read and run as they are meant, as far as errors go."""

import subprocess
import sys
from pathlib import Path

from duckdb_tests.sqllogic import Step, steps

TOOLS = Path(__file__).parents[2] / "tools"
CONTENT = """
# name: a.test
require json

statement ok con1
create table t
(a integer)

foreach type integer date

query I nosort
select 'x'::${type}
----
1
2

endloop

load __TEST_DIR__/a.db

statement error
select error('hunter2')
----
hunter2

require httpfs

statement ok
select 'left out'
"""


def test_the_steps_of_a_file():
    assert list(steps(CONTENT)) == [
        Step("create table t\n(a integer)", "con1"),
        Step("select 'x'::integer"),
        Step("__TEST_DIR__/a.db", opens=True),
        Step("select error('hunter2')"),
    ]


def test_the_share_of_useful_messages_is_told(tmp_path):
    (tmp_path / "test").mkdir()
    (tmp_path / "test/a.test").write_text(CONTENT, encoding="utf-8")
    command = [sys.executable, "-m", "duckdb_tests", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(TOOLS)})
    unknown, share = done.stdout.splitlines()
    assert unknown == "1 Invalid Input Error: hunter2"
    assert share.endswith("1 of 2 errors (50.0%) keep a useful message")
