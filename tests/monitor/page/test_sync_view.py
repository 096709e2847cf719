"""The view of the sync beside a real one, which copies to ClickHouse's engine in the same process as the monitor."""

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
