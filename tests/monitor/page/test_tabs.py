"""Several pages of the monitor in one browser: they share its six connections, its cookies and its theme."""

import contextlib
import re
import socket
import threading

import pytest

from eventually import eventually

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (group `page`)").expect
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]
MANY = 7
"""One more page than a browser opens connections to one server."""
LONG = 60_000
KEY = "a key of thirty-two characters at least"
ASKED = "performance.getEntriesByType('resource').filter((each) => each.name.includes('api/status')).length"
"""How often a page has asked for the status, which it does where it is told nothing."""


@pytest.fixture
def window(browser):
    context = browser.new_context()
    context.set_default_timeout(LONG)
    yield context
    context.close()


def opened(window, address, view="overview"):
    page = window.new_page()
    page.goto(f"{address}#/{view}")
    return page


def oldest(page):
    """The age of the oldest query, which each sample makes greater."""
    return page.locator(".tile", has_text="Running").locator(".detail").inner_text()


def hears(page):
    """Wait until a page shows another sample, though it has not asked for it."""
    expect(page.locator("main > .skeleton, main > .card .skeleton")).to_have_count(0, timeout=LONG)

    def told():
        asked, before = page.evaluate(ASKED), oldest(page)
        eventually(lambda: oldest(page), lambda seen: seen not in ("", before))
        return page.evaluate(ASKED) == asked

    eventually(told)


class Link:
    """A way to a port whose connections can die without a word, as those of a laptop that sleeps; later ones live."""

    def __init__(self, port):
        self._to = port
        self._sockets = []
        self._dead = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def die(self):
        self._dead |= set(self._sockets)

    def close(self):
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                ends = self._listener.accept()[0], socket.create_connection(("127.0.0.1", self._to))
                self._sockets += ends
                for source, target in (ends, ends[::-1]):
                    threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source, target):
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                if source not in self._dead:
                    target.sendall(piece)
            target.shutdown(socket.SHUT_WR)


def test_a_stream_that_died_without_a_word_is_replaced(window, program):
    with contextlib.closing(Link(program.port)) as link:
        page = opened(window, f"http://127.0.0.1:{link.port}/")
        hears(page)
        link.die()

        hears(page)
        page.close()


@pytest.mark.parametrize("shared", [True, False], ids=["in a shared worker", "without one"])
def test_pages_hear_what_is_new_and_go_on_where_others_are_closed(window, address, shared):
    if not shared:
        window.add_init_script("delete window.SharedWorker")
    pages = [opened(window, address) for _ in range(MANY if shared else 2)]
    for page in pages:
        hears(page)
        answer = page.evaluate("fetch('api/cleanup', {method: 'POST'}).then((answer) => answer.status)")
        assert answer == 401  # it is answered; it showed no key
    pages.pop(0).close()
    for page in pages:
        hears(page)


def test_pages_of_two_monitors_are_told_of_their_own(window, program, start):
    below = start(OTEL_DUCKDB_MONITOR_PATH_PREFIX="/shop/floor")
    pages = [opened(window, address) for address in (program.address, f"{below.address}shop/floor/")]
    for page in pages:
        hears(page)
    seen = [page.locator("#program").inner_text() for page in pages]

    assert len(set(seen)) == 2
    assert [page.evaluate("fetch('api/status').then((one) => one.json())")["process"]["pid"] for page in pages] == [
        int(re.sub(r"\D", "", text)) for text in seen
    ]


def test_who_enters_the_key_or_forgets_it_in_one_page_does_so_in_all(window, start):
    address = start(OTEL_DUCKDB_MONITOR_API_KEY=KEY).address
    about, other, idle = (opened(window, address, view) for view in ("about", "overview", "about"))
    expect(other.locator(".notice.error")).to_contain_text("asks for a key", timeout=LONG)
    about.fill("#key", KEY)
    about.click("button:has-text('Use it')")
    hears(other)
    expect(idle.locator("main")).to_contain_text("This browser may act.", timeout=LONG)
    idle.click("button:has-text('Forget it')")

    expect(other.locator(".notice.error")).to_contain_text("asks for a key", timeout=LONG)
    expect(about.locator("#key")).to_be_visible(timeout=LONG)
    before = oldest(other)
    other.wait_for_timeout(2000)
    assert oldest(other) == before


def test_the_theme_is_that_of_all_pages(window, address):
    one, other = opened(window, address, "about"), opened(window, address, "about")
    one.click("#theme")

    expect(other.locator("#theme")).to_have_text("Theme: light")


def test_what_another_page_has_cancelled_already_is_said_to_be_over(window, program):
    window.set_extra_http_headers({"X-Monitoring-Key": program.token})
    one, other = opened(window, program.address, "running"), opened(window, program.address, "running")
    buttons = [page.locator("tbody tr", has_text="pause(").first.locator("button.danger") for page in (one, other)]
    names = {button.get_attribute("aria-label") for button in buttons}
    for button in buttons:
        button.click()
    for button in buttons:
        button.click()

    assert len(names) == 1
    expect(one.locator(".notice", has_text="was told to stop")).to_be_visible()
    expect(other.locator(".notice").first).to_contain_text(re.compile("was told to stop|over already"))
