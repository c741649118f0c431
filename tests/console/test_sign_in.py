from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console import browser, screens
from tests.fixtures import client, stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ADMIN = "an-admin-key-only-for-this-test-0123456789"
AS_ADMIN = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
def guarded_api(system: stack.System) -> str:
    return system.start("api", AUTH_MODE="keys", ADMIN_API_KEY=ADMIN).url


@pytest.fixture
def guarded_page(built: None, chromium: Browser, guarded_api: str) -> Iterator[Page]:
    """Without a key; at the end nothing unexpected was seen."""
    seen = browser.Witness(guarded_api)
    seen.expect("401", "WebSocket")
    context = browser.open_context(chromium, guarded_api)
    page = context.new_page()
    seen.watch(page)
    yield page
    context.close()
    assert seen.unexpected() == []


def _key(api: str, name: str, *scopes: str) -> Any:
    wanted = {"name": name, "scopes": [*scopes]}
    return client.call(api, "POST", "/keys", wanted, headers=AS_ADMIN).body


def _sign_in(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in", exact=True).click()


def test_the_console_asks_for_a_key_and_offers_only_what_it_may(
    guarded_page: Page, guarded_api: str
) -> None:
    page = guarded_page
    page.goto("/console/events?status=failed")
    expect(page.get_by_label("API key")).to_be_visible()
    assert screens.violations(page) == []
    _sign_in(page, "onc_not-a-key")
    expect(page.get_by_text("does not know this key")).to_be_visible()
    _sign_in(page, _key(guarded_api, "reader", "events:read")["key"])

    expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    assert page.url.endswith("/console/events?status=failed")
    # It may read only: what writes is not offered.
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Send a test event")).to_have_count(0)


def test_a_key_that_ends_while_a_rule_is_written_loses_nothing_of_it(
    guarded_page: Page, guarded_api: str
) -> None:
    page = guarded_page
    scopes = ("events:read", "rules:read", "rules:write")
    first, second = (_key(guarded_api, name, *scopes) for name in ("first", "second"))
    rule = {"name": "Half written", "event_type": "a.b", "condition": {">": [{"var": "n"}, 1]}}
    path = client.call(
        guarded_api, "POST", "/rules", rule | {"action": {"type": "log"}}, headers=AS_ADMIN
    ).headers["location"]
    page.goto(f"/console{path}?tab=edit")
    _sign_in(page, first["key"])
    value = page.get_by_role("textbox", name="Value 1")
    value.fill("200")
    client.call(guarded_api, "DELETE", f"/keys/{first['id']}", headers=AS_ADMIN)

    dialog = page.get_by_role("dialog", name="Sign in again")
    expect(dialog).to_be_visible(timeout=30_000)
    assert screens.violations(page) == []
    # It may be put away, to look at the page, and comes again.
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(value).to_have_value("200")
    page.get_by_role("button", name="Sign in again").click()
    _sign_in(page, second["key"])

    expect(page.get_by_text("Your key has expired or was revoked")).to_have_count(0)
    expect(value).to_have_value("200")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Saved as a draft")).to_be_visible()
