"""Dead letters over HTTP: what is listed, and that asking for a redrive or a discard is one act."""

import uuid
from collections import Counter
from typing import Any

import pytest
import uuid_utils.compat

from tests.api.conftest import Api
from tests.fixtures import client

_INSERT = """
    insert into dead_letters (id, stage, event_id, event_type, topic, kafka_partition, kafka_offset,
      payload, payload_bytes, error_class, error_message)
    values (%(id)s, %(stage)s, %(event_id)s, %(event_type)s, %(topic)s, 0, %(offset)s,
      %(payload)s, %(bytes)s, 'ValueError', 'it broke')"""
_AUDIT = "select actor, action, detail from audit_log where target = %s"


class Letters:
    """Puts dead letters into the database, each test under a topic of its own."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.topic = f"topic-{uuid.uuid4()}"
        self.count = 0

    def add(
        self, *, stage: str = "consumer", event_type: str = "t", payload: bytes | None = b'{"a":1}'
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
    assert api.database.rows(_AUDIT, letter_id) == [("api", "dead_letter.redrive_requested", {})]


def test_discard_is_asked_for_with_its_reason_and_audited(api: Api, letters: Letters) -> None:
    letter_id = letters.add()
    answer = _act(api, letter_id, "discard", {"reason": "a test order"})
    assert (answer.status, answer.body["state"]) == (202, "discard_requested")
    stored = client.call(api.url, "GET", f"/dead-letters/{letter_id}").body["letter"]
    assert stored["resolution_reason"] == "a test order"
    detail = {"reason": "a test order"}
    assert api.database.rows(_AUDIT, letter_id) == [
        ("api", "dead_letter.discard_requested", detail)
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
