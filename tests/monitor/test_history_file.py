"""The file of the history: what outlives a restart, and files that are no history."""

import os
import sqlite3
import stat
import sys
from contextlib import closing

import duckdb
import pytest

from otel_duckdb import contract
from otel_duckdb.monitor.history import History
from otel_duckdb.monitor.history.file import HistoryFile
from otel_duckdb.monitor.sample import Sample, Series

USED = Series(contract.MEMORY_USED.name, (("database", "x"),))
NOW = 1_000_020.0


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr("time.time", lambda: NOW)


@pytest.fixture
def started():
    """Starts a history with its file; at the end of the test every one is closed."""
    files = []

    def start(path):
        history = History()
        files.append(HistoryFile(history, str(path)))
        files[-1].start()
        return history, files[-1]

    yield start
    for file in files:
        file.stop()


@pytest.fixture
def filled(started):
    def fill(path, seconds, begin=NOW - 600):
        history, file = started(path)
        for second in range(seconds):
            sample = Sample(begin + second, float(second), {USED: float(second)})
            history.sampled(sample)
            file.sampled(sample)
        return history, file

    return fill


def means(history):
    [told] = history.as_json(start=NOW - 660, end=NOW, step=60)["series"]
    return [value for value in told["mean"] if value is not None]


def test_a_restart_goes_on_with_what_was_there(tmp_path, filled, started):
    before, file = filled(tmp_path / "h.sqlite", 300)
    file.stop()
    after, _ = started(tmp_path / "h.sqlite")
    assert means(after) == pytest.approx(means(before))
    assert len(means(after)) >= 5


def test_a_program_that_is_killed_loses_less_than_a_minute(tmp_path, filled, started):
    before, _ = filled(tmp_path / "h.sqlite", 300)
    after, _ = started(tmp_path / "h.sqlite")
    assert means(after) == pytest.approx(means(before)[:-1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_its_user_s_alone(tmp_path, filled):
    filled(tmp_path / "h.sqlite", 61)[1].stop()
    assert stat.S_IMODE((tmp_path / "h.sqlite").stat().st_mode) == 0o600


def test_a_file_that_is_no_history_is_put_aside_and_told(tmp_path, caplog, filled):
    (tmp_path / "h.sqlite").write_bytes(b"no history at all" * 1000)
    _, file = filled(tmp_path / "h.sqlite", 120)
    file.stop()
    assert (tmp_path / "h.sqlite.damaged").read_bytes().startswith(b"no history")
    assert "is no history, and was put aside as h.sqlite.damaged" in caplog.text
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as connection, connection:
        assert connection.execute("SELECT count(*) FROM minutes").fetchone()[0] >= 2


@pytest.mark.parametrize(
    "kind", ["a database of DuckDB", "tables of another program, such as pages", "no ordinary file"]
)
def test_a_file_that_is_somebody_s_is_left_as_it_is(tmp_path, caplog, filled, kind):
    path = tmp_path / "h.sqlite"
    if kind.startswith("a database"):
        duckdb.connect(path).close()
    elif kind.startswith("tables"):
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE pages (text VARCHAR)")
    elif hasattr(os, "mkfifo"):
        os.mkfifo(path)
    before = path.read_bytes() if path.is_file() else None
    history, file = filled(path, 120)
    file.stop()
    assert kind in caplog.text
    assert caplog.text.count("the history is not kept in") == 1
    assert means(history)
    assert sorted(tmp_path.iterdir()) == [path]
    assert before == (path.read_bytes() if path.is_file() else None)


@pytest.mark.parametrize("path", ["such\0name", "/proc/nothing/h.sqlite"])
def test_a_file_that_cannot_be_made_is_one_line_and_the_history_goes_on_in_memory(path, caplog, filled):
    history, file = filled(path, 120)
    file.stop()
    assert caplog.text.count("the history is not kept in") == 1
    assert means(history)


def test_rows_that_make_no_sense_are_passed_over(tmp_path, filled, started):
    _, file = filled(tmp_path / "h.sqlite", 120)
    file.stop()
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as connection, connection:
        connection.execute("INSERT INTO series VALUES (77, 'x', 'no JSON')")
        connection.execute("INSERT INTO minutes VALUES (?, ?)", (int(NOW // 60), b"\0" * 17))
        connection.execute("INSERT INTO minutes VALUES (?, 'text')", (int(NOW // 60) - 1,))
    after, _ = started(tmp_path / "h.sqlite")
    assert means(after)


WORKS_FOR_EVER = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x, 'm' || x, '[]' FROM r"


@pytest.mark.parametrize(
    "statement",
    [
        f"DROP TABLE series; CREATE VIEW series (id, metric, labels) AS {WORKS_FOR_EVER}",
        f"CREATE TRIGGER t AFTER INSERT ON minutes BEGIN INSERT INTO series {WORKS_FOR_EVER}; END",
        "DROP TABLE minutes; CREATE TABLE minutes (minute, points, x AS (length(zeroblob(900000000))) STORED)",
    ],
    ids=["view", "trigger", "computed"],
)
def test_a_file_with_more_than_a_history_in_it_is_put_aside(tmp_path, caplog, filled, statement):
    path = tmp_path / "h.sqlite"
    filled(path, 120)[1].stop()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(statement)
    filled(path, 120)[1].stop()
    assert "is no history, and was put aside as h.sqlite.damaged" in caplog.text
    assert len(minutes(path)) >= 2


def test_a_minute_larger_than_any_is_passed_over(tmp_path, filled, started):
    path = tmp_path / "h.sqlite"
    filled(path, 120)[1].stop()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO minutes VALUES (?, zeroblob(4000000))", (int(NOW // 60),))
        connection.execute("INSERT INTO series VALUES (78, zeroblob(100000), '[]')")
    after, file = started(path)
    assert means(after)
    assert len(file._series) == 1


def test_series_that_no_minute_has_any_more_leave_the_file_and_the_memory(tmp_path, filled, monkeypatch):
    monkeypatch.setattr("otel_duckdb.monitor.history.file._SWEPT_ABOVE", 10)
    path = tmp_path / "h.sqlite"
    filled(path, 120)[1].stop()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany("INSERT INTO series (metric, labels) VALUES (?, '[]')", ((f"m{n}",) for n in range(50)))
    _, file = filled(path, 120)
    assert len(file._series) == 1
    file.stop()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT metric FROM series").fetchall() == [(USED.metric,)]


def minutes(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        return [minute for (minute,) in connection.execute("SELECT minute FROM minutes ORDER BY minute")]


def test_what_is_more_than_a_day_is_removed_the_farthest_first(tmp_path, filled):
    path, now = tmp_path / "h.sqlite", int(NOW // 60)
    _, file = filled(path, 61)
    file.stop()
    with closing(sqlite3.connect(path)) as connection, connection:
        old = [(minute, b"") for minute in range(now - 5000, now - 3000)]
        connection.executemany("INSERT INTO minutes VALUES (?, ?)", old)
    _, file = filled(path, 121)
    file.stop()
    kept = minutes(path)
    assert len(kept) <= 1502
    assert kept[-1] >= now - 10
    assert kept[0] > now - 5000


def test_a_clock_that_is_set_far_ahead_for_a_while_empties_no_file(tmp_path, monkeypatch, filled, started):
    path = tmp_path / "h.sqlite"
    history, file = filled(path, 300)
    before = minutes(path)
    for clock in (NOW + 20 * 365 * 86_400, NOW - 300):  # the year after next, and back
        monkeypatch.setattr("time.time", lambda clock=clock: clock)
        for second in range(300, 430):
            sample = Sample(clock + second, float(second), {USED: float(second)})
            history.sampled(sample)
            file.sampled(sample)
    file.stop()
    assert set(before) <= set(minutes(path))
    monkeypatch.setattr("time.time", lambda: NOW)
    after, _ = started(path)
    assert len(means(after)) >= 5
