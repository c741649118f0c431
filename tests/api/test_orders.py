"""Orders over real HTTP: each command takes effect once, whole."""

import uuid
from collections import Counter

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client


def test_created_order_has_its_event_and_outbox_row(api: Api) -> None:
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = client.call(
        api.url,
        "POST",
        "/orders",
        samples.order(items=[{"sku": "a", "n": 2}]),
        headers={"traceparent": traceparent},
    )
    assert answer.status == 201
    order_id = answer.body["id"]
    assert answer.headers["location"] == f"/orders/{order_id}"
    rows = api.database.rows(
        "select e.external_id, e.aggregate_seq, e.traceparent, x.kafka_key, x.payload, x.topic"
        " from events e join outbox x on x.event_id = e.id where e.aggregate_id = %s",
        order_id,
    )
    assert len(rows) == 1
    external_id, seq, trace, key, payload, topic = rows[0]
    assert (external_id, seq, trace) == (f"{order_id}-order.created", 1, traceparent)
    assert (key, topic) == (order_id, "tests-api.orders")
    assert b'"items":[{"sku":"a","n":2}]' in payload


def test_50_simultaneous_pays_give_one_payment(api: Api) -> None:
    order_id = samples.create_order(api.url)
    answers = client.at_once(50, lambda _: client.call(api.url, "POST", f"/orders/{order_id}/pay"))
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}
    assert {a.body["state"] for a in answers if a.status == 409} == {"paid"}
    paid = "select count(*) from events where aggregate_id = %s and event_type = 'order.paid'"
    assert api.database.value(paid, order_id) == 1
    samples.require_whole_orders(api.database)


def test_pay_and_cancel_at_once_leave_one_winner(api: Api) -> None:
    order_ids = [samples.create_order(api.url) for _ in range(10)]
    commands = [(order_id, name) for order_id in order_ids for name in ("pay", "cancel")]
    answers = client.at_once(
        len(commands),
        lambda n: client.call(api.url, "POST", f"/orders/{commands[n][0]}/{commands[n][1]}"),
    )
    assert Counter(answer.status for answer in answers) == {200: 10, 409: 10}
    samples.require_whole_orders(api.database)


def test_refund_follows_pay_sent_at_the_same_moment(api: Api) -> None:
    order_id = samples.create_order(api.url)
    assert client.call(api.url, "POST", f"/orders/{order_id}/refund").status == 409
    assert client.call(api.url, "POST", f"/orders/{order_id}/pay").status == 200
    assert client.call(api.url, "POST", f"/orders/{order_id}/refund").status == 200
    found = client.call(api.url, "GET", f"/orders/{order_id}").body
    assert (found["status"], found["version"], found["settled_at"]) == ("refunded", 3, None)


def test_command_on_an_unknown_order_is_404(api: Api) -> None:
    for name in ("pay", "cancel", "refund"):
        answer = client.call(api.url, "POST", f"/orders/{uuid.uuid4()}/{name}")
        assert answer.status == 404
        assert answer.body["type"] == "/problems/not-found"


def test_chosen_id_is_taken_once(api: Api) -> None:
    order_id = str(uuid.uuid4())
    answers = client.at_once(
        20, lambda _: client.call(api.url, "POST", "/orders", samples.order(id=order_id))
    )
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 19}
    assert client.call(api.url, "GET", f"/orders/{order_id}").status == 200


def test_pages_show_every_order_once(api: Api) -> None:
    seeded = client.call(api.url, "POST", "/orders/seed?count=120").body["ids"]
    seen: list[str] = []
    path = "/orders?limit=50"
    while True:
        page = client.call(api.url, "GET", path).body
        seen += [row["id"] for row in page["orders"]]
        if page["next_cursor"] is None:
            break
        path = f"/orders?limit=50&cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen))
    assert set(seeded) <= set(seen)
    assert seen == sorted(seen, reverse=True)


def test_cursor_keeps_the_filters_it_was_made_with(api: Api) -> None:
    client.call(api.url, "POST", "/orders/seed?count=3")
    page = client.call(api.url, "GET", "/orders?status=created&limit=1").body
    following = client.call(api.url, "GET", f"/orders?cursor={page['next_cursor']}").body
    assert {row["status"] for row in following["orders"]} == {"created"}
    other = client.call(api.url, "GET", f"/orders?status=paid&cursor={page['next_cursor']}")
    assert other.status == 422
