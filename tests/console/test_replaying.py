import pytest
from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.console.places import PAYMENT
from tests.fixtures import client
from tests.fixtures.deadlines import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def processed_event(api: str) -> str:
    body = {"id": "to-be-replayed", "type": "replayed.payment", "data": PAYMENT}
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
