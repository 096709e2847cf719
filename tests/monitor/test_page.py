"""The page's files: what is served, how large it is, and that it asks nobody else."""

import gzip
import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from otel_duckdb.monitor import Monitor, page

STATIC = Path(page.__file__).parent / "static"
OWN = sorted(path for path in STATIC.rglob("*") if path.is_file() and "vendor" not in path.parts)
GUIDE = """
const element = () => ({ textContent: "", className: "" });
const shown = {};
const document = { getElementById: (id) => (shown[id] ??= element()) };
const data = %s;
const labels = [];
function updateMetrics(data) {
  document.getElementById("memory-value").textContent = `${data.metrics.memory.duckdb_memory_percent.toFixed(1)}%%`;
  document.getElementById("cpu-value").textContent = `${data.metrics.system.cpu_usage_percent.toFixed(1)}%%`;
  document.getElementById("queries-value").textContent = data.metrics.queries.active_queries;
}
function updateStatus(data) {
  document.getElementById("status").textContent = `Status: ${data.summary.status.toUpperCase()}`;
}
updateMetrics(data);
updateStatus(data);
labels.push(new Date(data.metrics.timestamp).getTime());
console.log(JSON.stringify({ ...shown, time: labels[0] }));
"""
"""What a page of the guide's kind does with `/api/status`: these fields, as numbers and as a time."""


def test_every_file_of_the_page_is_served_and_nothing_else():
    files = {path.relative_to(STATIC).as_posix() for path in STATIC.rglob("*") if path.is_file()}

    assert files == set(page.FILES)
    for name in files:
        served, kept = (text.splitlines() for text in (page.respond(f"/{name}").body, (STATIC / name).read_bytes()))
        assert len(served) == len(kept)
        for sent, written in zip(served, kept, strict=True):
            assert sent in (written, written.lstrip()) or (not sent and written.lstrip().startswith(b"//")), name
    assert page.respond("/").body == page.respond("/index.html").body


@pytest.mark.parametrize("path", ["/../__init__.py", "/views/../main.js", "/static/main.js", "//index.html", "/%2e/x"])
def test_a_path_that_names_no_file_of_the_page_is_not_followed(path):
    assert page.respond(path) is None


def test_the_page_forbids_what_it_does_not_need_itself():
    headers = dict(page.respond("/").headers)

    assert headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert "unsafe" not in headers["Content-Security-Policy"]


def test_the_whole_page_is_smaller_than_60_kb_compressed():
    assert sum(len(gzip.compress(page.respond(f"/{name}").body, 9)) for name in page.FILES) < 60_000


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_the_page_asks_no_other_site_and_sets_text_only_as_text(path):
    text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")

    assert not re.search(
        r"https?:|innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|new Function| style=", text
    )


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_a_page_of_the_guides_kind_reads_the_status():
    with Monitor(interval_ms=100, serve=False) as monitor:
        while monitor.status()["metrics"]["timestamp"] is None:
            time.sleep(0.01)
        status = monitor.status()
    script = GUIDE % json.dumps(status)
    ran = subprocess.run([shutil.which("node"), "-e", script], capture_output=True, text=True, check=True, timeout=60)

    shown = json.loads(ran.stdout)
    assert re.fullmatch(r"\d+\.\d%", shown["memory-value"]["textContent"])
    assert re.fullmatch(r"\d+\.\d%", shown["cpu-value"]["textContent"])
    assert shown["queries-value"]["textContent"] == 0
    assert shown["status"]["textContent"] == "Status: HEALTHY"
    assert shown["time"] > 1_700_000_000_000


FIGURES = {
    "count": {
        0: "0",
        0.25: "0.25",
        99_999: "100 k",
        1e6: "1.0 M",
        999_960_000: "1.0 G",
        123_456_789: "123 M",
        2.5e15: "2500 T",
    },
    "bytes": {0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 2**60: "1.0 EiB"},
    "milliseconds": {0: "0 ms", 0.0004: "1 µs", 0.5: "500 µs", 1500: "1.5 s"},
    "seconds": {0: "0 s", 59.94: "59.9 s", 125: "2 min 05 s", 90_000: "1 d 1 h"},
    "percent": {0: "0 %", 0.01: "< 0.1 %", 100: "100 %"},
}
"""What the page writes for a figure."""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not on this machine")
def test_figures_are_written_as_people_read_them():
    module = f"data:text/javascript,{quote((STATIC / 'format.js').read_text(encoding='utf-8'))}"
    asked = [[name, value] for name, all_of in FIGURES.items() for value in all_of]
    unknown = [[name, value] for name in FIGURES for value in (None, "x")]
    script = f"""const format = await import({json.dumps(module)});
        const asked = {json.dumps(asked + unknown)};
        console.log(JSON.stringify(asked.map(([name, value]) => format[name](value))));"""
    ran = subprocess.run(
        [shutil.which("node"), "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    written = json.loads(ran.stdout)
    assert written[: len(asked)] == [text for all_of in FIGURES.values() for text in all_of.values()]
    assert set(written[len(asked) :]) == {"\N{EN DASH}"}
