"""Facets of the events list: each counts as if its own filter were not set."""

import uuid
from typing import Any

import pytest

from services.api import app
from services.api.queries import event_facets as queries
from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client


class Events:
    """Four events of one subject, so that nobody else's count."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.subject = f"s-{uuid.uuid4().hex[:8]}"
        for source, kind in (("shop", "a"), ("shop", "b"), ("shop", "b"), ("till", "b")):
            body = samples.event(
                id=uuid.uuid4().hex, source=source, type=f"facet.{kind}", subject=self.subject
            )
            assert client.call(api.url, "POST", "/events", body).status == 201

    def ask(self, query: str = "") -> dict[str, Any]:
        path = f"/events/facets?subject={self.subject}{query}"
        answer = client.call(self.api.url, "GET", path)
        assert answer.status == 200, answer
        return answer.body


@pytest.fixture
def events(api: Api) -> Events:
    return Events(api)


def _counts(facet: dict[str, Any]) -> dict[str, int]:
    return {each["value"]: each["count"] for each in facet["values"]}


def test_facets_count_what_matches(events: Events) -> None:
    found = events.ask()

    assert (found["looked_at"], found["exact"]) == (4, True)
    assert _counts(found["status"]) == {"pending": 4}
    assert list(_counts(found["type"]).items()) == [("facet.b", 3), ("facet.a", 1)]
    assert _counts(found["source"]) == {"shop": 3, "till": 1}


def test_a_facet_leaves_its_own_filter_out_and_keeps_the_others(events: Events) -> None:
    found = events.ask("&type=facet.b&source=shop")

    assert found["looked_at"] == 2
    assert _counts(found["type"]) == {"facet.a": 1, "facet.b": 2}
    assert _counts(found["source"]) == {"shop": 2, "till": 1}
    assert _counts(found["status"]) == {"pending": 2}


def test_every_filter_of_the_list_narrows_facets_too(events: Events) -> None:
    soon, past = "2999-01-01T00:00:00Z", "2001-01-01T00:00:00Z"

    assert events.ask("&q=facet.a")["looked_at"] == 1
    assert events.ask(f"&received_after={past}&received_before={soon}")["looked_at"] == 4
    assert events.ask(f"&received_after={soon}")["looked_at"] == 0
    assert events.ask("&status=failed")["looked_at"] == 0
    assert events.ask("&external_id=none")["looked_at"] == 0
    assert events.ask(f"&rule_id={uuid.uuid4()}")["looked_at"] == 0


def test_the_ends_of_the_calendar_are_moments_too(events: Events) -> None:
    first, last = "0001-01-01T00:00:00Z", "9999-12-31T23:30:00Z"

    found = events.ask(f"&received_after={first}&received_before={last}")

    assert found["looked_at"] == 4
    assert events.ask(f"&received_before={first}")["looked_at"] == 0
    assert events.ask(f"&received_after={last}")["looked_at"] == 0
    query = f"subject={events.subject}&received_after={first}&received_before={last}"
    for path in ("/events", "/events/export"):
        assert client.call(events.api.url, "GET", f"{path}?{query}").status == 200


def test_facets_and_export_take_the_filters_of_the_list() -> None:
    paths = app.openapi_document()["paths"]
    names = {
        path: {each["name"]: each["schema"] for each in paths[path]["get"]["parameters"]}
        for path in ("/events", "/events/facets", "/events/export")
    }
    listed = {name: schema for name, schema in names["/events"].items() if name != "limit"}

    assert names["/events/facets"] == {n: s for n, s in listed.items() if n != "cursor"}
    assert {n: s for n, s in names["/events/export"].items() if n != "format"} == listed


def test_more_than_is_looked_at_is_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("all", "", 5000, True), ("status", "pending", 5000, True)]

    found = queries._read(rows)  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] five thousand events would cost the test its time

    assert (found.matched, found.exact) == (5000, False)


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=gone", "status"),
        ("received_after=2026-01-01", "received_after"),
        ("q=x", "q"),
        ("limit=5", "limit"),
        ("rule_id=x", "rule_id"),
        ("type=a&type=b", "type"),
    ],
)
def test_what_is_wrong_with_a_filter_is_named(api: Api, query: str, parameter: str) -> None:
    for path in ("/events/facets", "/events/export"):
        answer = client.call(api.url, "GET", f"{path}?{query}")

        assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, parameter), answer
