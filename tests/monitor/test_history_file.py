"""The file of the history: what outlives a restart, and files that are no history."""

import sqlite3
import stat
import sys

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


def filled(path, seconds, begin=NOW - 600):
    history = History()
    file = HistoryFile(history, str(path))
    file.start()
    for second in range(seconds):
        sample = Sample(begin + second, float(second), {USED: float(second)})
        history.sampled(sample)
        file.sampled(sample)
    return history, file


def means(history):
    [told] = history.as_json(start=NOW - 660, end=NOW, step=60)["series"]
    return [value for value in told["mean"] if value is not None]


def test_a_restart_goes_on_with_what_was_there(tmp_path):
    before, file = filled(tmp_path / "h.sqlite", 300)
    file.stop()
    after = History()
    again = HistoryFile(after, str(tmp_path / "h.sqlite"))
    again.start()
    again.stop()
    assert means(after) == pytest.approx(means(before))
    assert len(means(after)) >= 5


def test_a_program_that_is_killed_loses_less_than_a_minute(tmp_path):
    before, _ = filled(tmp_path / "h.sqlite", 300)
    after = History()
    HistoryFile(after, str(tmp_path / "h.sqlite")).start()
    assert means(after) == pytest.approx(means(before)[:-1])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_its_user_s_alone(tmp_path):
    filled(tmp_path / "h.sqlite", 61)[1].stop()
    assert stat.S_IMODE((tmp_path / "h.sqlite").stat().st_mode) == 0o600


def test_a_file_that_is_no_history_is_put_aside_and_told(tmp_path, caplog):
    (tmp_path / "h.sqlite").write_bytes(b"no history at all" * 1000)
    _, file = filled(tmp_path / "h.sqlite", 120)
    file.stop()
    assert (tmp_path / "h.sqlite.damaged").read_bytes().startswith(b"no history")
    assert "is no history, and was put aside as h.sqlite.damaged" in caplog.text
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM minutes").fetchone()[0] >= 2


@pytest.mark.parametrize("path", ["such\0name", "/proc/nothing/h.sqlite"])
def test_a_file_that_cannot_be_made_is_one_line_and_the_history_goes_on_in_memory(path, caplog):
    history, file = filled(path, 120)
    file.stop()
    assert caplog.text.count("the history is not kept in") == 1
    assert means(history)


def test_rows_that_make_no_sense_are_passed_over(tmp_path):
    _, file = filled(tmp_path / "h.sqlite", 120)
    file.stop()
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        connection.execute("INSERT INTO series VALUES (77, 'x', 'no JSON')")
        connection.execute("INSERT INTO minutes VALUES (?, ?)", (int(NOW // 60), b"\0" * 17))
        connection.execute("INSERT INTO minutes VALUES (?, 'text')", (int(NOW // 60) - 1,))
    after = History()
    HistoryFile(after, str(tmp_path / "h.sqlite")).start()
    assert means(after)


def test_what_is_older_than_a_day_is_removed(tmp_path):
    _, file = filled(tmp_path / "h.sqlite", 61, begin=NOW - 200_000)
    file.stop()
    _, file = filled(tmp_path / "h.sqlite", 121)
    file.stop()
    with sqlite3.connect(tmp_path / "h.sqlite") as connection:
        assert connection.execute("SELECT min(minute) FROM minutes").fetchone()[0] > (NOW - 90_100) // 60
