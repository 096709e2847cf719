"""The page of a monitor of the test's own: beside a real sync to ClickHouse's engine, and with samples far apart."""

import time

import duckdb
import pytest

from clickhouse_standin import Fault, Kind, StandIn
from otel_duckdb.sync import Retry, Sync, Target

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group `page`)").expect
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]
SECOND = 1_000


def test_a_sync_that_copies_fails_and_recovers_is_seen(browser, serve, tmp_path):
    api = serve(actions=("sync_now",), interval_ms=500)
    with (
        StandIn(tmp_path / "clickhouse", log=tmp_path / "log") as server,
        duckdb.connect(str(tmp_path / "shop.duckdb")) as connection,
    ):
        connection.execute("CREATE TABLE orders AS SELECT range AS id FROM range(1000)")
        connection.execute("CREATE TABLE prices AS SELECT range AS id FROM range(10)")
        target = Target(host=server.host, port=server.port, database="shop", timeout=2.0)
        retry = Retry(attempts=2, seconds=5, initial_delay=0.01, max_delay=0.05)
        with Sync(connection, ["orders", "prices"], target, retry=retry) as sync:
            sync.start(0.5)
            page = browser.new_page(extra_http_headers={"X-Monitoring-Key": api.token})
            page.goto(f"http://127.0.0.1:{api.port}/#/sync?sort=rows")
            rows = page.locator("tbody tr")
            orders, prices = rows.filter(has_text="orders"), rows.filter(has_text="prices")
            expect(orders.locator("[data-label='Rows sent']")).to_have_text("1,000", timeout=60 * SECOND)
            expect(orders.locator("[data-label='State']")).to_have_text("running")
            expect(rows.first).to_contain_text("orders")
            with server.fault(Fault(Kind.ERROR, "INSERT INTO.*prices", code=252)):
                connection.execute("INSERT INTO prices SELECT range FROM range(7)")
                expect(prices.locator("[data-label='State']")).to_have_text("failing", timeout=60 * SECOND)
                expect(prices.locator("[data-label='Rows waiting']")).to_have_text("7", timeout=60 * SECOND)
                expect(prices.locator("[data-label='Last error']")).to_contain_text("Code: 252")
                expect(orders.locator("[data-label='State']")).to_have_text("running")
            expect(prices.locator("[data-label='Rows sent']")).to_have_text("17", timeout=60 * SECOND)

            expect(prices.locator("[data-label='State']")).to_have_text("running", timeout=60 * SECOND)
            expect(prices.locator("[data-label='Rows waiting']")).to_have_text("0", timeout=60 * SECOND)
            page.click("nav a:has-text('Overview')")
            expect(page.locator(".tile", has_text="Sync waiting")).to_contain_text("0", timeout=60 * SECOND)
            page.close()


COLOURED = """() => {
  const canvas = document.querySelector(".chart canvas");
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let found = 0;
  for (let at = 0; at < data.length; at += 4) found += data[at] < 60 && data[at + 2] > 150 && data[at + 3] > 100;
  return found;
}"""
"""How much of the first chart has the colour of the first line."""


def test_samples_that_are_far_apart_make_a_line(browser, serve):
    api = serve(interval_ms=30_000)
    now = time.time()
    times = [now - 900 + 2 * step for step in range(451)]
    memory = [1e6 if step % 15 == 0 and step > 225 else None for step in range(451)]
    memory[-15:] = [None] * 15  # closed a while ago, but not long
    used = {"metric": "duckdb_memory_used_bytes", "labels": {}, "mean": memory}
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.route("**/api/metrics?*", lambda route: route.fulfill(json={"times": times, "step": 2, "series": [used]}))
    page.goto(f"http://127.0.0.1:{api.port}/")
    expect(page.locator(".chart .legend b").first).to_have_text("977 KiB")

    page.wait_for_function(f"({COLOURED})() > 100")
    page.close()


SIDEWAYS = """() => [...document.querySelectorAll('.scroll')].filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.getAttribute('aria-label'))"""
"""The tables that are wider than what is seen of them."""


@pytest.mark.parametrize("width", [320, 1280])
def test_long_names_push_no_figure_out_of_sight(browser, serve, tmp_path, width):
    api = serve(interval_ms=500)
    name = "a" * 180 + "\N{RIGHT-TO-LEFT OVERRIDE}\"'<b>"
    page = browser.new_page(
        extra_http_headers={"X-Monitoring-Key": api.token}, viewport={"width": width, "height": 900}
    )
    with duckdb.connect(str(tmp_path / f"{name}.duckdb")) as connection:
        connection.execute(f"CREATE TABLE {'t' * 300} (id INTEGER)")
        with pytest.raises(duckdb.Error):
            connection.execute("SELECT 'long'::INTEGER").fetchall()
        for view in ("storage", "traces", "traces?kind=failed", "statements"):
            page.goto(f"http://127.0.0.1:{api.port}/#/{view}")
            expect(page.locator("tbody tr").first).to_be_visible(timeout=60 * SECOND)
            if view == "storage":
                page.click("button:has-text('Look at the tables')")
                expect(page.locator("[aria-label=Tables] tbody tr")).to_have_count(1)
            assert page.evaluate(SIDEWAYS) == []
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.close()
