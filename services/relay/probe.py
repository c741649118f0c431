"""After a takeover: the last records of the partitions tell what the dead owner had published
already.

It only saves duplicates. It is bounded in records and in time, and a failure of it is logged and
forgotten.
"""

import time
from collections.abc import Iterable

from services.relay import settings
from services.relay.queries import outbox
from shared import events, kafka, telemetry

_BATCH = 500
_POLL_SECONDS = 0.2

# outbox id -> event id, partition, offset
type Found = dict[int, tuple[str, int, int]]

_log = telemetry.logger(__name__)


def mark_last_records(
    conn: outbox.Connection,
    loaded: settings.RelaySettings,
    *,
    owner: str,
    owned: dict[int, int],
    topics: Iterable[str],
) -> int:
    """Mark unpublished rows of our shards that stand in the log; returns how many."""
    if loaded.relay_probe_records == 0:
        return 0
    try:
        found = last_records(loaded, topics=topics, shards=set(owned))
    except kafka.KafkaException as error:
        _log.warning("probe failed", code=error.args[0].name())
        return 0
    if not found:
        return 0
    with conn.transaction():
        rows = outbox.unmarked_among(conn, shards=list(owned), ids=list(found))
        marks: list[outbox.Mark] = [
            (row_id, created_at, shard, found[row_id][1], found[row_id][2], owned[shard], 0)
            for row_id, created_at, shard, event_id in rows
            if found[row_id][0] == event_id and shard in owned
        ]
        taken = outbox.mark_published(conn, owner=owner, marks=marks) if marks else set[int]()
    _log.info("probe done", records=len(found), marked=len(taken))
    return len(taken)


def last_records(
    loaded: settings.RelaySettings, *, topics: Iterable[str], shards: set[int]
) -> Found:
    """Read the tail of every partition; the first record of an outbox id counts."""
    deadline = time.monotonic() + loaded.relay_probe_seconds
    options = kafka.consumer_options(
        loaded.kafka_bootstrap_servers,
        client_id="oncely-relay-probe",
        group_id="oncely-relay-probe",
    )
    consumer = kafka.Consumer(
        options
    )  # assigned by hand: it never joins a group and commits nothing
    try:
        ends = _assign_tails(consumer, loaded, topics=topics, deadline=deadline)
        found: Found = {}
        while ends and time.monotonic() < deadline:
            for message in consumer.consume(_BATCH, _POLL_SECONDS):
                _note(message, shards=shards, found=found)
            for place in consumer.position([kafka.TopicPartition(*key) for key in ends]):
                if place.offset >= ends[place.topic, place.partition]:
                    del ends[place.topic, place.partition]
        return found
    finally:
        consumer.close()


def _assign_tails(
    consumer: kafka.Consumer,
    loaded: settings.RelaySettings,
    *,
    topics: Iterable[str],
    deadline: float,
) -> dict[tuple[str, int], int]:
    """Start at most RELAY_PROBE_RECORDS before each end; returns the ends of what holds any."""
    metadata = consumer.list_topics(timeout=loaded.relay_probe_seconds).topics
    tails: list[kafka.TopicPartition] = []
    ends: dict[tuple[str, int], int] = {}
    for topic in topics:
        for partition in metadata[topic].partitions if topic in metadata else ():
            left = max(deadline - time.monotonic(), 0.05)
            low, high = consumer.get_watermark_offsets(
                kafka.TopicPartition(topic, partition), timeout=left
            )
            if high > low:
                start = max(low, high - loaded.relay_probe_records)
                tails.append(kafka.TopicPartition(topic, partition, start))
                ends[topic, partition] = high
    consumer.assign(tails)
    return ends


def _note(message: kafka.Message, *, shards: set[int], found: Found) -> None:
    key = message.key()
    envelope = events.decode_headers(kafka.headers_of(message))
    if message.error() is not None or key is None or isinstance(envelope, events.MalformedRecord):
        return
    partition, offset = message.partition(), message.offset()
    if (
        events.shard_of(key.decode(errors="replace")) in shards
        and partition is not None
        and offset is not None
    ):
        found.setdefault(envelope.outbox_id, (str(envelope.event_id), partition, offset))
