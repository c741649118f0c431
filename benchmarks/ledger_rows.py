"""Deliveries in the shape in which the consumer makes them, without the consumer."""

import base64
import datetime as dt
from collections.abc import Sequence
from uuid import UUID

import msgspec
import uuid_utils.compat

from benchmarks import consumer
from shared import sealing
from tests.fixtures import stack

VERSION_ID = 1
SECRET = b"whsec_" + base64.b64encode(bytes(range(24)))


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where deliveries go."""

    id: UUID
    url: str
    in_flight_max: int = 100
    timeout_ms: int = 60_000

    @property
    def destination(self) -> str:
        return f"target/{self.id}"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row that is due, with the event that made it."""

    id: UUID
    sample: consumer.Sample
    target: Target

    @property
    def body(self) -> bytes:
        """The webhook's body: the event's data under its id."""
        event_id = str(self.sample.envelope.event_id).encode()
        return b'{"event_id": "%s", "data": %s}' % (event_id, self.sample.data)


def add_targets(database: stack.Database, targets: Sequence[Target], *, secrets_key: str) -> None:
    """Targets with a secret each, and the rows that load is kept on."""
    sealed = sealing.Sealer.from_keys(secrets_key).seal(SECRET)
    with database.connect() as conn, conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "insert into targets (id, name, url, in_flight_max, timeout_ms)"
            " values (%s, %s, %s, %s, %s)",
            [(t.id, str(t.id), t.url, t.in_flight_max, t.timeout_ms) for t in targets],
        )
        cursor.executemany(
            "insert into target_secrets (target_id, sealed) values (%s, %s)",
            [(t.id, sealed) for t in targets],
        )
        cursor.executemany(
            "insert into destinations (name, target_id) values (%s, %s)",
            [(t.destination, t.id) for t in targets],
        )


def make(count: int, target: Target) -> list[Delivery]:
    """One event per delivery, about 300 bytes each."""
    return [
        Delivery(id=uuid_utils.compat.uuid7(), sample=sample, target=target)
        for sample in consumer.make_samples(count, order_share=0)
    ]


def add_deliveries(database: stack.Database, deliveries: Sequence[Delivery]) -> None:
    """Applied events whose deliveries are due, all in one transaction: nothing is sent before."""
    consumer.copy_events(database, [each.sample for each in deliveries])
    now = dt.datetime.now(dt.UTC)
    rule_id = uuid_utils.compat.uuid7()
    with database.connect() as conn, conn.transaction(), conn.cursor() as cursor:
        cursor.execute("update events set status = 'processing' where status = 'pending'")
        cursor.execute(
            "insert into processed_events (aggregate_id, event_type, event_id, topic,"
            " kafka_partition, kafka_offset, consumer)"
            " select aggregate_id, event_type, id, 'bench', 0, 0, 'bench' from events"
            " on conflict do nothing"
        )
        with cursor.copy(
            "copy deliveries (id, event_id, event_type, rule_id, version_id, action_key, kind,"
            " destination, target_id, traceparent, next_attempt_at) from stdin"
        ) as copy:
            for each in deliveries:
                copy.write_row(_row(each, rule_id, now))
        with cursor.copy("copy delivery_requests (delivery_id, request) from stdin") as copy:
            for each in deliveries:
                copy.write_row((each.id, _request(each)))
        cursor.execute("notify oncely_deliveries")
    with database.connect() as conn:
        conn.execute("analyze events, deliveries, delivery_requests")


def _row(delivery: Delivery, rule_id: UUID, now: dt.datetime) -> tuple[object, ...]:
    envelope = delivery.sample.envelope
    return (
        delivery.id,
        envelope.event_id,
        envelope.event_type,
        rule_id,
        VERSION_ID,
        "call",
        "webhook",
        delivery.target.destination,
        delivery.target.id,
        envelope.traceparent,
        now,
    )


def _request(delivery: Delivery) -> str:
    head: dict[str, object] = {"method": "POST", "url": None, "headers": {}}
    return msgspec.json.encode(head | {"body": msgspec.Raw(delivery.body)}).decode()
