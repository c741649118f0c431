import pytest
from playwright.sync_api import Route, expect

from tests.console import browser
from tests.console.conftest import Open
from tests.fixtures import client

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

RULE = {
    "name": "Edited by two",
    "event_type": "edited.by.two",
    "condition": {">": [{"var": "amount"}, 100]},
    "action": {"type": "log"},
}


def test_a_rule_that_somebody_else_changed_meanwhile_is_not_overwritten(
    open_page: Open, api: str, witness: browser.Witness
) -> None:
    witness.expect("412")
    rule = client.call(api, "POST", "/rules", RULE).body
    page = open_page(f"/rules/{rule['id']}?tab=edit")
    value = page.get_by_role("textbox", name="Value 1")
    value.fill("200")
    theirs = RULE | {"name": "Theirs", "condition": {">": [{"var": "amount"}, 300]}}
    etag = client.call(api, "GET", f"/rules/{rule['id']}").headers["etag"]
    path = f"/rules/{rule['id']}"
    assert client.call(api, "PUT", path, theirs, headers={"If-Match": etag}).status == 200

    page.get_by_role("button", name="Save draft").click()

    # It says so, shows both, and what was typed is still there.
    expect(page.get_by_text("Nothing was replaced and your text is kept")).to_be_visible()
    expect(page.get_by_role("button", name="Drop mine, begin from theirs")).to_be_visible()
    expect(value).to_have_value("200")
    assert client.call(api, "GET", path).body["name"] == "Theirs"

    page.get_by_role("button", name="Save mine on top").click()

    expect(page.get_by_text("Nothing was replaced and your text is kept")).to_have_count(0)
    versions = client.call(api, "GET", f"{path}/versions").body["versions"]
    assert [version["condition"] for version in versions if version["state"] == "draft"] == [
        {">": [{"var": "amount"}, 200]}
    ]


def test_unsaved_text_outlives_the_tabs_and_is_not_left_without_a_word(
    open_page: Open, api: str
) -> None:
    rule = client.call(api, "POST", "/rules", RULE | {"name": "Half written"}).body
    page = open_page(f"/rules/{rule['id']}?tab=edit")
    value = page.get_by_role("textbox", name="Value 1")
    value.fill("200")

    page.get_by_role("tab", name="Versions").click()
    expect(value).to_be_hidden()
    page.get_by_role("tab", name="Edit and test").click()
    expect(value).to_have_value("200")

    page.get_by_role("link", name="Deliveries").first.click()
    asked = page.get_by_role("dialog", name="Leave without saving?")
    asked.get_by_role("button", name="Stay").click()
    expect(asked).to_have_count(0)
    expect(value).to_have_value("200")

    page.get_by_role("link", name="Deliveries").first.click()
    asked.get_by_role("button", name="Leave without saving").click()
    page.wait_for_url("**/console/deliveries*")


def test_what_is_typed_while_it_is_saved_stays_and_two_presses_save_once(
    open_page: Open, api: str
) -> None:
    rule = client.call(api, "POST", "/rules", RULE | {"name": "Pressed twice"}).body
    path = f"/rules/{rule['id']}"
    page = open_page(f"{path}?tab=edit")
    value = page.get_by_role("textbox", name="Value 1")
    value.fill("200")
    page.get_by_role("combobox", name="Test on").select_option("A payload of my own")
    held: list[Route] = []
    page.route(
        f"**{path}",
        lambda route: held.append(route) if route.request.method == "PUT" else route.continue_(),
    )

    save = page.get_by_role("button", name="Save draft")
    save.dblclick()
    expect(save).to_be_disabled()
    value.fill("300")
    held.pop().continue_()

    expect(page.get_by_text("Not saved yet.")).to_be_visible()
    expect(value).to_have_value("300")
    expect(page.get_by_role("textbox", name="Payload")).to_be_visible()
    assert held == []
    versions = client.call(api, "GET", f"{path}/versions").body["versions"]
    assert [version["condition"][">"][1] for version in versions] == [200, 100]
    page.unroute_all()
    save.click()
    expect(page.get_by_text("As version 3 (draft).")).to_be_visible()


def test_what_was_not_tested_is_published_only_by_who_says_so(open_page: Open, api: str) -> None:
    draft = RULE | {"name": "Untested", "state": "draft"}
    rule = client.call(api, "POST", "/rules", draft).body
    page = open_page(f"/rules/{rule['id']}?tab=versions")
    page.get_by_role("button", name="Publish", exact=True).click()
    publish = page.get_by_role("dialog").get_by_role("button", name="Publish")
    expect(publish).to_be_disabled()
    page.get_by_role("switch", name="Publish without a test").click()
    publish.click()
    expect(page.get_by_text("Version 1 is published.")).to_be_visible()


def test_a_new_rules_text_outlives_another_event_and_holds_up_a_reload_and_back(
    open_page: Open, api: str
) -> None:
    ids = [
        client.call(
            api,
            "POST",
            "/events",
            {"id": f"text-{n}", "type": "new.rule.text", "data": {}},
        ).body["id"]
        for n in range(2)
    ]
    page = open_page("/rules")
    page.get_by_role("link", name="New rule").first.click()
    page.get_by_role("button", name="Begin here: Log every event of a type").click()
    page.get_by_role("combobox", name="Event type").fill("new.rule.text")
    page.get_by_role("combobox", name="Test on").select_option(ids[0])
    page.wait_for_url(f"**event_id={ids[0]}*")
    expect(page.get_by_role("combobox", name="Event type")).to_have_value("new.rule.text")

    leave = "new Event('beforeunload', {cancelable: true})"
    assert not page.evaluate(f"window.dispatchEvent({leave})")
    page.evaluate("history.back()")
    expect(page.get_by_role("dialog", name="Leave without saving?")).to_be_visible()
    page.get_by_role("button", name="Stay").click()
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("tab", name="Versions")).to_be_visible()
    assert page.evaluate(f"window.dispatchEvent({leave})")
