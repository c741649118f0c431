import re
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.console.conftest import Open
from tests.fixtures import client
from tests.fixtures.deadlines import eventually

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

# Fewer than a page, so that the list says how many there are.
EVENTS = 12


def test_rows_wait_while_load_runs_and_then_are_what_rest_says(open_page: Open, api: str) -> None:
    page = open_page("/events?type=load.tick")
    table = page.get_by_role("table", name="Events")
    # A pointer in the list keeps it still: what comes waits behind a button.
    send_one(api, "before")
    expect(table.get_by_role("link", name="before")).to_be_visible()
    table.hover()
    load = client.Load(api, threads=1)
    load.start()
    try:
        eventually(lambda: len(load.events) > EVENTS, deadline_seconds=30, what="load runs")
        waiting = page.get_by_role("button", name=re.compile(r"^[\d,]+\+? new|^Many new"))
        expect(waiting).to_be_visible()
        assert table.get_by_role("link").count() == 1
    finally:
        load.stop()
    everything = len(load.events) + 1
    eventually(
        lambda: all(event["status"] == "processed" for event in listed(api)),
        deadline_seconds=30,
        what="all is processed",
    )

    waiting.click()

    expect(page.get_by_text(f"{everything} events, that is all")).to_be_visible()
    expect(table.get_by_role("row").nth(1)).to_contain_text(listed(api)[0]["external_id"])
    expect(table.get_by_text("pending")).to_have_count(0)
    expect(waiting).to_have_count(0)


def listed(api: str) -> list[dict[str, Any]]:
    return client.call(api, "GET", "/events?type=load.tick&limit=200").body["events"]


def send_one(api: str, external_id: str) -> None:
    body: dict[str, object] = {"id": external_id, "type": "load.tick", "data": {"turn": 0}}
    assert client.call(api, "POST", "/events", body).status == 201
