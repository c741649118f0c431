"""The live invariants: every accepted record is in one place, and what is lost is found."""

from typing import Any

import pytest

from tests.api import rules
from tests.api.conftest import Api
from tests.fixtures import client, stack

TOPIC = "oncely.events"
_PUBLISH = """
    update outbox set published_at = now(), kafka_partition = 0, kafka_offset = %s
    where event_id = %s"""
_APPLY = """
    insert into processed_events (aggregate_id, event_type, replay, event_id, topic,
      kafka_partition, kafka_offset, consumer)
    select aggregate_id, event_type, %s, id, %s, 0, %s, 'c' from events where id = %s"""
_PROGRESS = """
    insert into consumer_partitions (consumer_group, topic, kafka_partition, committed_offset,
      end_offset, consumer)
    values ('g', %s, 0, %s, 100, 'c')
    on conflict (consumer_group, topic, kafka_partition) do update
    set committed_offset = excluded.committed_offset, updated_at = now()"""
_WAIT = """
    insert into waiting_events (topic, kafka_partition, kafka_offset, kafka_key, event_id, replay,
      value, headers)
    values (%s, 0, %s, 'k', %s, 0, '', '{}')"""
_GIVE_UP = """
    insert into dead_letters (id, stage, event_id, replay, event_type, topic, kafka_partition,
      kafka_offset, payload_bytes, error_class, error_message)
    values (uuidv7(), 'consumer', %s, 0, 't', %s, 0, %s, 1, 'X', 'x')"""
_DROP = """
    insert into dropped_records (topic, kafka_partition, kafka_offset, event_id, aggregate_id,
      event_type, replay, verdict, consumer)
    values (%s, 0, %s, %s, 'a', 't', 0, %s, 'c')"""
_ATTEMPT = """
    insert into event_attempts (event_id, replay, attempt_no, trigger, status, duration_ms,
      consumer)
    values (%s, %s, %s, %s, 'success', 1, 'c')"""
_SEND = """
    with made as (
      insert into deliveries (id, event_id, event_type, rule_id, version_id, action_key, kind,
        destination, traceparent, state, attempt_no, finished_at)
      values (uuidv7(), %s, 't', uuidv7(), 1, 'a', 'webhook', 'target/x', '', 'confirmed', 2, now())
      returning id)
    insert into delivery_attempts (delivery_id, attempt_no, outcome, error_class, dispatcher,
      started_at)
    select made.id, n, outcome, case when outcome = 'unknown' then 'X' end, 'd', now()
    from made, unnest(%s::text[]) with ordinality as a (outcome, n)"""


class Log:
    """Records of one api, moved by SQL as relay and consumer would move them."""

    def __init__(self, url: str, database: stack.Database) -> None:
        self.url = url
        self.database = database

    def run(self, statement: str, *parameters: Any) -> None:
        with self.database.connect() as conn:
            conn.execute(statement.encode(), parameters)

    def publish(self, offset: int) -> str:
        event_id = rules.accept_event(self.url)
        self.run("update outbox set topic = %s where event_id = %s", TOPIC, event_id)
        self.run(_PUBLISH, offset, event_id)
        return event_id

    def ask(self) -> tuple[dict[str, int], dict[str, Any]]:
        """With a moment, so that no older look answers."""
        answer = client.call(self.url, "GET", "/invariants?since=2001-01-01T00:00:00Z")
        assert answer.status == 200, answer
        return {each["key"]: each["count"] for each in answer.body["facts"]}, answer.body


@pytest.fixture
def log(system: stack.System) -> Log:
    return Log(system.start("api").url, system.database)


def test_each_record_is_in_one_place_and_the_lost_one_is_named(log: Log) -> None:
    rules.accept_event(log.url)
    applied, waiting, dead, lost, _on_its_way = (log.publish(offset) for offset in range(5))
    superseded = log.publish(5)
    log.run(_PROGRESS, TOPIC, 4)
    log.run(_APPLY, 0, TOPIC, 0, applied)
    log.run(_WAIT, TOPIC, 1, waiting)
    log.run(_GIVE_UP, dead, TOPIC, 2)
    log.run(_DROP, TOPIC, 5, superseded, "superseded")
    log.run(_DROP, TOPIC, 6, applied, "duplicate")

    counts, body = log.ask()

    assert counts == {
        "accepted": 7,
        "unpublished": 1,
        "parked": 0,
        "discarded": 0,
        "published": 6,
        "in_flight": 1,
        "waiting": 1,
        "dead_lettered": 1,
        "superseded": 1,
        "applied": 1,
        "duplicates_dropped": 1,
        "applied_twice": 0,
        "lost": 1,
    }
    assert (body["looked_at"], body["exact"], body["holds"]) == (7, True, False)
    assert [each["event_id"] for each in body["lost_examples"]] == [lost]
    assert body["lost_examples"][0]["offset"] == 3
    assert body["dropped"] == [
        {"verdict": "duplicate", "count": 1, "exact": True},
        {"verdict": "superseded", "count": 1, "exact": True},
    ]

    log.run(_APPLY, 0, TOPIC, 3, lost)
    counts, body = log.ask()

    assert (counts["lost"], body["holds"], body["lost_examples"]) == (0, True, [])
    assert {each["verdict"] for each in body["facts"]} == {"info", "holds"}


def test_a_second_success_is_told_also_of_a_replay(log: Log) -> None:
    """Of a retry or a replay: the first attempt has one row, however often it is written."""
    first, again = log.publish(0), log.publish(1)
    for event_id in (first, again):
        log.run(_APPLY, 0, TOPIC, 0, event_id)
        log.run(_ATTEMPT, event_id, 0, 1, "received")
    assert log.ask()[0]["applied_twice"] == 0

    log.run(_ATTEMPT, first, 0, 2, "retry")
    log.run("update outbox set replay = 3 where event_id = %s", again)
    for number in (1, 2):
        log.run(_ATTEMPT, again, 3, number, "replay")

    counts, body = log.ask()

    assert (counts["applied_twice"], body["holds"]) == (2, False)


def test_a_delivery_that_two_attempts_confirmed_is_told(log: Log) -> None:
    event_id = log.publish(0)
    log.run(_SEND, event_id, ["unknown", "confirmed"])
    assert log.ask()[0]["applied_twice"] == 0

    log.run(_SEND, event_id, ["confirmed", "confirmed"])

    assert log.ask()[0]["applied_twice"] == 1


def test_a_run_that_is_in_the_dedupe_table_twice_is_told(log: Log) -> None:
    """Its key allows none, so only without the key: what it would be to lose the promise."""
    event_id = log.publish(0)
    log.run("alter table processed_events drop constraint processed_events_pkey cascade")
    log.run(_APPLY, 0, TOPIC, 0, event_id)
    assert log.ask()[0]["applied_twice"] == 0

    log.run(_APPLY, 0, TOPIC, 1, event_id)
    counts, body = log.ask()

    assert (counts["applied"], counts["applied_twice"], body["holds"]) == (1, 1, False)


def test_a_row_that_nobody_writes_any_more_loses_nothing(log: Log) -> None:
    """Of a topic that was made anew, say; once the consumer reports again, the lost one is found.
    Before that nothing is known.
    """
    log.run(_PROGRESS, TOPIC, 50)
    log.publish(3)
    counts, body = log.ask()
    verdicts = {each["key"]: each["verdict"] for each in body["facts"]}
    assert (counts["lost"], counts["in_flight"], body["holds"]) == (0, 1, None)
    assert (verdicts["lost"], verdicts["applied_twice"]) == ("unknown", "unknown")

    log.run(_PROGRESS, TOPIC, 3)
    assert log.ask()[0]["lost"] == 0
    log.run(_PROGRESS, TOPIC, 4)
    counts, body = log.ask()

    assert (counts["lost"], body["holds"]) == (1, False)


def test_a_window_leaves_out_what_is_older(api: Api) -> None:
    rules.accept_event(api.url)
    late = client.call(api.url, "GET", "/invariants?since=2999-01-01T00:00:00Z").body
    quarter = client.call(api.url, "GET", "/invariants").body
    vague = client.call(api.url, "GET", "/invariants?since=2026-01-01")

    assert (late["looked_at"], late["oldest_at"], late["holds"]) == (0, None, None)
    assert quarter["looked_at"] >= 1
    assert (vague.status, vague.body["errors"][0]["parameter"]) == (422, "since")
