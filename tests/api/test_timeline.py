"""The timeline of an event, joined from rows that consumer, relay and dispatcher would write."""

import uuid
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from services.api.queries import timeline as processing
from services.api.queries import timeline_effects as effects
from tests.api import deliveries, rules, samples
from tests.api.conftest import Api
from tests.fixtures import client

TRACEPARENT = f"00-{deliveries.TRACE}-b7ad6b7169203331-01"
OTHER_TRACE = "1af7651916cd43dd8448eb211c80319c"


def timeline(api: Api, event_id: str) -> dict[str, Any]:
    answer = client.call(api.url, "GET", f"/events/{event_id}/timeline")
    assert answer.status == 200, answer
    return answer.body


def run(api: Api, statement: str, *parameters: Any) -> None:
    with api.database.connect() as conn:
        conn.execute(statement.encode(), parameters)


def publish(api: Api, event_id: str) -> None:
    run(
        api,
        "update outbox set published_at = now(), kafka_partition = 3, kafka_offset = 17,"
        " attempts = 1 where event_id = %s",
        event_id,
    )


def apply(api: Api, event_id: str, *, replay: int = 0) -> None:
    run(
        api,
        "insert into processed_events (aggregate_id, event_type, replay, event_id, topic,"
        " kafka_partition, kafka_offset, consumer) select aggregate_id, event_type, %s, id,"
        " 'events', 3, 17, 'c-1' from events where id = %s",
        replay,
        event_id,
    )


def version_of(api: Api, rule_id: str) -> int:
    return int(api.database.value("select id from rule_versions where rule_id = %s", rule_id))


@pytest.fixture
def told(api: Api) -> dict[str, Any]:
    """An event whose webhook got no answer once and was given up, and its replay."""
    accepted = client.call(
        api.url, "POST", "/events", samples.event(), headers={"traceparent": TRACEPARENT}
    )
    event = accepted.body["id"]
    rule = rules.create(api.url, name="Hook [bold]")
    version_id = version_of(api, rule["id"])
    publish(api, event)
    deliveries.attempt(api.database, event)
    apply(api, event)
    deliveries.execution(api.database, event, version_id)
    run(
        api,
        "insert into rule_skips values (%s, 0, 1, %s, %s, %s)",
        event,
        [1, 2],
        [False] * 2,
        [1, 2],
    )
    sent = deliveries.insert(
        api.database, event, rule["id"], version_id, state="unknown", attempt_no=2
    )
    late = "204 after 31 s"
    deliveries.send(api.database, sent, 1, "unknown", error_class="Timeout", late_answer=late)
    deliveries.send(api.database, sent, 2, "failed", status_code=500, error_class="HttpStatus")
    letter = deliveries.give_up(api.database, event, sent)
    run(
        api,
        "update dead_letters set state = 'redriven', resolved_at = clock_timestamp() where id = %s",
        letter,
    )
    deliveries.ask_replay(api.database, event, 1, effects="force")
    run(
        api,
        "insert into outbox (created_at, shard, event_id, aggregate_id, aggregate_seq, event_type,"
        " replay, source, traceparent, topic, kafka_key, payload)"
        " select requested_at, 0, event_id, 'a', 1, 't', 1, 's', %s, 'events', 'k', ''"
        " from event_replays where event_id = %s",
        f"00-{OTHER_TRACE}-b7ad6b7169203331-01",
        event,
    )
    forced = deliveries.insert(
        api.database, event, rule["id"], version_id, replay=1, replay_scope=1, state="pending",
        attempt_no=0, repeats_id=sent,
    )  # fmt: skip
    return {"event": event, "rule": rule["id"], "sent": sent, "forced": forced, "letter": letter}


def test_everything_that_is_stored_stands_in_the_order_of_time_below_what_it_belongs_to(
    api: Api, told: dict[str, Any]
) -> None:
    found = timeline(api, told["event"])

    assert (found["event_id"], found["trace_id"]) == (told["event"], deliveries.TRACE)
    assert (found["status"], found["cut_off"]) == ("pending", False)
    entries = found["entries"]
    assert [(entry["depth"], entry["kind"]) for entry in entries] == [
        (0, "accepted"),
        (1, "outbox"),
        (1, "published"),
        (1, "attempt"),
        (2, "rules_skipped"),
        (1, "applied"),
        (2, "rule"),
        (1, "delivery"),
        (2, "delivery_attempt"),
        (2, "delivery_attempt"),
        (2, "dead_letter"),
        (3, "dead_letter_resolved"),
        (0, "replay"),
        (1, "outbox"),
        (1, "delivery"),
        (2, "delivery_planned"),
    ]
    assert all(one["at"] <= other["at"] for one, other in pairwise(entries))
    by_key = {entry["key"]: entry for entry in entries}
    assert len(by_key) == len(entries)
    for entry in entries:
        above = by_key.get(entry["parent"])
        assert entry["depth"] == (0 if above is None else above["depth"] + 1)
        assert entry["run"] == (entry["run"] if above is None else above["run"])
    assert {entry["trace_id"] for entry in entries if entry["run"] == 0} == {deliveries.TRACE}
    assert by_key["run/1"]["trace_id"] == OTHER_TRACE


def test_unknown_failed_and_planned_are_told_apart_in_words(api: Api, told: dict[str, Any]) -> None:
    entries = timeline(api, told["event"])["entries"]
    by_key = {entry["key"]: entry for entry in entries}
    sent, forced = by_key[f"delivery/{told['sent']}"], by_key[f"delivery/{told['forced']}"]
    first, second = (by_key[f"delivery/{told['sent']}/{number}"] for number in (1, 2))

    assert sent["outcome"] == first["outcome"] == "unknown"
    assert sent["title"] == (
        "Webhook call_webhook of rule Hook [bold] to https://example.com:443: "
        "unknown: it may have arrived"
    )
    assert first["title"] == (
        "Attempt 1 is unknown, it may have arrived: Timeout; an answer came late"
    )
    assert first["detail"]["late_answer"] == "204 after 31 s"
    assert second["title"] == "Attempt 2 failed: HttpStatus, answered with 500"
    assert (second["outcome"], second["duration_ms"]) == ("failed", 12.5)
    assert (forced["run"], forced["detail"]["repeats_id"]) == (1, told["sent"])
    assert entries[-1]["title"] == "Attempt 1 is planned"
    skipped = next(entry for entry in entries if entry["kind"] == "rules_skipped")
    assert (skipped["detail"], skipped["duration_ms"]) == ({"versions": 2}, 0.003)
    asked = by_key["run/1"]
    assert asked["title"] == "Replay 1 was asked for: current rules, effects force"
    assert (asked["detail"]["reason"], asked["detail"]["requested_by"]) == ("a test", "ada")


def test_an_order_s_booking_and_what_waits_drops_and_is_refused_are_told(api: Api) -> None:
    order = samples.create_order(api.url)
    assert client.call(api.url, "POST", f"/orders/{order}/pay").status == 200
    event = str(
        api.database.value(
            "select id from events where aggregate_id = %s and event_type = 'order.paid'", order
        )
    )
    apply(api, event)
    with api.database.connect() as conn, conn.transaction():
        for side, account in (("debit", "cash"), ("credit", "sales")):
            conn.execute(
                "insert into ledger_entries (order_id, event_type, side, account, amount, currency,"
                " event_id) values (%s, 'order.paid', %s, %s, 1999, 'EUR', %s)",
                [order, side, account, event],
            )
        conn.execute("update orders set settled_at = now() where id = %s", [order])
    run(
        api,
        "insert into dropped_records values ('orders', 1, 2, %s, %s, 'order.paid', 0, 'duplicate',"
        " 'c-1')",
        event,
        order,
    )
    run(
        api,
        "insert into waiting_events (topic, kafka_partition, kafka_offset, kafka_key, event_id,"
        " replay, value, headers, attempt_no, next_at) values ('orders', 1, 3, %s, %s, 0, '',"
        " '{}', 2, now() + interval '1 minute')",
        order,
        event,
    )
    told = {entry["kind"]: entry["title"] for entry in timeline(api, event)["entries"]}
    assert told["ledger"] == "Booked 1999 EUR in minor units: debit cash, credit sales"
    assert told["settled"] == "The order is settled"
    assert told["dropped"] == "Dropped without effect (duplicate): the record at orders/1/2"
    assert told["waiting"] == "Attempt 3 is planned"

    sent = samples.event()
    event = client.call(api.url, "POST", "/events", sent).body["id"]
    client.call(api.url, "POST", "/events", sent)
    assert client.call(api.url, "POST", "/events", {**sent, "data": {}}).status == 409
    titles = [entry["title"] for entry in timeline(api, event)["entries"]]
    assert titles[0] == "Accepted payment.completed, received 2 times"
    assert titles[-1] == "Refused once: another payload under the same id"


def test_an_event_is_found_by_the_sender_s_id_and_bad_ids_are_404(api: Api) -> None:
    external_id = f"a/b {uuid.uuid4()}"
    event = client.call(api.url, "POST", "/events", samples.event(id=external_id)).body["id"]
    path = f"/events/{external_id.replace('/', '%2F').replace(' ', '%20')}/timeline"
    assert client.call(api.url, "GET", f"{path}?by=external").body["event_id"] == event
    assert client.call(api.url, "GET", f"{path}?by=external&source=other").status == 404
    assert client.call(api.url, "GET", path).status == 404
    for bad in ("0", "%00", str(uuid.UUID(int=7))):
        assert client.call(api.url, "GET", f"/events/{bad}/timeline").status == 404
    for query in ("source=x", "by=name", "more=1"):
        assert client.call(api.url, "GET", f"/events/{event}/timeline?{query}").status == 422


def test_a_long_history_is_cut_off_after_its_first_entries(api: Api) -> None:
    event = rules.accept_event(api.url)
    run(
        api,
        "insert into event_attempts (event_id, attempt_no, trigger, status, duration_ms, consumer)"
        " select %s, n, 'retry', 'success', 1, 'c-1' from generate_series(1, 1500) n",
        event,
    )
    found = timeline(api, event)
    assert (len(found["entries"]), found["cut_off"]) == (1000, True)
    assert found["entries"][0]["kind"] == "accepted"


def test_a_timeline_probes_indexes_and_scans_no_table(api: Api) -> None:
    """However many other events there are: with sequential scans made expensive none is left."""
    one = uuid.uuid4()
    bound: dict[str, Any] = {
        "id": one, "event_id": one, "order_id": one, "delivery_ids": [one], "aggregate_id": "a",
        "event_type": "t", "kafka_key": "k", "moments": [datetime.now(UTC)], "limit": 10,
        "source": "s", "external_id": "e",
    }  # fmt: skip
    with api.database.connect("oncely_api") as conn:
        conn.execute("set enable_seqscan = off")
        for name, statement in {**processing.STATEMENTS, **effects.STATEMENTS}.items():
            explained = f"explain (costs off) {statement}".encode()
            plan = "\n".join(row[0] for row in conn.execute(explained, bound).fetchall())
            assert "Seq Scan" not in plan, (name, plan)
            assert "Index Cond" in plan, (name, plan)
