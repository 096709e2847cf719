"""Every view of the page, walked through in a real browser against a program at work."""

import re

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group `page`)")
expect = sync_api.expect
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]
VIEWS = ("overview", "statements", "running", "traces", "alerts", "sync", "storage", "actions", "about")


@pytest.mark.parametrize("width", [360, 800, 1440, 2560])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_something_and_does_not_overflow(page, show, view, width):
    page.set_viewport_size({"width": width, "height": 900})
    show(view)

    assert len(page.inner_text("main")) > 80
    assert page.locator(".notice.error").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_charts_move(page, show):
    show("overview?range=5m")
    age = page.locator(".chart", has_text="Oldest running query").locator(".legend b")
    before = age.inner_text()
    drawn = page.evaluate("document.querySelector('.chart canvas').toDataURL()")

    expect(age).not_to_have_text(before, timeout=15_000)
    page.wait_for_function("(before) => document.querySelector('.chart canvas').toDataURL() !== before", arg=drawn)


def test_a_range_is_zoomed_into_by_dragging_and_left_again(page, show):
    show("overview?range=5m")
    box = page.locator(".u-over").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 40, steps=5)
    page.mouse.up()

    page.wait_for_url(re.compile(r"from=\d+.*to=\d+"))
    page.click("button:has-text('Leave')")
    page.wait_for_url(re.compile(r"range=5m$"))


def test_statements_are_sorted_filtered_and_opened_and_the_address_tells_it(page, show):
    show("statements")
    page.click("th button:has-text('Calls')")
    page.wait_for_url(re.compile("sort=calls"))
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Calls")
    page.fill("input[type=search]", "sum(amount)")
    expect(page.locator("button.open")).to_have_count(1)
    page.click("button.open")
    expect(page.locator("tr.details")).to_contain_text("HASH_JOIN")
    page.reload()

    expect(page.locator("tr.details")).to_contain_text("HASH_JOIN")
    assert page.input_value("input[type=search]") == "sum(amount)"
    page.go_back()
    expect(page.locator("tr.details")).to_have_count(0)
    page.go_forward()
    expect(page.locator("tr.details")).to_contain_text("HASH_JOIN")


def test_rows_and_charts_are_reached_by_keys_alone(page, show):
    show("statements")
    page.locator("button.open").first.focus()
    page.keyboard.press("j")
    assert page.evaluate("[...document.querySelectorAll('.open')].indexOf(document.activeElement)") == 1
    page.keyboard.press("l")
    expect(page.locator("tr.details")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("tr.details")).to_have_count(0)
    show("overview")
    page.locator(".plot").first.focus()
    page.keyboard.press("End")
    expect(page.locator("#live")).to_contain_text("DuckDB")


def test_a_chart_is_shown_as_a_table(page, show):
    show("overview")
    page.click("button[aria-label='Memory as a table']")

    expect(page.locator(".chart >> nth=0").locator("tbody tr").first).to_contain_text("MiB")


def test_an_operation_is_cancelled_after_it_was_asked_twice(page, show):
    show("running")
    row = page.locator("tbody tr", has_text="pause(").first
    row.locator("button.danger").click()
    row.locator("button.danger", has_text="lose").click()

    expect(page.locator(".notice", has_text="was told to stop")).to_be_visible()


def test_an_alert_comes_and_goes(page, show, program):
    show("alerts")
    row = page.locator("section", has_text="Open").locator("tbody tr", has_text="DuckDBMemoryHigh")
    program.tell("fill")
    expect(row).to_contain_text("memory limit", timeout=60_000)
    expect(row.locator("td.num").nth(0)).to_have_text(re.compile(r"^\d[\d.]* %$"))
    expect(row.locator("td.num").nth(1)).to_have_text("50.0 %")
    expect(page.locator("#state")).to_have_text(re.compile("Warning|Critical"))
    show("overview")
    tile = page.locator(".tile", has_text="Open alerts")
    expect(tile).to_contain_text(re.compile(r"[1-9]\d* (warning|critical|emergency)"))
    tile.locator("a").click()
    program.tell("empty")

    expect(row).to_have_count(0, timeout=60_000)
    expect(page.locator("section", has_text="Resolved").locator("tbody").first).to_contain_text("DuckDBMemoryHigh")


def test_a_dry_run_tells_what_the_clean_up_would_do(page, show):
    show("actions")
    page.click("button:has-text('Dry run')")

    expect(page.locator("section").first.locator("tbody tr").first).to_contain_text("planned")
    assert page.locator(".notice.error").count() == 0


def test_acting_without_the_key_is_refused_and_the_key_is_entered_under_about(browser, program):
    page = browser.new_page()
    page.goto(f"{program.address}#/running")
    page.wait_for_selector("tbody tr")

    def cancel():
        row = page.locator("tbody tr", has_text="pause(").first
        row.locator("button.danger").click()
        row.locator("button.danger", has_text="lose").click()

    cancel()
    expect(page.locator(".notice.error")).to_contain_text("enter it under About")
    page.click("nav a:has-text('About')")
    page.fill("#key", program.token)
    page.click("button:has-text('Use it')")
    page.click("nav a:has-text('Running')")
    expect(page.locator("tbody tr", has_text="pause(").first).to_be_visible()
    cancel()
    expect(page.locator(".notice", has_text="was told to stop")).to_be_visible()
    page.close()


def test_a_monitor_with_a_key_asks_for_it_and_is_alive_afterwards(browser, start):
    key = "a key of thirty-two characters at least"
    program = start(OTEL_DUCKDB_MONITOR_API_KEY=key)
    page = browser.new_page()
    page.goto(program.address)
    expect(page.locator(".notice.error")).to_contain_text("Enter it under About", timeout=20_000)
    page.click("nav a:has-text('About')")
    page.fill("#key", "wrong")
    page.click("button:has-text('Use it')")
    expect(page.locator(".results .notice.error")).to_contain_text("wrong")
    page.fill("#key", key)
    page.click("button:has-text('Use it')")
    expect(page.locator("main")).to_contain_text("This browser may act.")
    with page.expect_request("**/api/metrics?*"):
        page.click("nav a:has-text('Overview')")

    expect(page.locator(".tile .value").first).to_contain_text("%")
    expect(page.locator("#state")).to_have_text("Healthy")
    page.close()


def test_a_monitor_that_is_gone_is_told_with_what_to_do(browser, start):
    program = start()
    page = browser.new_page()
    page.goto(f"{program.address}#/storage")
    page.wait_for_selector("tbody tr")
    program.kill()

    expect(page.locator(".notice.error")).to_contain_text("Is the program still running?", timeout=30_000)
    expect(page.locator("#state")).to_have_text("No answer")
    assert page.locator("tbody tr").count() > 0
    start(program.port)
    expect(page.locator(".notice.error")).to_be_hidden(timeout=60_000)
    page.close()


def test_the_theme_is_dark_where_it_is_wanted(page, show):
    show("about")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.click("#theme")

    assert light != dark
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light
    page.click("#theme")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == light


def test_a_trace_is_found_opened_and_told_as_text(page, context, show):
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    show("traces")
    page.fill("input[type=search]", "best-customers")
    page.wait_for_url(re.compile("q=best-customers"))
    expect(page.locator("tbody tr")).not_to_have_count(0)
    page.locator("tbody a.open", has_text="GET /best-customers").first.click()
    expect(page.locator("h2")).to_contain_text("GET /best-customers")
    program, operation = page.locator(".fill").nth(0).bounding_box(), page.locator(".fill").nth(1).bounding_box()
    assert program["x"] <= operation["x"]
    assert program["width"] >= operation["width"] > 0
    page.locator("button.open", has_text="SELECT").first.click()
    expect(page.locator("tr.details pre")).to_contain_text("GROUP BY ALL")
    expect(page.locator(".operators tbody")).to_contain_text("HASH_JOIN")
    expect(page.locator(".operators .badge")).to_have_text("hottest")
    shares = page.eval_on_selector_all(
        ".operators .lane > span", "all => all.map((each) => parseFloat(each.style.width))"
    )
    assert 50 < sum(shares) < 101
    page.click("button:has-text('Copy as text')")
    expect(page.locator("button:has-text('Copied')")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "HASH_JOIN" in copied
    assert "GET /best-customers" in copied
    expect(page.locator("a:has-text('Open in')")).to_have_attribute("href", re.compile(r"/trace/[0-9a-f]{32}$"))
    page.reload()

    expect(page.locator(".operators tbody")).to_contain_text("HASH_JOIN")
    page.click("a:has-text('All traces')")
    page.wait_for_url(re.compile("q=best-customers$"))


def test_what_was_called_in_a_span_is_folded_and_stays_so(page, show):
    show("traces?q=GET /customers")
    page.locator("tbody a.open", has_text="GET /customers").first.click()
    rows, folder = page.locator("[aria-label=Spans] > table > tbody > tr"), page.locator(".lead button")
    expect(rows).to_have_count(8)
    page.locator("button.open", has_text="SELECT").first.click()
    folder.click()
    expect(rows).to_have_count(1)
    expect(folder).to_have_attribute("aria-expanded", "false")
    expect(rows).to_contain_text("(+7)")
    page.reload()
    expect(rows).to_have_count(1)
    folder.focus()
    page.keyboard.press("Enter")

    expect(rows).to_have_count(9)  # the details that were open are so again
    expect(folder).to_have_attribute("aria-expanded", "true")


def test_failed_and_slow_traces_are_told_apart(page, show):
    show("traces?kind=failed")
    expect(page.locator("tbody tr").first).to_contain_text("ConversionException", timeout=20_000)
    page.locator("tbody a.open").first.click()
    page.locator("button.open", has_text="SELECT").first.click()
    expect(page.locator("tr.details")).to_contain_text("ConversionException")
    page.click("a:has-text('All traces')")
    page.click("button:has-text('Slow')")
    page.wait_for_url(re.compile("kind=slow"))
    page.select_option("select", "100")
    page.wait_for_url(re.compile("min=100"))
    expect(page.locator("tbody tr").first).to_contain_text(re.compile(r"\d (ms|s)"))


def test_a_trace_that_is_gone_is_said_to_be_so(page, show):
    show(f"traces?trace={'ab' * 16}")

    expect(page.locator(".notice")).to_contain_text("not kept any more")
    page.complaints.clear()


def test_what_took_the_memory_is_two_steps_from_the_overview(page, show):
    show("overview")
    page.click("a[aria-label='Memory by statement']")
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Memory")
    page.locator("button.open").first.click()

    # The report, or what another test filled the memory with; never what only ran beside them.
    expect(page.locator("tr.details pre").first).to_contain_text(re.compile("quantile_cont|TABLE copies"))


def test_every_view_is_reached_and_used_by_keys_alone(page, show):
    show("overview")
    for view in VIEWS[1:]:
        for _ in range(15):
            page.keyboard.press("Tab" if page.url.endswith("overview") else "Shift+Tab")  # the views stand before main
            if page.evaluate("document.activeElement.getAttribute('href')") == f"#/{view}":
                break
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile(f"#/{view}$"))
        expect(page.locator("h1")).to_have_text(re.compile(view, re.IGNORECASE))
        assert page.evaluate("document.activeElement.id") == "main"
    page.goto(page.url.replace("about", "traces"))
    page.wait_for_selector("tbody a.open")
    page.locator("tbody a.open").first.focus()
    page.keyboard.press("j")
    assert page.evaluate("[...document.querySelectorAll('.open')].indexOf(document.activeElement)") == 1
    page.keyboard.press("Enter")
    page.wait_for_selector("button.open")
    page.locator("button.open").first.focus()
    page.keyboard.press("l")

    expect(page.locator("tr.details")).to_have_count(1)


def test_nothing_moves_where_less_motion_is_wanted(browser, program):
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(program.address)
    page.wait_for_selector("main")

    assert page.evaluate("document.getAnimations().length") == 0
    context.close()


def test_it_works_below_a_path_of_a_proxy(page, program):
    prefix = "http://proxy.test/shop/monitor/"

    def forward(route):
        if "/api/events" in route.request.url:  # what a proxy that knows no streams makes of it
            route.fulfill(status=502)
            return
        response = route.fetch(url=program.address + route.request.url.removeprefix(prefix))
        route.fulfill(response=response)

    page.route("**/*", forward)
    page.goto(f"{prefix}#/statements")

    expect(page.locator("button.open")).not_to_have_count(0)
    page.unroute_all(behavior="ignoreErrors")
    page.complaints.clear()


def test_an_alert_tells_what_was_done_and_is_silenced_for_an_hour(page, show):
    alert = {
        "id": "1",
        "name": "DuckDBMemoryHigh",
        "level": "warning",
        "database": "a.b",
        "message": "much",
        "value": 1,
    }
    alert["actions"] = [{"action": "release_memory", "outcome": "done"}]
    alert["notifications"] = [{"to": "webhook", "result": "sent", "attempt": 1}]
    page.route("**/api/alerts", lambda route: route.fulfill(json={"open": [alert], "resolved": [], "silences": []}))
    asked = []
    page.route("**/api/silences", lambda route: (asked.append(route.request.post_data_json), route.fulfill(json={})))
    show("alerts")
    expect(page.locator("tbody").first).to_contain_text(re.compile("release_memory: done.*webhook: sent"))
    page.click("button:has-text('For 1 h')")
    expect(page.locator("#live")).to_contain_text("silent for an hour")

    assert asked == [{"name": "DuckDBMemoryHigh", "database": "a\\.b", "seconds": 3600}]


def test_a_silence_is_ended_before_its_time(page, show, address):
    silence = {"name": "DuckDBDisk.*", "seconds": 3600}
    assert page.request.post(f"{address}api/silences", data=silence).ok
    show("alerts")
    page.click("button:has-text('End')")

    expect(page.locator("section", has_text="Silences")).to_contain_text("Nothing is silenced.")
    expect(page.locator("#live")).to_contain_text("The silence is over")
