"""Reports of a real monitor: JSON, a page that needs nothing, Markdown."""

import json
import re
import time
from html.parser import HTMLParser

import duckdb
import pytest

from otel_duckdb import DuckDBInstrumentor
from otel_duckdb.monitor import Monitor
from otel_duckdb.monitor.figures import bytes_text, duration_text, value_text
from otel_duckdb.monitor.report import FORMATS, make_report, render
from otel_duckdb.monitor.report.svg import chart

HOSTILE = "<script>alert(1)</script>|`#\"'&\x1b[2J\x9b1m\u202e\x07"


@pytest.fixture
def seen():
    """A monitor that saw a hostile statement; half a character and markup stand in its name."""
    DuckDBInstrumentor().instrument()
    try:
        with Monitor(interval_ms=100) as monitor:
            with duckdb.connect() as connection:
                connection.execute(f'select 42 as "{HOSTILE.replace(chr(34), chr(34) * 2)}"').fetchall()
                deadline = time.monotonic() + 20
                while not monitor.statements()["statements"] or not monitor.status()["databases"]:
                    assert time.monotonic() < deadline
                    time.sleep(0.02)
                time.sleep(1.2)
                yield monitor
    finally:
        DuckDBInstrumentor().uninstrument()


@pytest.fixture
def report(seen):
    return make_report(seen, 1)


def alert(**fields):
    return {
        "name": "DuckDBMemoryHigh",
        "level": "critical",
        "database": "d",
        "message": HOSTILE,
        "unit": "%",
        "peak": 93.0,
        "started": "2026-01-01T00:00:00.000Z",
        "ended": None,
        "actions": [{"action": "release_memory", "outcome": "done"}],
        **fields,
    }


def values(means):
    return {"min": means, "mean": means, "max": means}


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.names, self.addresses, self.open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_report_tells_status_figures_alerts_and_statements(report):
    assert report["period"]["hours"] == 1
    assert report["period"]["start"] < report["period"]["end"] == report["generated"]
    assert report["statements"]["statements"][0]["calls"] == 1
    assert {"min", "mean", "max", "last"} <= report["figures"][0].keys()
    assert report["status"]["summary"]["status"] == "healthy"


def test_the_page_loads_nothing_runs_nothing_and_closes_what_it_opens(report):
    report["alerts"]["open"].append(alert())
    tags = Tags(render(report, "html"))
    assert not tags.open
    assert not tags.addresses
    assert "script" not in tags.names
    assert "polyline" in tags.names or "circle" in tags.names


def test_the_page_is_light_dark_and_printable(report):
    page = render(report, "html")
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page
    assert "url(" not in page
    assert "Content-Security-Policy" in page


def test_no_text_of_the_user_becomes_markup(report):
    report["alerts"]["open"].append(alert(database="half \ud800"))
    page = render(report, "html")
    page.encode()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    table = render(report, "md")
    table.encode()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", page + table)  # it may be printed on a terminal
    row = next(line for line in table.splitlines() if "DuckDBMemoryHigh" in line)
    assert "<script" not in row.replace("\\<", "")
    assert len(re.findall(r"(?<!\\)\|", row)) == 7


def test_json_is_read_back_as_it_was(report):
    assert json.loads(render(report, "json"))["period"] == report["period"]


@pytest.mark.parametrize("shape", FORMATS)
def test_a_monitor_that_saw_nothing_makes_a_report_too(shape):
    assert "DuckDB" in render(make_report(Monitor(), 24), shape)


@pytest.mark.parametrize("hours", [0, -1, 10**6, float("nan")])
def test_a_period_that_is_none_is_refused_with_its_value(hours):
    with pytest.raises(ValueError, match=r"period is .* hours; allowed is"):
        make_report(Monitor(), hours)


def test_an_unknown_format_is_refused_with_those_there_are(report):
    with pytest.raises(ValueError, match="format is 'pdf'; allowed is json, html, md"):
        render(report, "pdf")


def test_alerts_that_ended_before_the_period_are_left_out():
    class Stub(Monitor):
        def alerts(self):
            return {"open": [], "resolved": [alert(ended="2020-01-01T00:00:00.000Z"), alert(ended="2999-01-01")]}

    assert [one["ended"] for one in make_report(Stub(), 1)["alerts"]["resolved"]] == ["2999-01-01"]


def test_a_gap_is_a_gap_in_the_line():
    series = {"unit": "By", "labels": {}, **values([1, 2, None, 3, 4, None, 5])}
    drawing = chart("memory", list(range(7)), [series])
    assert drawing.count("<polyline") == 2
    assert drawing.count("<circle") == 1


def test_a_series_without_a_value_is_drawn_as_none():
    series = {"unit": "By", "labels": {}, **values([None, None])}
    assert "no samples" in chart("memory", [0, 1], [series])


def test_figures_are_told_in_what_fits_them():
    assert [bytes_text(each) for each in (None, 0, 1023, 1536)] == [
        "-",
        "0 B",
        "1023 B",
        "1.5 KiB",
    ]
    assert [duration_text(each) for each in (None, 0.5, 1500, 61_000)] == ["-", "0.50 ms", "1.50 s", "1 min 01 s"]
    assert [value_text(2, "{query}/s"), value_text(0.5, "s"), value_text(3, "1")] == ["2 query/s", "500.00 ms", "3"]
