"""A newcomer's first minute with an empty system, as a test walks it and the documents show it."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

type Look = Callable[[str], None]
"""Is told the name of what is on the page now."""

TEMPLATE = "Log every event of a type"
RULE = "Log every payment"
QUICK_MS = 20_000


def walk(page: Page, look: Look) -> str:
    """Send an event, watch it, make a rule of it, see the rule fire; returns the last event's
    address.
    """
    page.goto("/console/")
    first_steps = page.get_by_role("list").filter(has_text="A first event was accepted")
    expect(first_steps).to_contain_text("The relay is up")
    look("first-steps")

    first_steps.get_by_role("button", name="Send a test event").click()
    page.get_by_role("link", name="Watch it go through the pipeline").click()
    timeline = page.get_by_role("tabpanel", name="Timeline")
    expect(timeline).to_contain_text("Applied, once", timeout=QUICK_MS)
    look("first-event")

    page.get_by_role("link", name="Make a rule from this event").click()
    page.get_by_role("button", name=f"Begin here: {TEMPLATE}").click()
    expect(page.get_by_role("region", name="What it would do")).to_be_visible()
    expect(page.get_by_role("textbox", name="Actions")).to_be_visible()
    look("first-rule")
    page.get_by_role("button", name="Publish", exact=True).click()
    confirm = page.get_by_role("dialog")
    if confirm.count():
        confirm.get_by_role("button", name="Publish").click()
    page.wait_for_url("**/console/rules/0*")

    page.get_by_role("link", name="Overview", exact=True).click()
    page.get_by_role("button", name="Send a test event").first.click()
    sent = page.get_by_role("link", name="payment.completed")
    expect(sent).to_have_count(2)
    sent.first.click()
    expect(page.get_by_role("tabpanel", name="Timeline")).to_contain_text(RULE, timeout=QUICK_MS)
    look("rule-fired")
    return page.url
