import pytest
from playwright.sync_api import Browser, expect

from tests.console import browser, screens
from tests.fixtures import client, stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ADMIN = "an-admin-key-only-for-this-test-0123456789"


def test_the_console_asks_for_a_key_and_offers_only_what_it_may(
    built: None, chromium: Browser, system: stack.System
) -> None:
    api = system.start("api", AUTH_MODE="keys", ADMIN_API_KEY=ADMIN).url
    made = client.call(
        api,
        "POST",
        "/keys",
        {"name": "reader", "scopes": ["events:read"]},
        headers={"Authorization": f"Bearer {ADMIN}"},
    ).body
    seen = browser.Witness(api)
    seen.expect("401", "WebSocket")
    context = browser.open_context(chromium, api)
    page = context.new_page()
    seen.watch(page)

    page.goto("/console/events?status=failed")
    field = page.get_by_label("API key")
    expect(field).to_be_visible()
    assert screens.violations(page) == []
    field.fill("onc_not-a-key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("does not know this key")).to_be_visible()
    field.fill(made["key"])
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    assert page.url.endswith("/console/events?status=failed")
    # It may read only: what writes is not offered.
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Send a test event")).to_have_count(0)
    context.close()
    assert seen.unexpected() == []
