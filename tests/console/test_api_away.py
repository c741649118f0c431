import pytest
from playwright.sync_api import Browser, expect

from tests.console import browser
from tests.fixtures import stack

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

RECOVERY_MS = 30_000


def test_a_page_says_that_the_api_is_away_and_recovers_by_itself(
    built: None, chromium: Browser, system: stack.System
) -> None:
    api = system.start("api")
    context = browser.open_context(chromium, api.url)
    page = context.new_page()
    page.goto("/console/events")
    expect(page.get_by_role("heading", name="Events", level=1)).to_be_visible()
    live = page.get_by_role("banner").get_by_role("status")
    expect(live).to_contain_text("Changes arrive by themselves")
    # What is looked at with intent is loaded before it is pressed.
    rules = page.get_by_role("link", name="Rules", exact=True)
    with page.expect_response("**/assets/rules-*.js"):
        rules.hover()

    api.kill()

    expect(live).to_contain_text("reconnecting", timeout=RECOVERY_MS)
    rules.click()
    expect(page.get_by_role("alert").first).to_be_visible(timeout=RECOVERY_MS)
    # What could not be asked never looks like an empty list.
    expect(page.get_by_text("No rules", exact=False)).to_have_count(0)

    api.start()
    api.wait_ready(30)

    expect(live).to_contain_text("Changes arrive by themselves", timeout=RECOVERY_MS)
    expect(page.get_by_role("alert")).to_have_count(0, timeout=RECOVERY_MS)
    context.close()
