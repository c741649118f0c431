import pytest
from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.console.places import PAYMENT
from tests.fixtures import client
from tests.fixtures.deadlines import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def processed_event(api: str, **changes: str) -> str:
    body = {"id": "to-be-replayed", "type": "replayed.payment", "data": PAYMENT, **changes}
    event_id = client.call(api, "POST", "/events", body).body["id"]
    eventually(
        lambda: client.call(api, "GET", f"/events/{event_id}").body["status"] == "processed",
        what="it is processed",
    )
    return event_id


def test_a_replay_from_the_event_s_page_shows_that_it_came_out_the_same(
    open_page: Open, api: str
) -> None:
    page = open_page(f"/events/{processed_event(api)}")

    page.get_by_role("button", name="Replay", exact=True).click()
    dialog = page.get_by_role("dialog", name="Replay this event")
    expect(dialog).to_contain_text("Nothing that was sent is sent again")
    dialog.get_by_role("button", name="Replay", exact=True).click()

    expect(dialog).to_have_count(0)
    page.get_by_role("tab", name="Replays").click()
    panel = page.get_by_role("tabpanel", name="Replays")
    expect(panel).to_contain_text("identical")


def test_a_replay_that_sends_everything_again_wants_a_reason_first(
    open_page: Open, api: str
) -> None:
    page = open_page(f"/events/{processed_event(api)}")
    page.get_by_role("button", name="Replay", exact=True).click()
    dialog = page.get_by_role("dialog", name="Replay this event")

    dialog.get_by_role("radio", name="Send everything again").check()

    button = dialog.get_by_role("button", name="Replay and send again")
    expect(button).to_be_disabled()
    dialog.get_by_role("textbox", name="Reason").fill("the receiver lost its disk")
    expect(button).to_be_enabled()


def test_a_search_in_the_list_is_handed_to_a_bulk_replay_which_takes_no_other_event(
    open_page: Open, api: str
) -> None:
    for subject in ("basket 7001-a", "basket 7001-b", "basket 8002"):
        processed_event(api, id=subject, subject=subject)
    page = open_page("/events?q=BASKET+7001&status=processed")
    expect(page.get_by_role("list", name="Active filters")).to_contain_text("BASKET 7001")

    page.get_by_role("link", name="Replay all that match").click()
    expect(page.get_by_role("textbox", name="Search")).to_have_value("BASKET 7001")
    page.get_by_role("button", name="Preview").click()
    page.get_by_role("textbox", name="Reason").fill("the basket service was down")
    page.get_by_role("button", name="Replay 2 events").click()

    expect(page.get_by_role("heading", name="Replay", exact=True)).to_be_visible()
    expect(page.locator("dl", has_text="Search")).to_contain_text("BASKET 7001")
    found = client.call(api, "GET", "/replays?limit=1").body["replays"][0]
    eventually(
        lambda: client.call(api, "GET", f"/replays/{found['id']}").body["state"] == "done",
        what="it is done",
    )
    events = client.call(api, "GET", f"/replays/{found['id']}/events").body["events"]
    assert {each["subject"] for each in events} == {"basket 7001-a", "basket 7001-b"}
