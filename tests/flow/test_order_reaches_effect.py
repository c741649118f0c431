"""The main promise, end to end through the real services."""

from tests import invariants
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually


def _order(api: str) -> str:
    body = {"customer_id": "ada", "currency": "EUR", "amount": 1999}
    answer = client.call(api, "POST", "/orders", body)
    assert answer.status == 201, answer
    return answer.body["id"]


def test_a_paid_order_is_settled_within_a_second(system: stack.System) -> None:
    api = system.start_all().url
    warm = _order(api)
    client.call(api, "POST", f"/orders/{warm}/pay")
    eventually(lambda: client.call(api, "GET", f"/orders/{warm}").body["settled_at"])
    order_id = _order(api)

    paid = client.call(api, "POST", f"/orders/{order_id}/pay")

    assert paid.status == 200
    eventually(
        lambda: client.call(api, "GET", f"/orders/{order_id}").body["settled_at"],
        deadline_seconds=1,
        what="settled_at",
    )
    entries = "select side, account, amount from ledger_entries where order_id = %s order by side"
    assert system.database.rows(entries, order_id) == [
        ("credit", "sales", 1999),
        ("debit", "cash", 1999),
    ]


def test_an_order_s_whole_life_is_applied_in_order_and_once(system: stack.System) -> None:
    api = system.start_all().url
    order_id = _order(api)

    assert client.call(api, "POST", f"/orders/{order_id}/pay").status == 200
    assert client.call(api, "POST", f"/orders/{order_id}/refund").status == 200
    assert client.call(api, "POST", f"/orders/{order_id}/cancel").status == 409

    eventually(
        lambda: system.database.value("select count(*) from processed_events") == 3,
        what="three applied events",
    )
    eventually(lambda: invariants.violations(system.database) == [], what="all invariants")
    records = invariants.read_topics(system.topics)
    assert invariants.log_violations(system.database, records) == []
    assert invariants.duplicates_in(records) == 0


def test_an_event_is_processed_and_its_attempt_is_told(system: stack.System) -> None:
    api = system.start_all().url
    body = {"id": "external-id-123", "type": "payment.completed", "data": {"amount": 12000}}

    accepted = client.call(api, "POST", "/events", body)

    assert accepted.status == 201
    event_id = accepted.body["id"]
    eventually(
        lambda: client.call(api, "GET", f"/events/{event_id}").body["status"] == "processed",
        what="the event to be processed",
    )
    attempts = client.call(api, "GET", f"/events/{event_id}/attempts").body["attempts"]
    assert [(attempt["status"], attempt["trigger"]) for attempt in attempts] == [
        ("success", "received")
    ]


def test_a_hundred_simultaneous_events_with_one_id_are_one_effect(system: stack.System) -> None:
    api = system.start_all().url
    body = {"id": "same", "type": "payment.completed", "data": {"amount": 1}}

    answers = client.at_once(100, lambda _: client.call(api, "POST", "/events", body))

    assert sorted(answer.status for answer in answers) == [200] * 99 + [201]
    event_id = answers[0].body["id"]
    assert {answer.body["id"] for answer in answers} == {event_id}
    eventually(
        lambda: client.call(api, "GET", f"/events/{event_id}").body["status"] == "processed",
        what="the event to be processed",
    )
    assert client.call(api, "GET", f"/events/{event_id}").body["received_count"] == 100
    assert system.database.value("select count(*) from processed_events") == 1
    assert system.database.value("select count(*) from event_attempts") == 1
    assert invariants.duplicates_in(invariants.read_topics(system.topics)) == 0


def test_fifty_simultaneous_pays_book_one_ledger_pair(system: stack.System) -> None:
    api = system.start_all().url
    order_id = _order(api)

    answers = client.at_once(50, lambda _: client.call(api, "POST", f"/orders/{order_id}/pay"))

    assert sorted(answer.status for answer in answers) == [200] + [409] * 49
    eventually(
        lambda: client.call(api, "GET", f"/orders/{order_id}").body["settled_at"],
        what="settled_at",
    )
    assert system.database.value("select count(*) from ledger_entries") == 2
    assert invariants.violations(system.database) == []
