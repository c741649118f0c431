"""One event from its request to its webhook, told by its timeline; and what was given up on the way
is redriven to success, by each owner of a stage.
"""

import random
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api import rules
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually
from tests.fixtures.sink import Sink
from tests.relay import rows

TRACE = "0af7651916cd43dd8448eb211c80319c"
QUICK = {
    "FAULTS_ENABLED": "1",
    "RETRY_SCHEDULE_SECONDS": "[0.1]",
    "WAITING_POLL_SECONDS": "0.1",
    "DELIVERY_SCHEDULE_SECONDS": "[0.05]",
    "DISPATCH_POLL_MS": "50",
    "UPKEEP_SECONDS": "0.1",
}
SMALL_LIMIT, LIMIT = 20_000, 1_048_588
# Noise, because the broker measures the compressed batch.
LARGE = random.Random(7).randbytes(50_000).hex()


class Stack:
    """All services, and a sink that webhooks go to."""

    def __init__(self, system: stack.System, sink: Sink) -> None:
        self.system = system
        self.sink = sink
        self.url = system.start_all(**QUICK).url
        system.start("dispatcher", wait=True, **QUICK)

    def hook(self, event_type: str, path: str) -> None:
        params = {"url": self.sink.url(path), "body": {"id": "{{ external_id }}"}}
        rules.create(
            self.url,
            name=event_type,
            event_type=event_type,
            condition=True,
            action={"type": "call_webhook", "params": params},
        )

    def send(self, event_type: str, *, subject: str, **data: Any) -> str:
        body = {"id": str(uuid.uuid4()), "type": event_type, "subject": subject, "data": data}
        headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        answer = client.call(self.url, "POST", "/events", body, headers=headers)
        assert answer.status == 201, answer
        return str(answer.body["id"])

    def wait_for(self, event_id: str, status: str) -> None:
        eventually(
            lambda: client.call(self.url, "GET", f"/events/{event_id}").body["status"] == status,
            deadline_seconds=20,
            what=f"{event_id} to be {status}",
        )

    def redrive(self, stage: str, event_id: str) -> None:
        """All open letters of a stage and event: exactly one."""
        body = {"filter": {"stage": stage, "event_id": event_id}}
        answer = client.call(self.url, "POST", "/dead-letters/redrive", body)
        assert (answer.status, answer.body["by_stage"]) == (202, {stage: 1})

    def letters(self, event_id: str) -> list[tuple[str, str]]:
        path = f"/dead-letters?event_id={event_id}"
        found = client.call(self.url, "GET", path).body["dead_letters"]
        return [(letter["stage"], letter["state"]) for letter in found]

    def timeline(self, event_id: str) -> list[dict[str, Any]]:
        return client.call(self.url, "GET", f"/events/{event_id}/timeline").body["entries"]


@pytest.fixture(scope="module")
def running(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack.fresh_database(servers.postgres) as database, Sink() as sink:
        system = stack.System(
            database=database,
            topics=stack.fresh_topics(servers),
            log_dir=tmp_path_factory.mktemp("timeline"),
        )
        try:
            yield Stack(system, sink)
        finally:
            system.stop()


def test_one_trace_id_runs_from_the_request_to_the_webhook(running: Stack) -> None:
    running.hook("traced", "/ok")
    event = running.send("traced", subject="traced", amount=1)
    running.wait_for(event, "processed")

    entries = running.timeline(event)

    assert [entry["kind"] for entry in entries if entry["kind"] != "published"] == [
        "accepted",
        "outbox",
        "attempt",
        "rule",
        "applied",
        "delivery",
        "delivery_attempt",
    ]
    assert {entry["trace_id"] for entry in entries} == {TRACE}
    assert {entry["outcome"] for entry in entries} == {"ok"}
    database, topics = running.system.database, running.system.topics
    stored = database.rows(
        "select o.traceparent, d.id, d.traceparent from outbox o join deliveries d"
        " using (event_id) where event_id = %s",
        event,
    )
    log = rows.read_log(topics.bootstrap_servers, topics.events)
    records = [record for record in log if str(record.envelope.event_id) == event]
    hits = running.sink.hits_of(stored[0][1])
    told = [stored[0][0], stored[0][2], records[0].envelope.traceparent]
    told += [hit.headers["traceparent"] for hit in hits]
    assert [traceparent.split("-")[1] for traceparent in told] == [TRACE] * 4


def test_a_delivery_that_was_given_up_is_redriven_to_success(running: Stack) -> None:
    running.hook("sent", running.sink.script("sent", "status/500", "status/500", "ok"))
    event = running.send("sent", subject="sent")
    running.wait_for(event, "failed")
    assert running.letters(event) == [("delivery", "open")]

    running.redrive("delivery", event)

    running.wait_for(event, "processed")
    assert running.letters(event) == [("delivery", "redriven")]
    outcomes = [
        entry["outcome"] for entry in running.timeline(event) if entry["kind"] == "delivery_attempt"
    ]
    assert outcomes == ["failed", "failed", "ok"]


def test_an_event_that_failed_for_good_is_redriven_before_the_later_one_of_its_key(
    running: Stack,
) -> None:
    assert client.call(
        running.url, "PUT", "/event-types/flaky", {"retry_limit": 0, "key_policy": "wait"}
    ).status in {200, 201}
    fault = {"successOnAttempt": 9, "match": {"event_type": "flaky"}, "ttl_s": 300}
    _break(running, fault)
    first = running.send("flaky", subject="k")
    running.wait_for(first, "failed")
    second = running.send("plain", subject="k")
    eventually(
        lambda: "waiting" in {entry["kind"] for entry in running.timeline(second)},
        what="the later event to wait",
    )
    _break(running, {})

    running.redrive("consumer", first)

    for event in (first, second):
        running.wait_for(event, "processed")
    assert running.letters(first) == [("consumer", "redriven")]
    _require_order(running, first, second)


def test_a_record_that_the_broker_refused_is_redriven_before_the_later_one_of_its_key(
    running: Stack,
) -> None:
    topics = running.system.topics
    rows.set_message_bytes_max(topics.bootstrap_servers, topics.events, SMALL_LIMIT)
    first = running.send("large", subject="l", noise=LARGE)
    eventually(lambda: running.letters(first), deadline_seconds=20, what="the relay's dead letter")
    second = running.send("small", subject="l")
    assert running.letters(first) == [("relay", "open")]
    assert "parked" in {entry["kind"] for entry in running.timeline(first)}
    rows.set_message_bytes_max(topics.bootstrap_servers, topics.events, LIMIT)

    running.redrive("relay", first)

    for event in (first, second):
        running.wait_for(event, "processed")
    assert running.letters(first)[-1] == ("relay", "redriven")
    _require_order(running, first, second)


def _require_order(running: Stack, first: str, second: str) -> None:
    applied = [
        next(entry["at"] for entry in running.timeline(event) if entry["kind"] == "applied")
        for event in (first, second)
    ]
    assert applied[0] <= applied[1]


def _break(running: Stack, fault: dict[str, Any]) -> None:
    """Change the faults, and wait until every service that is told of them knows."""
    version = client.call(running.url, "POST", "/faults", fault).body["version"]

    def known() -> bool:
        seen = client.call(running.url, "GET", "/faults").body["services"]
        return all(each["seen_version"] >= version for each in seen if each["alive"])

    eventually(known, what="the faults to be known")
