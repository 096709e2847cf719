"""Which alerts a silence covers, and that no expression holds who matches it."""

import subprocess
import sys
import time
from types import SimpleNamespace

import duckdb
import pytest

from otel_duckdb.monitor.alerts import expressions
from otel_duckdb.monitor.alerts.silences import Silences
from otel_duckdb.settings import SettingError

LONG = "a" * 1_000 + "!"
HOSTILE = ["(a+)+$", "(a|aa)+", "(?:a*)*b", "(.*)*x", "(?:.*a){20}", "(a|a?)+", r"(\w+\s*)+!?b", "a?" * 340 + "a" * 340]


def alert(name, database=""):
    return SimpleNamespace(name=name, database=database)


@pytest.fixture
def silences():
    return Silences()


@pytest.mark.parametrize(
    ("name", "database", "covered", "spared"),
    [
        ("", "", [("A", "db"), ("B", "")], []),
        ("DuckDBMemory.*", "", [("DuckDBMemoryHigh", "x")], [("OldDuckDBMemoryHigh", "x")]),
        ("DuckDBMemoryHigh", "shop", [("DuckDBMemoryHigh", "shop")], [("DuckDBMemoryHigh", "shop2"), ("A", "shop")]),
        ("A|B", r"shop\.db", [("A", "shop.db"), ("B", "shop.db")], [("AB", "shop.db"), ("A", "shop_db")]),
        ("A.B", "", [("A\nB", ""), ("AéB", "")], []),
        ("half\udcff", "", [("half\udcff", "")], [("half", "")]),
        (r"(?i)é\d+[[:alpha:]]", "", [("É7x", "")], [("É7", "")]),
        ("a\0b", "", [("a\0b", "")], [("a", "")]),
    ],
)
def test_a_silence_covers_what_both_expressions_match_in_whole(silences, name, database, covered, spared):
    silences.add(0, 60, name or ".*", database or ".*")
    assert [one for one in covered if not silences.cover(alert(*one), 1)] == []
    assert [one for one in spared if silences.cover(alert(*one), 1)] == []


@pytest.mark.timeout(60)  # what holds the thread holds it for centuries
def test_no_expression_holds_the_thread_that_matches_it(silences):
    for expression in HOSTILE:
        silences.add(0, 60, expression, expression)
    for text in (LONG, "a" * 1_000, "select " * 140):
        silences.cover(alert(text, text), 1)
    began = time.thread_time()
    silences.cover(alert(LONG + "b", "b" + LONG), 1)
    assert time.thread_time() - began < 20


@pytest.mark.parametrize(
    "expression", ["(", "[a-", "*", "(?!a)b", r"(a)\1", "(a{1000}){1000}", "\x1b[2J(", "[\x1b-\x01]"]
)
def test_what_is_no_expression_of_re2_is_refused_in_one_line(silences, expression):
    with pytest.raises(SettingError, match="is no regular expression of RE2") as refused:
        silences.add(0, 60, database=expression)
    assert str(refused.value).isprintable()
    assert silences.active(1) == []


def test_an_alert_is_told_where_duckdb_cannot_match(silences, monkeypatch):
    silences.add(0, 60, "A.*")
    with monkeypatch.context() as broken:
        broken.setattr(expressions, "_ask_duckdb", lambda _: 1 / 0)
        assert not silences.cover(alert("AB"), 1)
    assert silences.cover(alert("AB"), 1)


def test_what_was_asked_is_remembered_and_the_memory_is_bounded(silences, monkeypatch):
    monkeypatch.setattr(expressions, "_KEPT", 10)
    asked = []
    monkeypatch.setattr(expressions, "_ask_duckdb", lambda pairs: [asked.append(pair) or True for pair in pairs])
    silences.add(0, 60, "A.*")
    for number in range(100):
        silences.cover(alert(f"A{number}"), 1)
        silences.cover(alert(f"A{number}"), 1)
    assert len(asked) == 101  # and once whether it is an expression
    assert len(silences._expressions._known) <= 10


def test_a_match_is_nobodys_call(telemetry, silences):
    telemetry.instrument()
    silences.add(0, 60, "A.*")
    assert silences.cover(alert("AB"), 1)
    assert telemetry.names() == []


def test_a_match_needs_nothing_that_others_put_in_the_place_of_connect(silences, monkeypatch):
    monkeypatch.setattr(duckdb, "connect", lambda *_arguments, **_keywords: object())
    silences.add(0, 60, "A.*")
    assert silences.cover(alert("AB"), 1)


@pytest.mark.slow
def test_a_silence_can_be_asked_in_a_forked_child():
    program = """if True:
        import os
        from types import SimpleNamespace
        from otel_duckdb.monitor.alerts.silences import Silences
        silences = Silences()
        silences.add(0, 60, "A.*")
        child = os.fork()
        if child == 0:
            os._exit(silences.cover(SimpleNamespace(name="AB", database=""), 1))
        raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1, run.stderr


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan"), "60", None, True])
def test_a_silence_without_an_end_in_the_future_is_one_error(silences, seconds):
    with pytest.raises(SettingError, match=r"^a silence of .*; allowed is "):
        silences.add(0, seconds)
    with pytest.raises(SettingError, match=r"^a silence of 7; allowed is an expression"):
        silences.add(0, 60, 7)
