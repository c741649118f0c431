"""Accepted events as the api stores them, and their records as the relay sends them."""

import re
import urllib.request
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from confluent_kafka import Producer

from services.consumer import records
from shared import events
from shared import kafka as kafka_client
from tests.fixtures import stack

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

type RawHeaders = list[tuple[str, str | bytes | None]]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event."""

    envelope: events.Envelope
    data: bytes

    @property
    def id(self) -> UUID:
        return self.envelope.event_id

    @property
    def key(self) -> str:
        return self.envelope.subject or self.envelope.aggregate_id

    @property
    def payload_hash(self) -> bytes:
        return events.payload_hash(self.envelope.event_type, self.envelope.subject, self.data)

    @property
    def headers(self) -> RawHeaders:
        return [*events.encode_headers(self.envelope)]

    @property
    def record(self) -> records.Record:
        return self.record_at(0)

    def record_at(self, offset: int, *, topic: str = "t", partition: int = 0) -> records.Record:
        return records.Record(
            topic=topic,
            partition=partition,
            offset=offset,
            key=self.key.encode(),
            value=self.data,
            headers=events.encode_headers(self.envelope),
        )


def ingested(
    event_type: str = "payment.completed", *, subject: str | None = None, **data: Any
) -> Sample:
    event_id = uuid_utils.compat.uuid7()
    envelope = _envelope(event_id, str(event_id), 1, event_type, source="test", subject=subject)
    return Sample(envelope=envelope, data=msgspec.json.encode(data or {"amount": 1}))


def paid(order_id: UUID | None = None, **changes: Any) -> Sample:
    return order_event("order.paid", order_id, seq=2, **changes)


def order_event(
    event_type: str, order_id: UUID | None = None, *, seq: int, **changes: Any
) -> Sample:
    aggregate_id = str(order_id or uuid_utils.compat.uuid7())
    data = {
        "order_id": aggregate_id,
        "customer_id": "c-1",
        "currency": "EUR",
        "amount": 1250,
        "status": event_type.removeprefix("order."),
        "version": seq,
        **changes,
    }
    envelope = _envelope(
        uuid_utils.compat.uuid7(),
        aggregate_id,
        seq,
        event_type,
        source=events.ORDER_SOURCE,
        subject=None,
    )
    return Sample(envelope=envelope, data=msgspec.json.encode(data))


def accept(database: stack.Database, samples: Sequence[Sample]) -> None:
    """Store events, and the orders that order events are about."""
    with database.connect() as conn, conn.transaction():
        for sample in samples:
            envelope = sample.envelope
            if envelope.source == events.ORDER_SOURCE:
                conn.execute(
                    "insert into orders (id, customer_id, currency, amount, status, version)"
                    " values (%s, 'c-1', 'EUR', 1250, 'paid', 2) on conflict do nothing",
                    [envelope.aggregate_id],
                )
            conn.execute(
                "insert into events (id, source, external_id, aggregate_id, aggregate_seq,"
                " event_type, subject, payload, payload_hash, traceparent)"
                " values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [
                    envelope.event_id,
                    envelope.source,
                    events.dedupe_key(envelope.aggregate_id, envelope.event_type),
                    envelope.aggregate_id,
                    envelope.aggregate_seq,
                    envelope.event_type,
                    envelope.subject,
                    sample.data.decode(),
                    sample.payload_hash,
                    envelope.traceparent,
                ],
            )


class Publisher:
    """Writes records straight to the topics of a test; keeps where each of them landed."""

    def __init__(self, topics: stack.Topics) -> None:
        self._topics = topics
        options = kafka_client.producer_options(topics.bootstrap_servers, client_id="test")
        self._producer = Producer(options | {"log_level": 3, "enable.gapless.guarantee": False})
        self.places: list[records.Place] = []

    def send(self, samples: Sequence[Sample]) -> list[records.Place]:
        for sample in samples:
            is_order = sample.envelope.source == events.ORDER_SOURCE
            topic = self._topics.orders if is_order else self._topics.events
            self.produce(topic, sample.data, key=sample.key, headers=sample.headers)
        return self._flush(len(samples))

    def send_raw(
        self, value: bytes | None, *, key: str | bytes | None, headers: RawHeaders
    ) -> records.Place:
        """One record with anything in it."""
        self.produce(self._topics.events, value, key=key, headers=headers)
        return self._flush(1)[0]

    def produce(
        self, topic: str, value: bytes | None, *, key: str | bytes | None, headers: RawHeaders
    ) -> None:
        self._producer.produce(topic, value, key, headers=headers, on_delivery=self._on_delivery)
        self._producer.poll(0)

    def _flush(self, count: int) -> list[records.Place]:
        assert self._producer.flush(30) == 0
        return self.places[-count:]

    def _on_delivery(self, error: Any, message: Any) -> None:
        assert error is None, error
        self.places.append((message.topic(), message.partition(), message.offset()))


def metric(port: int, name: str, **labels: str) -> float:
    """The sum of one metric of a service over the series that carry the labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    total = 0.0
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if found and all(f'{key}="{value}"' in (found[1] or "") for key, value in labels.items()):
            total += float(found[2])
    return total


def _envelope(
    event_id: UUID,
    aggregate_id: str,
    seq: int,
    event_type: str,
    *,
    source: str,
    subject: str | None,
) -> events.Envelope:
    return events.Envelope(
        event_id=event_id,
        aggregate_id=aggregate_id,
        aggregate_seq=seq,
        event_type=event_type,
        source=source,
        subject=subject,
        time="2026-01-01T00:00:00Z",
        replay=0,
        outbox_id=1,
        traceparent=TRACEPARENT,
    )


def replay(
    database: stack.Database,
    sample: Sample,
    *,
    mode: str = "current",
    effects: str = "dedupe",
    version_ids: Sequence[int] | None = None,
) -> Sample:
    """Ask for one more run as the api does; returns the record of that run."""
    with database.connect() as conn, conn.transaction():
        row = conn.execute(
            "insert into event_replays (event_id, replay, mode, effects, version_ids,"
            " status_before, requested_by)"
            " select id, replay + 1, %s, %s, %s, status, 'test' from events where id = %s"
            " returning replay",
            [mode, effects, None if version_ids is None else list(version_ids), sample.id],
        ).fetchone()
        assert row is not None
        conn.execute(
            "update events set status = 'pending', replay = %s, replayed_at = now() where id = %s",
            [row[0], sample.id],
        )
    return in_run(sample, row[0])


def in_run(sample: Sample, number: int) -> Sample:
    """The same event's record with another run's number, whether asked for or not."""
    return msgspec.structs.replace(
        sample, envelope=msgspec.structs.replace(sample.envelope, replay=number)
    )
