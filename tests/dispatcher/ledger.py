"""Deliveries as the consumer commits them, and what became of them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat

from services.consumer.dispatcher import outgoing, results, schedule
from shared import database as shared_database
from tests.fixtures import sink, stack

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_EVENT = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
      payload_hash, status, traceparent)
    select e, 'test', e::text, e::text, 1, 'payment.completed', '{}', sha256(''), 'processing', %s
    from unnest(%s::uuid[]) e"""
_APPLIED = """
    insert into processed_events (aggregate_id, event_type, replay, event_id, topic,
      kafka_partition, kafka_offset, consumer)
    select e::text, 'payment.completed', 0, e, 't', 0, 0, 'c' from unnest(%s::uuid[]) e"""
_DESTINATIONS = """
    insert into destinations (name, target_id)
    select distinct n, t from unnest(%s::text[], %s::uuid[]) as i (n, t) on conflict do nothing"""
_DELIVERIES = """
    insert into deliveries (id, event_id, event_type, rule_id, version_id, action_key, kind,
      destination, target_id, traceparent, next_attempt_at)
    select i.id, i.event_id, 'payment.completed', gen_random_uuid(), 1, '1', i.kind, i.destination,
      i.target_id, %s, now()
    from unnest(%s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::uuid[])
      as i (id, event_id, kind, destination, target_id)"""
_REQUESTS = """
    insert into delivery_requests (delivery_id, request)
    select i.id, i.request::json from unnest(%s::uuid[], %s::text[]) as i (id, request)"""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery; without a target it goes to the URL."""

    url: str | None = None
    target_id: UUID | None = None
    event_id: UUID | None = None
    email_to: str | None = None
    body: str = "{}"
    destination: str = ""

    @property
    def place(self) -> str:
        if self.target_id is not None:
            return f"target/{self.target_id}"
        return "email" if self.email_to else self.destination or f"{self.url}".rsplit("/", 1)[0]

    @property
    def request(self) -> str:
        if self.email_to:
            return json.dumps({"to": [self.email_to], "subject": "s", "body": "b"})
        return json.dumps(
            {"method": "POST", "url": self.url, "headers": {}, "body": json.loads(self.body)}
        )


def add(database: stack.Database, wanted: Sequence[Delivery]) -> list[UUID]:
    """Insert them with their events, which are applied and processing, and tell the dispatchers."""
    ids = [uuid_utils.compat.uuid7() for _ in wanted]
    event_ids = [one.event_id or uuid_utils.compat.uuid7() for one in wanted]
    places = [one.place for one in wanted]
    targets = [one.target_id for one in wanted]
    kinds = ["email" if one.email_to else "webhook" for one in wanted]
    with database.connect() as conn:
        with conn.transaction():
            events = list(dict.fromkeys(event_ids))
            conn.execute(_EVENT, [TRACEPARENT, events])
            conn.execute(_APPLIED, [events])
            conn.execute(_DESTINATIONS, [places, targets])
            conn.execute(_DELIVERIES, [TRACEPARENT, ids, event_ids, kinds, places, targets])
            conn.execute(_REQUESTS, [ids, [one.request for one in wanted]])
        conn.execute(f"notify {shared_database.DELIVERIES_CHANNEL}")
    return ids


def add_target(
    database: stack.Database,
    url: str,
    *,
    in_flight_max: int = 10,
    rate_per_second: float | None = None,
    timeout_ms: int = 15_000,
) -> UUID:
    target_id = uuid_utils.compat.uuid7()
    database.rows(
        "insert into targets (id, name, url, in_flight_max, rate_per_second, timeout_ms)"
        " values (%s, %s, %s, %s, %s, %s) returning id",
        target_id,
        str(target_id),
        url,
        in_flight_max,
        rate_per_second,
        timeout_ms,
    )
    return target_id


def state(database: stack.Database, delivery_id: UUID) -> str:
    return database.value("select state from deliveries where id = %s", delivery_id)


def states(database: stack.Database, ids: Sequence[UUID]) -> set[str]:
    found = database.rows("select distinct state from deliveries where id = any(%s)", list(ids))
    return {row[0] for row in found}


def outcomes(database: stack.Database, delivery_id: UUID) -> list[str]:
    found = database.rows(
        "select outcome from delivery_attempts where delivery_id = %s order by attempt_no",
        delivery_id,
    )
    return [row[0] for row in found]


def event_status(database: stack.Database, delivery_id: UUID) -> str:
    return database.value(
        "select e.status from events e join deliveries d on d.event_id = e.id where d.id = %s",
        delivery_id,
    )


def result(*, wait_seconds: float = 1.0, took_ms: float | None = None) -> results.Result:
    """One attempt of which nobody knows what became."""
    answer = outgoing.Answer(
        outcome="unknown",
        error_class="Timeout",
        phases=outgoing.Phases(dns_ms=took_ms, connect_ms=took_ms, total_ms=took_ms),
    )
    return results.Result(
        id=uuid_utils.compat.uuid7(),
        attempt_no=1,
        event_id=uuid_utils.compat.uuid7(),
        event_type="t",
        replay=0,
        kind="webhook",
        destination="d",
        target_id=None,
        leased_by="m",
        started_at=datetime.now(UTC),
        url=None,
        answer=answer,
        fate=schedule.Fate(state="pending", wait_seconds=wait_seconds),
    )


def record_columns() -> dict[str, list[Any]]:
    """The parameters of RECORD for one attempt."""
    return results.columns([result()])


def ids_at(receiver: sink.Sink, path: str) -> list[str]:
    return [hit.webhook_id for hit in receiver.hits if hit.path.startswith(path)]
