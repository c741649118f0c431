"""Events over real HTTP: one event per source and id, whatever arrives how often."""

import uuid
from collections import Counter
from urllib.parse import quote

import pytest

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client


def test_100_simultaneous_posts_with_one_id_give_one_event(api: Api) -> None:
    event = samples.event()
    answers = client.at_once(100, lambda _: client.call(api.url, "POST", "/events", event))
    assert Counter(answer.status for answer in answers) == {201: 1, 200: 99}
    assert sorted(a.body["received_count"] for a in answers) == list(range(1, 101))
    assert [a.body["duplicate"] for a in answers].count(False) == 1
    stored = client.call(api.url, "GET", f"/events/{event['id']}?by=external").body
    assert stored["received_count"] == 100
    rows = "select count(*) from outbox where event_id = %s"
    assert api.database.value(rows, stored["id"]) == 1


def test_other_payload_under_one_id_is_409_and_kept(api: Api) -> None:
    event = samples.event()
    first = client.call(api.url, "POST", "/events", event)
    for _ in range(2):
        second = client.call(api.url, "POST", "/events", {**event, "data": {"a": 2}})
        assert second.status == 409
        assert second.body["type"] == "/problems/event-id-conflict"
        assert second.body["stored_hash"] != second.body["received_hash"]
    receipts = client.call(api.url, "GET", f"/events/{first.body['id']}/receipts").body["receipts"]
    assert [(r["data"], r["seen_count"]) for r in receipts] == [({"a": 2}, 2)]
    assert client.call(api.url, "GET", f"/events/{first.body['id']}").body["received_count"] == 1


def test_same_json_value_written_otherwise_is_a_duplicate(api: Api) -> None:
    event_id = f"e-{uuid.uuid4()}"
    one = f'{{"id":"{event_id}","type":"t","data":{{"a":1,"b":[1,2]}}}}'
    two = f'{{ "data": {{"b": [1, 2], "a": 1}}, "type": "t", "id": "{event_id}" }}'
    headers = {"Content-Type": "application/json"}
    first = client.call(api.url, "POST", "/events", raw=one.encode(), headers=headers)
    second = client.call(api.url, "POST", "/events", raw=two.encode(), headers=headers)
    assert (first.status, second.status) == (201, 200)


def test_payload_travels_byte_for_byte(api: Api) -> None:
    event_id = f"e-{uuid.uuid4()}"
    data = b'{ "z": 1.10, "a": "\\u00e9" }'
    body = b'{"id":"%b","type":"t","data":%b}' % (event_id.encode(), data)
    headers = {"Content-Type": "application/json"}
    answer = client.call(api.url, "POST", "/events", raw=body, headers=headers)
    stored = api.database.value("select payload from outbox where event_id = %s", answer.body["id"])
    assert bytes(stored) == data


def test_subject_is_the_kafka_key(api: Api) -> None:
    answer = client.call(api.url, "POST", "/events", samples.event(subject="account-9"))
    keys = "select kafka_key, aggregate_id from outbox where event_id = %s"
    assert api.database.rows(keys, answer.body["id"]) == [("account-9", answer.body["id"])]


def test_batch_gives_each_item_its_own_result(api: Api) -> None:
    known = samples.event()
    client.call(api.url, "POST", "/events", known)
    fresh = samples.event()
    body = [
        known,
        fresh,
        fresh,
        {**fresh, "data": 2},
        {**known, "data": 3},
        {"id": "x"},
        samples.event(source="oncely:orders"),
        samples.event(time="9999-99-99"),
    ]
    answer = client.call(api.url, "POST", "/events/batch", body)
    assert answer.status == 200
    results = answer.body["results"]
    assert [r["status"] for r in results] == [200, 201, 200, 409, 409, 422, 422, 422]
    assert results[5]["problem"]["errors"][0]["pointer"] == "/5/type"
    assert results[7]["problem"]["errors"][0]["pointer"] == "/7/time"


def test_conflicting_leader_in_a_batch_does_not_hide_a_true_duplicate(api: Api) -> None:
    known = samples.event()
    client.call(api.url, "POST", "/events", known)
    answer = client.call(api.url, "POST", "/events/batch", [{**known, "data": 9}, known, known])
    assert [r["status"] for r in answer.body["results"]] == [409, 200, 200]
    assert answer.body["results"][2]["event"]["received_count"] == 3


def test_items_of_a_batch_keep_their_order_in_the_outbox(api: Api) -> None:
    subject = f"s-{uuid.uuid4()}"
    events = [samples.event(subject=subject, data=number) for number in range(200)]
    assert client.call(api.url, "POST", "/events/batch", events).status == 200
    rows = api.database.rows("select payload from outbox where kafka_key = %s order by id", subject)
    assert [int(bytes(payload)) for (payload,) in rows] == list(range(200))


def test_cloudevents_in_all_three_modes(api: Api) -> None:
    attributes = {"specversion": "1.0", "source": "/shop", "type": "com.example.sold"}
    structured = client.call(
        api.url,
        "POST",
        "/events",
        {**attributes, "id": f"s-{uuid.uuid4()}", "data": {"n": 1}, "anextension": "kept not"},
        headers={"Content-Type": "application/cloudevents+json; charset=utf-8"},
    )
    binary = client.call(
        api.url,
        "POST",
        "/events",
        {"n": 1},
        headers={
            "ce-specversion": "1.0",
            "ce-id": f"b-{uuid.uuid4()}",
            "ce-source": "/shop",
            "ce-type": "com.example.sold",
            "ce-subject": "caf%C3%A9",
        },
    )
    batched = client.call(
        api.url,
        "POST",
        "/events/batch",
        [{**attributes, "id": f"c-{uuid.uuid4()}", "data": 1}],
        headers={"Content-Type": "application/cloudevents-batch+json"},
    )
    assert (structured.status, binary.status, batched.status) == (201, 201, 200)
    assert binary.body["subject"] == "café"
    assert batched.body["results"][0]["status"] == 201


def test_filters_narrow_the_list(api: Api) -> None:
    name = f"filter.{uuid.uuid4()}"
    for subject in ("a", "b", "b"):
        client.call(api.url, "POST", "/events", samples.event(type=name, subject=subject))
    assert len(client.call(api.url, "GET", f"/events?type={name}").body["events"]) == 3
    assert len(client.call(api.url, "GET", f"/events?type={name}&subject=b").body["events"]) == 2
    assert len(client.call(api.url, "GET", f"/events?q={name[:20]}").body["events"]) == 3
    future = f"/events?type={name}&received_after=2999-01-01T00:00:00Z"
    assert client.call(api.url, "GET", future).body["events"] == []


def test_stats_add_up(api: Api) -> None:
    client.call(api.url, "POST", "/events", samples.event())
    stats = client.call(api.url, "GET", "/events/stats").body
    states = ("pending", "processing", "processed", "failed")
    assert stats["total"] == sum(stats[state] for state in states)
    assert stats["outbox_pending"] >= 1
    assert stats["outbox_oldest_age_seconds"] > 0


@pytest.mark.parametrize(
    "external_id",
    [
        "a/b",
        "/",
        "a//b/",
        "100%",
        "a%2Fb",
        "what?",
        "two words",
        "a+b&c=d#e",
        "../x",
        "é/ü",
        "\ufffd",
    ],
)
def test_any_external_id_is_readable_when_percent_encoded(api: Api, external_id: str) -> None:
    event = samples.event(id=external_id, source="urn:paths")
    made = client.call(api.url, "POST", "/events", event)
    assert made.status == 201
    path = f"/events/{quote(external_id, safe='')}?by=external&source=urn:paths"
    found = client.call(api.url, "GET", path)
    assert (found.status, found.body.get("id")) == (200, made.body["id"])
    assert found.body["external_id"] == external_id


def test_an_encoded_slash_does_not_make_another_route(api: Api) -> None:
    order_id = samples.create_order(api.url)
    assert client.call(api.url, "POST", f"/orders/{order_id}%2Fpay").status in {404, 405}
    assert client.call(api.url, "POST", f"/orders%2F{order_id}/pay").status == 404
    assert client.call(api.url, "GET", f"/orders/{order_id}").body["status"] == "created"


def test_there_is_one_openapi_document(api: Api) -> None:
    document = client.call(api.url, "GET", "/openapi.json")
    assert {"get", "post"} <= set(document.body["paths"]["/orders"])
    for path in (
        "/openapi",
        "/openapi/",
        "/openapi/openapi.json",
        "/openapi/reads.json",
        "/schema",
    ):
        assert client.call(api.url, "GET", path).status == 404


def test_options_names_every_method(api: Api) -> None:
    allowed = {
        path: client.call(api.url, "OPTIONS", path).headers["allow"]
        for path in ("/orders", "/orders/x/pay", "/events/batch")
    }
    assert allowed == {
        "/orders": "GET, OPTIONS, POST",
        "/orders/x/pay": "OPTIONS, POST",
        "/events/batch": "OPTIONS, POST",
    }
