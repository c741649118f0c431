"""Dead letters over HTTP: what is listed, and that asking for a redrive or a discard is one act."""

import uuid
from collections import Counter
from typing import Any

import pytest
import uuid_utils.compat

from tests.api import deliveries, rules
from tests.api.conftest import Api
from tests.fixtures import client
from tests.fixtures.watcher import Watcher

ACTOR = "anonymous@127.0.0.1"
_INSERT = """
    insert into dead_letters (id, stage, event_id, event_type, topic, kafka_partition, kafka_offset,
      payload, payload_bytes, error_class, error_message, created_at)
    values (%(id)s, %(stage)s, %(event_id)s, %(event_type)s, %(topic)s, 0, %(offset)s,
      %(payload)s, %(bytes)s, %(error_class)s, 'it broke', now() - %(age)s::interval)"""
_AUDIT = "select actor, action, detail from audit_log where target = %s"


class Letters:
    """Puts dead letters into the database, each test under a topic of its own."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.topic = f"topic-{uuid.uuid4()}"
        self.count = 0

    def add(
        self,
        *,
        stage: str = "consumer",
        event_type: str | None = "t",
        payload: bytes | None = b'{"a":1}',
        error_class: str = "ValueError",
        age: str = "0",
    ) -> str:
        self.count += 1
        letter_id = uuid_utils.compat.uuid7()
        row = {
            "id": letter_id,
            "stage": stage,
            "event_id": uuid.uuid4(),
            "event_type": event_type,
            "topic": self.topic,
            "offset": self.count,
            "payload": payload,
            "error_class": error_class,
            "age": age,
            "bytes": len(payload or b""),
        }
        with self._api.database.connect() as conn:
            conn.execute(_INSERT.encode(), row)
        return str(letter_id)


@pytest.fixture
def letters(api: Api) -> Letters:
    return Letters(api)


def _ids(answer: client.Answer) -> list[str]:
    return [letter["id"] for letter in answer.body["dead_letters"]]


def _act(api: Api, letter_id: str, act: str, body: Any = None) -> client.Answer:
    return client.call(api.url, "POST", f"/dead-letters/{letter_id}/{act}", body)


def test_list_goes_newest_first_page_by_page(api: Api, letters: Letters) -> None:
    made = [letters.add() for _ in range(5)]
    path = f"/dead-letters?topic={letters.topic}&limit=2"
    seen: list[str] = []
    cursors: list[str | None] = [""]
    for _ in range(3):
        page = client.call(api.url, "GET", path + (cursors[-1] or ""))
        seen += _ids(page)
        cursor = page.body["next_cursor"]
        cursors.append(cursor and f"&cursor={cursor}")
    assert cursors[-1] is None
    assert seen == made[::-1]


def test_filters_narrow_the_list(api: Api, letters: Letters) -> None:
    relayed = letters.add(stage="relay")
    other_type = letters.add(event_type="other")
    asked = letters.add()
    assert _act(api, asked, "redrive").status == 202
    expected = {
        "stage=relay": [relayed],
        "event_type=other": [other_type],
        "state=redrive_requested": [asked],
        "state=open": [other_type, relayed],
        "stage=delivery": [],
    }
    found = {
        query: _ids(client.call(api.url, "GET", f"/dead-letters?topic={letters.topic}&{query}"))
        for query in expected
    }
    assert found == expected


def test_a_cursor_keeps_its_filters(api: Api, letters: Letters) -> None:
    for _ in range(3):
        letters.add()
    first = client.call(api.url, "GET", f"/dead-letters?topic={letters.topic}&limit=1")
    cursor = first.body["next_cursor"]
    second = client.call(api.url, "GET", f"/dead-letters?limit=200&cursor={cursor}")
    assert len(_ids(second)) == 2
    other = client.call(api.url, "GET", f"/dead-letters?topic=other&cursor={cursor}")
    assert (other.status, other.body["errors"][0]["parameter"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("payload", "text"), [(b'{"a":1}', '{"a":1}'), (b"\xff\x00", None), (None, None)]
)
def test_one_dead_letter_shows_its_payload(
    api: Api, letters: Letters, payload: bytes | None, text: str | None
) -> None:
    letter_id = letters.add(payload=payload)
    answer = client.call(api.url, "GET", f"/dead-letters/{letter_id}")
    assert answer.status == 200
    assert answer.body["letter"]["id"] == letter_id
    assert answer.body["letter"]["state"] == "open"
    assert answer.body["payload_text"] == text
    assert (answer.body["payload_base64"] is None) == (payload is None)


def test_redrive_is_asked_for_and_audited(api: Api, letters: Letters) -> None:
    letter_id = letters.add()
    answer = _act(api, letter_id, "redrive", {})
    assert (answer.status, answer.body) == (202, {"id": letter_id, "state": "redrive_requested"})
    stored = client.call(api.url, "GET", f"/dead-letters/{letter_id}").body["letter"]
    assert (stored["state"], stored["resolved_at"]) == ("redrive_requested", None)
    assert api.database.rows(_AUDIT, letter_id) == [(ACTOR, "dead_letter.redrive_requested", {})]


def test_discard_is_asked_for_with_its_reason_and_audited(api: Api, letters: Letters) -> None:
    letter_id = letters.add()
    answer = _act(api, letter_id, "discard", {"reason": "a test order"})
    assert (answer.status, answer.body["state"]) == (202, "discard_requested")
    stored = client.call(api.url, "GET", f"/dead-letters/{letter_id}").body["letter"]
    assert stored["resolution_reason"] == "a test order"
    detail = {"reason": "a test order"}
    assert api.database.rows(_AUDIT, letter_id) == [
        (ACTOR, "dead_letter.discard_requested", detail)
    ]


@pytest.mark.parametrize(
    "state", ["redrive_requested", "redriven", "discard_requested", "discarded"]
)
@pytest.mark.parametrize("act", ["redrive", "discard"])
def test_only_an_open_letter_can_be_acted_on(
    api: Api, letters: Letters, state: str, act: str
) -> None:
    letter_id = letters.add()
    with api.database.connect() as conn:
        conn.execute("update dead_letters set state = %s where id = %s", [state, letter_id])
    answer = _act(api, letter_id, act, {"reason": "r"} if act == "discard" else None)
    assert answer.status == 409
    assert answer.body["type"] == "/problems/dead-letter-state"
    assert answer.body["state"] == state
    assert api.database.rows(_AUDIT, letter_id) == []


def test_20_redrives_at_once_are_one_act(api: Api, letters: Letters) -> None:
    letter_id = letters.add()
    answers = client.at_once(20, lambda _: _act(api, letter_id, "redrive"))
    assert Counter(answer.status for answer in answers) == {202: 1, 409: 19}
    assert len(api.database.rows(_AUDIT, letter_id)) == 1


@pytest.mark.parametrize("letter_id", [str(uuid.UUID(int=7)), "0", "a-b", "%00", "%2F"])
def test_an_unknown_letter_is_404(api: Api, letter_id: str) -> None:
    assert client.call(api.url, "GET", f"/dead-letters/{letter_id}").status == 404
    assert _act(api, letter_id, "redrive").status == 404
    assert _act(api, letter_id, "discard", {"reason": "r"}).status == 404


@pytest.mark.parametrize(
    ("act", "body", "pointer"),
    [
        ("redrive", {"reason": "r"}, ""),
        ("redrive", [], ""),
        ("discard", {}, "/reason"),
        ("discard", {"reason": ""}, "/reason"),
        ("discard", {"reason": "r" * 1001}, "/reason"),
        ("discard", {"reason": "a\u202eb"}, "/reason"),
        ("discard", {"reason": 1}, "/reason"),
        ("discard", {"reason": "r", "by": "me"}, "/by"),
    ],
)
def test_a_bad_body_is_422_and_changes_nothing(
    api: Api, letters: Letters, act: str, body: Any, pointer: str
) -> None:
    letter_id = letters.add()
    answer = _act(api, letter_id, act, body)
    assert answer.status == 422
    assert [fault.get("pointer") for fault in answer.body["errors"]] == [pointer]
    stored = client.call(api.url, "GET", f"/dead-letters/{letter_id}").body["letter"]
    assert stored["state"] == "open"
    assert api.database.rows(_AUDIT, letter_id) == []


def _states(api: Api, letters: Letters) -> list[str]:
    rows = api.database.rows(
        "select state from dead_letters where topic = %s order by id", letters.topic
    )
    return [row[0] for row in rows]


def _bulk(api: Api, act: str, **body: Any) -> client.Answer:
    return client.call(api.url, "POST", f"/dead-letters/{act}", body)


def test_all_of_a_filter_are_asked_for_oldest_first_with_one_line_of_the_audit(
    api: Api, letters: Letters
) -> None:
    first, _, third, _ = [letters.add(error_class=each) for each in ("A", "B", "A", "A")]
    only = {"topic": letters.topic, "error_class": "A"}
    audit = "select actor, action, detail from audit_log where target = 'dead-letters' order by id"
    before = len(api.database.rows(audit))

    tried = _bulk(api, "redrive", filter=only, limit=2, dry_run=True)
    assert (tried.status, tried.body) == (
        200,
        {
            "matched": 3,
            "requested": 0,
            "dry_run": True,
            "by_stage": {"consumer": 2},
            "by_error_class": {"A": 2},
        },
    )
    assert _states(api, letters) == ["open"] * 4

    with Watcher(api.url) as watcher:
        watcher.subscribe({"kinds": ["dead_letter"]})
        done = _bulk(api, "redrive", filter=only, limit=2)
        watcher.wait(watcher.updates, "the two")
        assert set(watcher.updates()) == {
            ("dead_letter", letter_id, "redrive_requested", "t") for letter_id in (first, third)
        }
    assert (done.status, done.body["matched"], done.body["requested"]) == (202, 3, 2)
    redrive, discard = "redrive_requested", "discard_requested"
    assert _states(api, letters) == [redrive, "open", redrive, "open"]

    done = _bulk(api, "discard", filter={"topic": letters.topic}, reason="test orders")
    assert (done.body["requested"], done.body["by_error_class"]) == (2, {"A": 1, "B": 1})
    assert _states(api, letters) == [redrive, discard, redrive, discard]
    assert _bulk(api, "redrive", filter=only).body["requested"] == 0
    told = api.database.rows(audit)[before:]
    assert [(row[0], row[1], row[2]["requested"]) for row in told] == [
        (ACTOR, "dead_letters.redrive_requested", 2),
        (ACTOR, "dead_letters.discard_requested", 2),
    ]
    assert told[1][2]["reason"] == "test orders"


def test_two_bulk_redrives_at_once_share_the_letters(api: Api, letters: Letters) -> None:
    for _ in range(30):
        letters.add()
    body = {"filter": {"topic": letters.topic}}
    answers = client.at_once(4, lambda _: _bulk(api, "redrive", **body))
    assert sum(answer.body["requested"] for answer in answers) == 30
    assert set(_states(api, letters)) == {"redrive_requested"}


def test_letters_of_deliveries_are_found_by_delivery_destination_and_age(
    api: Api, letters: Letters
) -> None:
    event = rules.accept_event(api.url)
    made = [
        deliveries.insert(
            api.database, event, str(uuid.uuid4()), 1, state="failed", destination=f"{place}:443"
        )
        for place in ("https://one.example.com", "https://two.example.com")
    ]
    first, second = (deliveries.give_up(api.database, event, each) for each in made)
    old = letters.add(age="2 days")
    letters.add()

    def ids(query: str) -> list[str]:
        return _ids(client.call(api.url, "GET", f"/dead-letters?{query}"))

    assert ids(f"stage=delivery&event_id={event}") == [second, first]
    assert ids(f"delivery_id={made[0]}") == [first]
    assert ids("destination=https://two.example.com:443") == [second]
    moment = api.database.value("select (now() - interval '1 day')::text").replace(" ", "T")
    moment = moment.replace("+00", "Z").replace("+", "%2B")
    assert ids(f"topic={letters.topic}&created_before={moment}") == [old]
    assert len(ids(f"topic={letters.topic}&created_after={moment}")) == 1
    shown = client.call(api.url, "GET", f"/dead-letters/{first}").body["letter"]
    assert (shown["delivery_id"], shown["topic"]) == (made[0], None)

    asked = _bulk(api, "redrive", filter={"destination": "https://one.example.com:443"})
    assert asked.body["by_stage"] == {"delivery": 1}
    assert ids(f"state=redrive_requested&event_id={event}") == [first]


def test_open_letters_are_counted_by_what_they_share(api: Api, letters: Letters) -> None:
    kind = f"type-{uuid.uuid4()}"
    letters.add(event_type=kind, error_class="Same", age="1 hour")
    letters.add(event_type=kind, error_class="Same")
    _act(api, letters.add(event_type=kind, error_class="Same"), "redrive")
    stats = client.call(api.url, "GET", "/dead-letters/stats").body
    groups = [group for group in stats["groups"] if group["event_type"] == kind]
    assert [(each["stage"], each["error_class"], each["count"]) for each in groups] == [
        ("consumer", "Same", 2)
    ]
    assert groups[0]["oldest_at"] < groups[0]["newest_at"]
    assert stats["cut_off"] is False
    assert stats["open"] == sum(group["count"] for group in stats["groups"])


def test_letters_without_an_event_type_can_be_asked_for(api: Api, letters: Letters) -> None:
    typed, *untyped = [letters.add(event_type=each) for each in ("t", None, None)]
    path = f"/dead-letters?topic={letters.topic}"

    def ids(query: str) -> list[str]:
        return _ids(client.call(api.url, "GET", f"{path}&{query}"))

    assert (ids("untyped=true"), ids("untyped=false")) == (untyped[::-1], [typed])
    first = client.call(api.url, "GET", f"{path}&untyped=true&limit=1")
    assert ids(f"untyped=true&cursor={first.body['next_cursor']}") == untyped[:1]
    stats = f"/dead-letters/stats?topic={letters.topic}&untyped=true"
    [group] = client.call(api.url, "GET", stats).body["groups"]
    assert (group["event_type"], group["count"]) == (None, 2)

    only = {"topic": letters.topic, "untyped": True}
    tried = _bulk(api, "discard", filter=only, reason="garbage", dry_run=True)
    assert (tried.body["matched"], _states(api, letters)) == (2, ["open"] * 3)
    assert _bulk(api, "discard", filter=only, reason="garbage").body["requested"] == 2
    assert _states(api, letters) == ["open", "discard_requested", "discard_requested"]
    audit = "select detail -> 'filter' from audit_log where target = 'dead-letters' order by id"
    assert api.database.rows(audit)[-1] == (only,)
    has_one = {"topic": letters.topic, "untyped": False}
    assert _bulk(api, "redrive", filter=has_one).body["requested"] == 1


@pytest.mark.parametrize("query", ["untyped=perhaps", "untyped=", "untyped=true&event_type=t"])
@pytest.mark.parametrize("path", ["/dead-letters", "/dead-letters/stats"])
def test_a_bad_wish_for_no_event_type_is_refused(api: Api, path: str, query: str) -> None:
    answer = client.call(api.url, "GET", f"{path}?{query}")
    assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "untyped")
    assert client.call(api.url, "GET", f"{path}?untiped=true").status == 422


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/all"]),
        ({"filter": {}}, ["/all"]),
        ({"filter": None, "all": False}, ["/all"]),
        ({"filter": {"stage": "relay"}, "all": True}, ["/all"]),
        ({"filter": {"stage": ""}}, ["/filter/stage", "/all"]),
        ({"filter": {"stage": []}}, ["/filter/stage", "/all"]),
        ({"filter": {"untyped": "true"}, "all": True}, ["/filter/untyped"]),
        ({"filter": {"untyped": 1}, "all": True}, ["/filter/untyped"]),
        ({"filter": {"untyped": True, "event_type": "t"}}, ["/filter/untyped"]),
        ({"filter": {"untyped": False}, "all": True}, ["/all"]),
        ({"filter": {"state": "open"}, "all": True}, ["/filter/state"]),
        (
            {"filter": {"topic": "", "event_id": "7"}, "all": True},
            ["/filter/topic", "/filter/event_id"],
        ),
        ({"filter": {"created_before": "2026-11-22T10:00:00"}}, ["/filter/created_before"]),
        ({"filter": {"created_before": 1}, "all": True}, ["/filter/created_before"]),
        ({"all": True, "limit": 0, "dry_run": "yes"}, ["/limit", "/dry_run"]),
        ({"all": True, "limit": 10_001}, ["/limit"]),
        ({"all": True, "by": "me", "reason": "r"}, ["/by", "/reason"]),
        ([], [""]),
    ],
)
def test_a_bad_bulk_request_names_each_flaw_and_requests_nothing(
    api: Api, letters: Letters, body: Any, pointers: list[str]
) -> None:
    letters.add()
    answer = client.call(api.url, "POST", "/dead-letters/redrive", body)
    assert answer.status == 422, answer
    found = [fault["pointer"] for fault in answer.body["errors"]]
    assert found == pointers
    assert _states(api, letters) == ["open"]


@pytest.mark.parametrize("reason", [None, "", "r" * 1001, "a\u202eb", 1])
def test_a_bulk_discard_says_why(api: Api, letters: Letters, reason: Any) -> None:
    letters.add()
    answer = _bulk(api, "discard", filter={"topic": letters.topic}, reason=reason)
    assert [fault["pointer"] for fault in answer.body["errors"]] == ["/reason"]
    assert _states(api, letters) == ["open"]
