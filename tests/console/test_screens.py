import re

import pytest
from playwright.sync_api import Page, expect

from cli.stack import console
from tests.console import browser, screens
from tests.console.conftest import Open
from tests.console.places import Places

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

NOWHERE = "00000000-0000-7000-8000-000000000000"
_ANY = Places(event_id="", rule_id="", delivery_id="", target_id="", letter_id="", job_id="")


def test_every_route_of_the_router_is_looked_at() -> None:
    router = (console.FOLDER / "src" / "router.tsx").read_text(encoding="utf-8")

    assert sorted(re.findall(r'\bpath: "([^"]+)"', router)) == sorted(_ANY.routes())


@pytest.mark.parametrize("route", _ANY.routes())
def test_a_route_is_drawn_fits_and_is_accessible_in_both_themes(
    route: str, open_page: Open, filled: Places
) -> None:
    look_at(open_page(filled.routes()[route]))


@pytest.mark.parametrize("tab", _ANY.tabs())
def test_a_tab_is_drawn_fits_and_is_accessible_in_both_themes(
    tab: str, open_page: Open, filled: Places
) -> None:
    look_at(open_page(filled.tabs()[tab]))


@pytest.mark.parametrize("place", ["/events/", "/rules/", "/deliveries/", "/targets/", "/replays/"])
def test_what_is_not_there_says_so(place: str, open_page: Open, witness: browser.Witness) -> None:
    witness.expect("404")
    page = open_page(place + NOWHERE)
    page.get_by_text("no such").first.wait_for()
    screens.assert_fits(page)
    assert screens.violations(page) == []


def test_an_address_that_is_no_screen_says_so(open_page: Open) -> None:
    page = open_page("/nowhere")
    page.get_by_role("heading", level=1).wait_for()
    assert screens.violations(page) == []


def look_at(page: Page) -> None:
    """Wide and light, then dark, then narrow: drawn anew, because a phone begins there."""
    screens.assert_drawn(page)
    screens.assert_fits(page)
    found = {"light": screens.violations(page)}
    page.emulate_media(color_scheme="dark")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    found["dark"] = screens.violations(page)
    browser.resize(page, browser.NARROW)
    page.reload()
    screens.assert_drawn(page)
    screens.assert_fits(page)
    found["narrow"] = screens.violations(page)
    assert {name: flaws for name, flaws in found.items() if flaws} == {}
