import pytest
from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.console.places import Places

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_a_filter_is_in_the_address_and_the_address_is_the_filter(
    open_page: Open, filled: Places
) -> None:
    page = open_page("/events?type=payment.refunded")
    table = page.get_by_role("table", name="Events")
    expect(table).to_contain_text("refund-1")
    expect(table).not_to_contain_text("payment-2")

    page.get_by_role("combobox", name="Status").select_option("pending")

    page.wait_for_url("**/console/events?*status=pending*")
    expect(table.get_by_text("refund-1")).to_have_count(0)
    page.go_back()
    expect(table).to_contain_text("refund-1")


def test_an_event_s_tab_has_an_address(open_page: Open, filled: Places) -> None:
    page = open_page(f"/events/{filled.event_id}")
    page.get_by_role("tab", name="Payload").click()
    page.wait_for_url("**tab=payload*")

    page.reload()

    expect(page.get_by_role("tab", name="Payload")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel", name="Payload")).to_contain_text("12500")


def test_the_keyboard_alone_leads_from_the_overview_to_an_event(
    open_page: Open, filled: Places
) -> None:
    page = open_page("/")
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()

    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("Events")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/events*")
    expect(page.get_by_role("table", name="Events").get_by_role("row").nth(1)).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    page.wait_for_url("**/console/events/0*")
    expect(page.get_by_role("tablist")).to_be_visible()
