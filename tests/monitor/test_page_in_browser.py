"""The page in a real browser, against a program that works on a DuckDB."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group `page`)")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on this machine"),
]
ALERT = {
    "id": "1",
    "name": "DuckDBMemoryHigh",
    "level": "warning",
    "database": "orders",
    "message": "DuckDB uses 86.2 % of its memory limit",
    "value": 86.2,
    "unit": "%",
    "threshold": 80.0,
    "peak": 91.5,
    "started": "2026-01-01T10:00:00Z",
    "ended": None,
    "actions": [],
    "notifications": [],
}
VIEWS = ("overview", "statements", "running", "alerts", "sync", "storage", "actions", "about")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    program = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("page_program.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)},
    )
    port, token = program.stdout.readline().decode().split()
    yield f"http://127.0.0.1:{port}/", token
    program.kill()
    program.communicate()


@pytest.fixture
def address(program):
    return program[0]


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def context(browser, program):
    # With the key there is no limit of requests a minute: these tests ask more than a person does.
    context = browser.new_context(
        viewport={"width": 1440, "height": 900}, extra_http_headers={"X-Monitoring-Key": program[1]}
    )
    yield context
    context.close()


@pytest.fixture
def page(context):
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    assert not page.complaints


def show(page, address, view):
    page.goto(f"{address}#/{view}")
    page.wait_for_selector("main > :last-child:not([hidden])")
    sync_api.expect(page.locator(".skeleton")).to_have_count(0)


@pytest.mark.parametrize("width", [360, 800, 1440, 2560])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_something_and_does_not_overflow(page, address, view, width):
    page.set_viewport_size({"width": width, "height": 900})
    show(page, address, view)

    assert len(page.inner_text("main")) > 80
    assert page.locator(".notice.error").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_charts_move(page, address):
    show(page, address, "overview?range=5m")
    before = page.inner_text(".chart >> nth=4 >> .legend b")

    sync_api.expect(page.locator(".chart >> nth=4").locator(".legend b")).not_to_have_text(before, timeout=15_000)


def test_a_range_is_zoomed_into_by_dragging_and_left_again(page, address):
    show(page, address, "overview?range=5m")
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=5)
    page.mouse.up()

    page.wait_for_url(re.compile(r"from=\d+.*to=\d+"))
    page.click("button:has-text('Leave')")
    page.wait_for_url(re.compile(r"range=5m$"))


def test_statements_are_sorted_filtered_and_opened_and_the_address_tells_it(page, address):
    show(page, address, "statements")
    page.click("th button:has-text('Calls')")
    page.wait_for_url(re.compile("sort=calls"))
    sync_api.expect(page.locator("th[aria-sort=descending]")).to_contain_text("Calls")
    page.fill("input[type=search]", "sum(amount)")
    sync_api.expect(page.locator("button.open")).to_have_count(1)
    page.click("button.open")
    sync_api.expect(page.locator("tr.details")).to_contain_text("HASH_JOIN")
    page.reload()

    sync_api.expect(page.locator("tr.details")).to_contain_text("HASH_JOIN")
    assert page.input_value("input[type=search]") == "sum(amount)"


def test_rows_and_charts_are_reached_by_keys_alone(page, address):
    show(page, address, "statements")
    page.locator("button.open").first.focus()
    page.keyboard.press("j")
    assert page.evaluate("[...document.querySelectorAll('.open')].indexOf(document.activeElement)") == 1
    page.keyboard.press("l")
    sync_api.expect(page.locator("tr.details")).to_have_count(1)
    page.keyboard.press("Escape")
    sync_api.expect(page.locator("tr.details")).to_have_count(0)
    show(page, address, "overview")
    page.locator(".plot").first.focus()
    page.keyboard.press("End")
    sync_api.expect(page.locator("#live")).to_contain_text("DuckDB")


def test_a_chart_is_shown_as_a_table(page, address):
    show(page, address, "overview")
    page.click("button[aria-label='Memory as a table']")

    sync_api.expect(page.locator(".chart >> nth=0").locator("tbody tr").first).to_contain_text("MiB")


def test_an_operation_is_cancelled_after_it_was_asked_twice(page, address):
    show(page, address, "running")
    row = page.locator("tbody tr", has_text="range(?) b").first
    row.locator("button.danger").click()
    row.locator("button.danger", has_text="lose").click()

    sync_api.expect(page.locator(".notice", has_text="was told to stop")).to_be_visible()


def test_an_alert_comes_and_goes(page, address):
    alerts = {"open": [ALERT], "resolved": [], "silences": []}
    page.route("**/api/alerts", lambda route: route.fulfill(json=alerts))
    show(page, address, "alerts")
    sync_api.expect(page.locator("table").first).to_contain_text("86.2 %")
    alerts["resolved"], alerts["open"] = alerts["open"], []

    sync_api.expect(page.locator(".notice", has_text="No alert is open")).to_be_visible()
    sync_api.expect(page.locator("section", has_text="Resolved").locator("tbody")).to_contain_text("91.5 %")


def test_a_dry_run_tells_what_the_clean_up_would_do(page, address):
    show(page, address, "actions")
    page.click("button:has-text('Dry run')")

    sync_api.expect(page.locator("section").first.locator("tbody tr").first).to_contain_text("planned")
    assert page.locator(".notice.error").count() == 0


def test_acting_without_the_key_is_refused_and_the_key_is_entered_under_about(browser, program):
    page = browser.new_page()
    show(page, program[0], "running")

    def cancel():
        row = page.locator("tbody tr", has_text="range(?) b").first
        row.locator("button.danger").click()
        row.locator("button.danger", has_text="lose").click()

    cancel()
    sync_api.expect(page.locator(".notice.error")).to_contain_text("enter it under About")
    page.click("nav a:has-text('About')")
    page.fill("#key", program[1])
    page.click("button:has-text('Use it')")
    page.click("nav a:has-text('Running')")
    sync_api.expect(page.locator("tbody tr", has_text="range(?) b").first).to_be_visible()
    cancel()
    sync_api.expect(page.locator(".notice", has_text="was told to stop")).to_be_visible()
    page.close()


def test_a_monitor_that_is_gone_is_told_with_what_to_do(page, address):
    show(page, address, "storage")
    page.route("**/api/**", lambda route: route.abort())

    sync_api.expect(page.locator(".notice.error")).to_contain_text("Is the program still running?")
    assert page.locator("tbody tr").count() > 0
    page.unroute("**/api/**")
    sync_api.expect(page.locator(".notice.error")).to_be_hidden(timeout=20_000)
    page.complaints.clear()


def test_the_theme_is_dark_where_it_is_wanted(page, address):
    show(page, address, "about")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")

    assert light != dark
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
