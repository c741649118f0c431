"""The acts that change something, pressed; REST tells whether each did what it said."""

from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.console import browser
from tests.console.conftest import Open
from tests.fixtures import client
from tests.fixtures.deadlines import eventually
from tests.fixtures.sink import Sink

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def post(api: str, path: str, body: object = None, *, etag_of: str = "") -> Any:
    headers = {"If-Match": client.call(api, "GET", etag_of).headers["etag"]} if etag_of else {}
    answer = client.call(api, "POST", path, body, headers=headers)
    assert answer.status in {200, 201, 202}, (path, answer.body)
    return answer.body


def get(api: str, path: str) -> Any:
    answer = client.call(api, "GET", path)
    assert answer.status == 200, (path, answer.body)
    return answer.body


def make_rule(api: str, event_type: str, action: dict[str, Any] | None = None) -> str:
    body = {"name": event_type, "event_type": event_type, "condition": True}
    return post(api, "/rules", body | {"action": action or {"type": "log"}})["id"]


def make_target(api: str, name: str, url: str) -> str:
    """A target that every event of the type called as the target goes to."""
    target_id: str = post(api, "/targets", {"name": name, "url": url})["id"]
    make_rule(api, name, {"type": "call_webhook", "target": target_id})
    return target_id


def send(api: str, event_type: str, count: int = 1) -> None:
    for number in range(count):
        body = {"id": f"{event_type}-{number}", "type": event_type, "data": {"number": number}}
        post(api, "/events", body)


def delivery_of(api: str, target_id: str, state: str) -> dict[str, Any]:
    path = f"/deliveries?target_id={target_id}&state={state}"
    found = eventually(
        lambda: get(api, path)["deliveries"], deadline_seconds=20, what=f"one is {state}"
    )
    return found[0]


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def dialog(page: Page, says: str) -> Locator:
    """The question that is asked, once it says this."""
    asked = page.get_by_role("dialog").last
    expect(asked).to_contain_text(says)
    return asked


def confirm(asked: Locator, verb: str, reason: str = "") -> None:
    if reason:
        asked.get_by_role("textbox", name="Reason").fill(reason)
    button = asked.get_by_role("button", name=verb, exact=True)
    button.click()
    expect(button).to_have_count(0)


def states(api: str, rule_id: str) -> dict[int, str]:
    versions = get(api, f"/rules/{rule_id}/versions")["versions"]
    return {version["version"]: version["state"] for version in versions}


def test_an_older_version_is_published_again_and_another_leaves_shadow(
    open_page: Open, api: str
) -> None:
    rule_id = make_rule(api, "acts.versions")
    content = {"event_type": "acts.versions", "condition": False, "action": {"type": "log"}}
    post(api, f"/rules/{rule_id}/versions", content)
    post(api, f"/rules/{rule_id}/versions/2/publish")
    page = open_page(f"/rules/{rule_id}?tab=versions")

    press(page, "Publish again")
    dialog(page, "Version 2 is retired").press("Escape")
    expect(page.get_by_role("button", name="Publish again")).to_be_focused()
    assert states(api, rule_id) == {1: "retired", 2: "published"}
    press(page, "Publish again")
    confirm(dialog(page, "Publish version 1?"), "Publish")
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()
    assert states(api, rule_id) == {1: "published", 2: "retired"}

    press(page, "Shadow")
    confirm(dialog(page, "acts on nothing"), "Put in shadow")
    assert states(api, rule_id) == {1: "published", 2: "shadow"}
    for version, says in ((2, "It is evaluated no more"), (1, "The rule then does nothing")):
        row = page.get_by_role("listitem", name=f"Version {version}")
        row.get_by_role("button", name="Retire").click()
        confirm(dialog(page, says), "Retire")
    assert states(api, rule_id) == {1: "retired", 2: "retired"}
    # Its own button is gone: who pressed it is not left nowhere.
    expect(page.get_by_role("heading", name="acts.versions")).to_be_focused()


def test_a_rule_is_switched_off_and_archived_only_as_it_was_read_and_restored(
    open_page: Open, api: str, witness: browser.Witness
) -> None:
    witness.expect("412")
    path = f"/rules/{make_rule(api, 'acts.switch')}"
    page = open_page(path)

    page.get_by_role("switch", name="On").click()
    confirm(dialog(page, "no version of it is evaluated"), "Switch off")
    assert get(api, path)["active"] is False

    press(page, "Archive")
    asked = dialog(page, "It can be restored as it was")
    headers = {"If-Match": client.call(api, "GET", path).headers["etag"]}
    assert client.call(api, "PATCH", path, {"active": True}, headers=headers).status == 200
    asked.get_by_role("button", name="Archive").click()
    expect(asked).to_contain_text("Somebody changed this meanwhile, so nothing was done")
    assert get(api, path)["archived_at"] is None
    press(page, "Cancel")
    expect(page.get_by_role("switch", name="On")).to_be_checked()

    press(page, "Archive")
    confirm(dialog(page, "It can be restored as it was"), "Archive")
    assert get(api, path)["archived_at"] is not None
    press(page, "Restore")
    confirm(dialog(page, "It comes back as it was: switched on"), "Restore")
    assert get(api, path)["archived_at"] is None


def test_a_bulk_replay_is_paused_by_two_presses_resumed_and_cancelled(
    open_page: Open, api: str
) -> None:
    send(api, "acts.replayed", 15)
    eventually(
        lambda: len(get(api, "/events?type=acts.replayed&status=processed")["events"]) == 15,
        what="they are processed",
    )
    asked = {"filter": {"type": "acts.replayed"}, "reason": "slowly", "rate_per_second": 1}
    path = f"/replays/{post(api, '/replays', asked)['id']}"
    page = open_page(path)

    # The witness would tell of the refusal that a second request gets.
    page.get_by_role("button", name="Pause").dblclick()
    expect(page.get_by_text("Paused. What was replayed stays.")).to_be_visible()
    assert get(api, path)["state"] == "paused"
    press(page, "Resume")
    confirm(dialog(page, "are left, at up to 1 event per second"), "Resume")
    assert get(api, path)["state"] in {"queued", "running"}
    press(page, "Cancel")
    confirm(dialog(page, "A cancelled replay cannot go on"), "Cancel the replay")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_role("heading", name="Replay", exact=True)).to_be_focused()
    job = get(api, path)
    assert (job["state"], job["replayed"] < 15) == ("cancelled", True)


def test_a_failed_delivery_is_sent_again_under_its_id(
    open_page: Open, api: str, receiver: Sink
) -> None:
    script = receiver.script("acts-retry", "status/400", "status/400", "ok")
    target_id = make_target(api, "acts.retry", receiver.url(script))
    send(api, "acts.retry")
    delivery_id = delivery_of(api, target_id, "failed")["id"]
    sent = len(receiver.hits_of(delivery_id))
    page = open_page(f"/deliveries/{delivery_id}")

    press(page, "Send again")
    confirm(dialog(page, "the same webhook-id"), "Send again")

    delivery_of(api, target_id, "confirmed")
    assert len(receiver.hits_of(delivery_id)) == sent + 1
    letters = get(api, f"/dead-letters?delivery_id={delivery_id}")["dead_letters"]
    assert [letter["state"] for letter in letters] == ["redriven"]


@pytest.mark.parametrize(
    ("outcome", "word"), [("confirmed", "It arrived"), ("failed", "It did not arrive")]
)
def test_an_unknown_delivery_is_settled_as_the_receiver_says(
    open_page: Open, api: str, receiver: Sink, outcome: str, word: str
) -> None:
    name = f"acts.unknown.{outcome}"
    target_id = make_target(api, name, receiver.url("/cut"))
    send(api, name)
    delivery_id = delivery_of(api, target_id, "unknown")["id"]
    sent = len(receiver.hits_of(delivery_id))
    page = open_page(f"/deliveries/{delivery_id}")

    press(page, "Say how it ended")
    asked = dialog(page, delivery_id)
    asked.get_by_role("radio", name=word).check()
    expect(asked.get_by_role("button", name=f"Settle as {outcome}")).to_be_disabled()
    confirm(asked, f"Settle as {outcome}", "they looked")

    settled = get(api, f"/deliveries/{delivery_id}")
    assert (settled["state"], settled["reason"]) == (outcome, "they looked")
    assert len(receiver.hits_of(delivery_id)) == sent


def test_dead_letters_are_redriven_discarded_and_redriven_by_filter(
    open_page: Open, api: str, receiver: Sink
) -> None:
    script = receiver.script("acts-letters", "status/400")
    make_target(api, "acts.letters", receiver.url(script))
    send(api, "acts.letters", 4)
    path = "/dead-letters?event_type=acts.letters"
    eventually(
        lambda: len(get(api, path)["dead_letters"]) == 4,
        deadline_seconds=20,
        what="each is a dead letter",
    )
    receiver.script("acts-letters", "ok")
    first, second = (letter["id"] for letter in get(api, path)["dead_letters"][:2])

    page = open_page(f"/dead-letters?event_type=acts.letters&letter={first}")
    press(page, "Redrive")
    expect(page.get_by_role("button", name="Redrive", exact=True)).to_have_count(0)
    page = open_page(f"/dead-letters?event_type=acts.letters&letter={second}")
    page.get_by_role("dialog").get_by_role("button", name="Discard…").click()
    confirm(dialog(page, "It stays as it is and is not sent"), "Discard", "nobody misses it")
    page.keyboard.press("Escape")

    press(page, "Redrive all that match…")
    page.get_by_role("dialog").get_by_role("button", name="Preview").click()
    asked = dialog(page, "2 open dead letters match.")
    asked.get_by_role("button", name="Redrive 2").click()
    expect(asked).to_contain_text("all 2 were carried out")

    eventually(
        lambda: (
            [letter["state"] for letter in get(api, f"{path}&state=redriven")["dead_letters"]]
            == ["redriven"] * 3
        ),
        what="three are redriven",
    )
    discarded = get(api, f"/dead-letters/{second}")["letter"]
    assert discarded["state"] == "discarded"
    assert discarded["resolution_reason"] == "nobody misses it"


def test_a_target_is_made_rotated_disabled_enabled_and_archived(
    open_page: Open, api: str, receiver: Sink
) -> None:
    page = open_page("/targets")
    press(page, "New target")
    form = dialog(page, "Signing secret")
    form.get_by_role("textbox", name="Name").fill("acts.pressed")
    form.get_by_role("textbox", name="URL").fill(receiver.url("/ok"))
    form.get_by_role("button", name="Create").dblclick()
    secret = dialog(page, "whsec_")
    secret.press("Escape")
    expect(secret).to_contain_text("Not closed yet")
    press(page, "I have stored it")
    page.wait_for_url("**/console/targets/0*")
    (target,) = get(api, "/targets?name=acts.pressed")["targets"]
    path = f"/targets/{target['id']}"

    def choose(act: str) -> None:
        press(page, "More")
        page.get_by_role("menuitem", name=act).click()

    choose("Rotate the secret")
    dialog(page, "1 of at most 5 sign now").get_by_role("button", name="Rotate").click()
    dialog(page, "whsec_").get_by_role("button", name="I have stored it").click()
    assert len(get(api, path)["secrets"]) == 2
    choose("Disable")
    confirm(dialog(page, "becomes skipped"), "Disable", "they asked for it")
    assert get(api, path)["disabled_reason"] == "they asked for it"
    press(page, "Enable")
    confirm(dialog(page, "What was skipped meanwhile stays skipped"), "Enable")
    assert get(api, path)["disabled_at"] is None

    # The question stays as it was asked when a colleague answers it first.
    choose("Disable")
    asked = dialog(page, "becomes skipped")
    post(api, f"{path}/disable", {"reason": "quicker"}, etag_of=path)
    expect(page.get_by_role("button", name="Enable", include_hidden=True)).to_be_attached()
    expect(asked).to_contain_text("Disable acts.pressed")
    asked.get_by_role("button", name="Cancel").click()
    choose("Archive")
    confirm(dialog(page, "This cannot be taken back"), "Archive")
    assert get(api, path)["archived_at"] is not None
    expect(page.get_by_role("button", name="More")).to_have_count(0)


def test_a_type_is_set_by_two_presses_and_reset_and_a_name_that_is_none_is_refused(
    open_page: Open, api: str
) -> None:
    page = open_page("/event-types")
    name = page.get_by_role("textbox", name="Name of a type")
    name.fill("not a name")
    press(page, "Open type")
    expect(page.get_by_role("dialog")).to_have_count(0)
    name.fill("acts.typed")
    press(page, "Open type")
    drawer = dialog(page, "Has the defaults")

    drawer.get_by_role("spinbutton", name="Retries").fill("2")
    # The witness would tell of a second save: it is refused.
    drawer.get_by_role("button", name="Save").dblclick()
    expect(page.get_by_text("acts.typed was set, in force within a second.")).to_be_visible()
    assert get(api, "/event-types/acts.typed")["retry_limit"] == 2

    page.get_by_role("link", name="acts.typed").click()
    press(page, "Reset to defaults")
    confirm(dialog(page, "go back to the defaults within a second"), "Reset")
    assert get(api, "/event-types/acts.typed")["defaults"] is True


def test_a_key_is_made_shown_once_and_revoked(open_page: Open, api: str) -> None:
    page = open_page("/keys")
    page.get_by_role("button", name="Make a key").first.click()
    form = dialog(page, "What it may do")
    form.get_by_role("textbox", name="Name").fill("acts-key")
    form.get_by_role("checkbox", name="events:read").check()
    confirm(form, "Make the key")
    expect(page.get_by_role("region", name="The new key acts-key")).to_be_focused()

    def key() -> dict[str, Any]:
        (found,) = [key for key in get(api, "/keys")["keys"] if key["name"] == "acts-key"]
        return found

    assert (key()["scopes"], key()["revoked_at"]) == (["events:read"], None)
    press(page, "Revoke acts-key")
    confirm(dialog(page, "refused within a second, for good"), "Revoke the key")
    assert key()["revoked_at"] is not None


def test_a_fault_is_switched_on_for_a_while_and_off(open_page: Open, api: str) -> None:
    page = open_page("/faults")
    try:
        page.get_by_role("switch", name="duplicateEvents").click()
        page.get_by_role("combobox", name="Ends by itself after").select_option("30 seconds")
        page.get_by_role("textbox", name="Only this event type").fill("acts.nothing")
        press(page, "Apply")
        expect(page.get_by_text("On within a second: duplicateEvents.")).to_be_visible()
        (rule,) = get(api, "/faults")["rules"]
        assert 0 < rule["seconds_left"] <= 30
        assert rule["match"]["event_type"] == "acts.nothing"

        page.get_by_role("switch", name="duplicateEvents").click()
        press(page, "Apply: all off")
        expect(page.get_by_text("Every fault is switched off")).to_be_visible()
        assert get(api, "/faults")["knobs"] == {}
    finally:
        client.call(api, "DELETE", "/faults")
