"""axe looks at every view, light and dark, empty and full: nothing serious may be found."""

import pytest

axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed (group `page`)")
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::ResourceWarning")]
VIEWS = (
    *("overview", "statements", "running", "traces", "traces?kind=failed"),
    *("alerts", "sync", "storage", "actions", "about"),
)
SERIOUS = ("serious", "critical")


def findings(page):
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {node['html'][:200]}"
        for each in found
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(page, show, view, scheme):
    page.emulate_media(color_scheme=scheme)
    show(view)

    assert findings(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_in_what_is_opened(page, show, scheme):
    page.emulate_media(color_scheme=scheme)
    show("statements")
    page.locator("button.open").first.click()
    assert findings(page) == []
    show("traces?q=best-customers")
    page.locator("tbody a.open").first.click()
    page.locator("button.open", has_text="SELECT").first.click()
    page.wait_for_selector(".operators")
    assert findings(page) == []
    show("overview")
    page.click("button[aria-label='Memory as a table']")
    assert findings(page) == []


def test_axe_would_find_something(page, show):
    show("about")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")

    assert any("button-name" in each for each in findings(page))
