"""Outbox rows to publish, and the log that came of them, for the relay's tests."""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import psycopg
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource

from shared import events, kafka
from tests.fixtures import stack

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# Leases short enough for a test to wait for their end.
SHORT_LEASES = {
    "LEASE_SECONDS": "2",
    "LEASE_RENEW_SECONDS": "0.5",
    "LEASE_LOOK_SECONDS": "0.2",
    "RELAY_PASS_SECONDS_MAX": "0.5",
}

_INSERT = """
insert into outbox (shard, event_id, aggregate_id, aggregate_seq, event_type, source, subject,
  traceparent, topic, kafka_key, payload)
values (%(shard)s, %(event_id)s, %(key)s, %(seq)s, %(event_type)s, 'oncely:test', %(subject)s,
  %(traceparent)s, %(topic)s, %(key)s, %(payload)s)
returning id"""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the log."""

    topic: str
    key: str
    partition: int
    offset: int
    value: bytes
    envelope: events.Envelope

    @property
    def seq(self) -> int:
        return self.envelope.aggregate_seq


def insert(
    conn: psycopg.Connection[tuple[Any, ...]],
    topic: str,
    *,
    key: str,
    seq: int,
    payload: bytes = b'{"amount":1}',
    event_type: str = "order.paid",
    subject: str | None = None,
) -> int:
    """Write one row as the api would; returns its id."""
    row = conn.execute(
        _INSERT,
        {
            "shard": events.shard_of(key),
            "event_id": uuid.uuid4(),
            "key": key,
            "seq": seq,
            "event_type": event_type,
            "subject": subject,
            "traceparent": TRACEPARENT,
            "topic": topic,
            "payload": payload,
        },
    ).fetchone()
    assert row is not None
    return row[0]


def insert_many(database: stack.Database, topic: str, *, keys: int, per_key: int) -> int:
    """Rows of many keys, interleaved, in one transaction; returns how many."""
    with database.connect() as conn, conn.transaction():
        for seq in range(1, per_key + 1):
            for number in range(keys):
                insert(conn, topic, key=f"key-{number}", seq=seq)
    return keys * per_key


def unpublished(database: stack.Database) -> int:
    return database.value(
        "select count(*) from outbox where published_at is null and discarded_at is null"
    )


def all_published(database: stack.Database) -> bool:
    return unpublished(database) == 0


def read_log(bootstrap_servers: str, topic: str) -> list[Record]:
    """Every record of a topic, partition by partition, from the first to the last."""
    consumer = kafka.Consumer(
        kafka.consumer_options(bootstrap_servers, client_id="test", group_id="test")
    )
    try:
        ends = _ends(consumer, topic)
        consumer.assign([kafka.TopicPartition(topic, partition, 0) for partition in ends])
        found: list[Record] = []
        while ends:
            for message in consumer.consume(1_000, 0.2):
                assert message.error() is None, message.error()
                record = _record(message)
                found.append(record)
                if record.offset + 1 >= ends[record.partition]:
                    del ends[record.partition]
        return sorted(found, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()


def sequences(records: Sequence[Record]) -> dict[str, list[int]]:
    """Per key, the aggregate sequences in the order of the log, duplicates and all."""
    found: dict[str, list[int]] = defaultdict(list)
    for record in records:
        found[record.key].append(record.seq)
    return found


def require_order(records: Sequence[Record]) -> None:
    """Invariant I8: one partition per key, and first occurrences ascend without a gap."""
    places: dict[str, set[int]] = defaultdict(set)
    for record in records:
        places[record.key].add(record.partition)
    assert all(len(partitions) == 1 for partitions in places.values())
    for key, found in sequences(records).items():
        first = list(dict.fromkeys(found))
        assert first == list(range(1, len(first) + 1)), (key, found)


def require_honest_marks(database: stack.Database, records: Sequence[Record]) -> None:
    """Invariant I5: a mark names a record that carries its row's event."""
    at = {(record.partition, record.offset): record.envelope.event_id for record in records}
    marks = database.rows(
        "select kafka_partition, kafka_offset, event_id from outbox "
        "where published_at is not null and topic = %s",
        records[0].topic,
    )
    assert marks
    for partition, offset, event_id in marks:
        assert at[partition, offset] == event_id


def set_message_bytes_max(bootstrap_servers: str, topic: str, limit: int) -> None:
    """Change a topic's limit as an operator would."""
    entry = ConfigEntry(
        "max.message.bytes", str(limit), incremental_operation=AlterConfigOpType.SET
    )
    resource = ConfigResource(
        cast("Any", ConfigResource).Type.TOPIC, topic, incremental_configs=[entry]
    )
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    for future in cast("Any", admin).incremental_alter_configs([resource]).values():
        future.result(10)


def _ends(consumer: kafka.Consumer, topic: str) -> dict[int, int]:
    ends: dict[int, int] = {}
    for partition in consumer.list_topics(topic, timeout=10).topics[topic].partitions:
        low, high = consumer.get_watermark_offsets(
            kafka.TopicPartition(topic, partition), timeout=10
        )
        if high > low:
            ends[partition] = high
    return ends


def _record(message: kafka.Message) -> Record:
    envelope = events.decode_headers(cast("events.Headers", message.headers()))
    assert isinstance(envelope, events.Envelope), envelope
    topic, key, value = message.topic(), message.key(), message.value()
    partition, offset = message.partition(), message.offset()
    assert topic is not None
    assert key is not None
    assert partition is not None
    assert offset is not None
    assert value is not None
    return Record(
        topic=topic,
        key=key.decode(),
        partition=partition,
        offset=offset,
        value=value,
        envelope=envelope,
    )
