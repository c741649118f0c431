"""The invariants as functions over a database (and the topics' records): each returns the
violations that it found, and an empty list when it holds. Numbers are those of ARCHITECTURE.md.
"""

from collections import defaultdict
from typing import Any

import msgspec

from shared import events, kafka
from tests.fixtures import stack


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a topic, read back."""

    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    envelope: events.Envelope | None


def read_topics(topics: stack.Topics) -> list[Record]:
    """Read every record of both topics from the beginning to the end offsets of now."""
    consumer = kafka.Consumer(
        kafka.consumer_options(
            topics.bootstrap_servers, client_id="invariants", group_id=f"{topics.prefix}invariants"
        )
    )
    try:
        ends = _end_offsets(consumer, topics)
        consumer.assign(
            [
                kafka.TopicPartition(topic, number, 0)
                for topic, number in ends
                if ends[topic, number]
            ]
        )
        missing = sum(ends.values())
        records: list[Record] = []
        while missing > len(records):
            batch = consumer.consume(500, 10.0)
            assert batch, f"read {len(records)} of {missing} records, then nothing for 10 s"
            records.extend(_record(message) for message in batch if message.error() is None)
        return records
    finally:
        consumer.close()


def violations(database: stack.Database, *, quiesced: bool = True) -> list[str]:
    """What the database alone can tell; `quiesced` adds what holds only after a drain."""
    checks = {
        "I1 order without its created event": """
            select o.id::text from orders o
            left join events e on e.aggregate_id = o.id::text and e.event_type = 'order.created'
              and e.source = 'oncely:orders'
            where e.id is null""",
        "I1 event without outbox row": """
            select e.id::text from events e left join outbox b on b.event_id = e.id
            where b.event_id is null""",
        "I1 outbox row without event": """
            select b.id::text from outbox b left join events e on e.id = b.event_id
            where e.id is null""",
        "I1 order event without its order": """
            select e.id::text from events e left join orders o on o.id::text = e.aggregate_id
            where e.source = 'oncely:orders' and o.id is null""",
        "I7 effect more or less than once": """
            select e.id::text from events e
            join processed_events p on p.event_id = e.id
            left join ledger_entries l on l.event_id = e.id
            where e.source = 'oncely:orders'
            group by e.id, e.event_type
            having count(distinct l.side) <> case
              when e.event_type in ('order.paid', 'order.refunded') then 2 else 0 end""",
        "I13 order is not the fold of its events": """
            select o.id::text from orders o
            join events e on e.aggregate_id = o.id::text and e.source = 'oncely:orders'
            group by o.id, o.version, o.status
            having max(e.aggregate_seq) <> o.version or count(*) <> o.version
              or (array_agg(e.event_type order by e.aggregate_seq desc))[1]
                 <> 'order.' || o.status""",
        "I14 ledger does not balance": """
            select order_id::text from ledger_entries group by order_id
            having sum(case side when 'debit' then amount else -amount end) <> 0""",
        "I14 ledger differs from the order": """
            select o.id::text from orders o join ledger_entries l on l.order_id = o.id
            where l.amount <> o.amount or l.currency <> o.currency""",
        "I7 delivery of a run that was not applied": """
            select d.id::text from deliveries d
            join events e on e.id = d.event_id
            left join processed_events p on p.aggregate_id = e.aggregate_id
              and p.event_type = e.event_type and p.replay = d.replay
            where p.event_id is distinct from d.event_id""",
        "I7 applied rule without its delivery": """
            select x.event_id::text from rule_executions x
            join rule_versions v on v.id = x.version_id
            cross join lateral jsonb_array_elements(v.actions) as a (action)
            left join event_replays r on r.event_id = x.event_id and r.replay = x.replay
            left join deliveries d on d.event_id = x.event_id and d.rule_id = v.rule_id
              and d.action_key = a.action ->> 'key'
              and d.replay_scope = case when r.effects = 'force' then x.replay else 0 end
            where x.result in ('applied', 'deduped') and not x.shadow and d.id is null
              and a.action ->> 'type' in ('call_webhook', 'send_email')
              and r.effects is distinct from 'none'""",
        "I16 confirmed, but not by exactly one attempt": """
            select d.id::text from deliveries d
            left join delivery_attempts a on a.delivery_id = d.id and a.outcome = 'confirmed'
            where d.state <> 'unknown' and d.reason is null
            group by d.id, d.state
            having count(a.delivery_id) <> case when d.state = 'confirmed' then 1 else 0 end""",
        "I17 attempts are not told one by one": """
            select d.id::text from deliveries d
            left join delivery_attempts a on a.delivery_id = d.id
            group by d.id, d.attempt_no, d.state
            having count(a.attempt_no)
                <> d.attempt_no - case d.state when 'sending' then 1 else 0 end
              or coalesce(max(a.attempt_no), 0) <> count(a.attempt_no)""",
    }
    if quiesced:
        checks |= {
            "I3/I12 unpublished outbox row": """
                select id::text from outbox where published_at is null and parked_at is null""",
            "I7 event not applied": """
                select e.id::text from events e
                left join processed_events p on p.event_id = e.id
                left join dead_letters d on d.event_id = e.id
                left join waiting_events w on w.event_id = e.id
                where p.event_id is null and d.id is null and w.event_id is null""",
            "I7 applied event is not processed": """
                select e.id::text from events e join processed_events p on p.event_id = e.id
                where e.status <> 'processed' and not exists (
                  select from deliveries d
                  where d.event_id = e.id and d.state in ('failed', 'unknown'))""",
            "I16 delivery under way": """
                select id::text from deliveries where state in ('pending', 'sending')""",
            "I17 given up without a dead letter": """
                select d.id::text from deliveries d
                left join dead_letters l on l.delivery_id = d.id
                where d.state in ('failed', 'unknown') and l.id is null""",
            "I7 settled order without settled_at": """
                select distinct o.id::text from orders o join ledger_entries l on l.order_id = o.id
                where o.settled_at is null""",
        }
    found: list[str] = []
    for name, query in checks.items():
        rows = database.rows(query)
        found += [f"{name}: {row[0]}" for row in rows[:5]]
        if len(rows) > 5:
            found.append(f"{name}: and {len(rows) - 5} more")
    return found


def log_violations(database: stack.Database, records: list[Record]) -> list[str]:
    """I4, I5 and I8: what the log says against what the outbox says."""
    found: list[str] = []
    by_place = {(r.topic, r.partition, r.offset): r for r in records}
    rows = database.rows(
        "select event_id, replay, topic, kafka_partition, kafka_offset, published_at is not null"
        " from outbox"
    )
    known = {(row[0], row[1]) for row in rows}
    for event_id, _replay, topic, partition, offset, published in rows:
        if not published:
            continue
        record = by_place.get((topic, partition, offset))
        if record is None or record.envelope is None or record.envelope.event_id != event_id:
            found.append(f"I5 dishonest mark: {event_id} at {topic}/{partition}/{offset}")
    found += [
        f"I4 phantom record: {record.envelope.event_id}"
        for record in records
        if record.envelope and (record.envelope.event_id, record.envelope.replay) not in known
    ]
    return found + order_violations(records)


def order_violations(records: list[Record]) -> list[str]:
    """I8: per aggregate, the first occurrences are 1, 2, 3 without a gap, on one partition."""
    found: list[str] = []
    seen: dict[str, list[int]] = defaultdict(list)
    places: dict[str, set[int]] = defaultdict(set)
    for record in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        if record.envelope is None or record.key is None:
            continue
        places[f"{record.topic} {record.key}"].add(record.partition)
        sequence = seen[record.envelope.aggregate_id]
        if record.envelope.aggregate_seq not in sequence:
            sequence.append(record.envelope.aggregate_seq)
    found += [
        f"I8 order of {aggregate} in the log: {sequence}"
        for aggregate, sequence in seen.items()
        if sequence != list(range(1, len(sequence) + 1))
    ]
    found += [f"I8 key {key} on partitions {sorted(p)}" for key, p in places.items() if len(p) > 1]
    return found


def duplicates_in(records: list[Record]) -> int:
    """How many records are copies of an earlier one (same event and replay)."""
    counted = [(r.envelope.event_id, r.envelope.replay) for r in records if r.envelope]
    return len(counted) - len(set(counted))


def _end_offsets(consumer: kafka.Consumer, topics: stack.Topics) -> dict[tuple[str, int], int]:
    ends: dict[tuple[str, int], int] = {}
    for topic in (topics.orders, topics.events):
        for number in range(topics.partitions):
            place = kafka.TopicPartition(topic, number)
            ends[topic, number] = consumer.get_watermark_offsets(place, timeout=10.0)[1]
    return ends


def _record(message: Any) -> Record:
    envelope = events.decode_headers(message.headers())
    key = message.key()
    return Record(
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        key=key.decode() if key is not None else None,
        value=message.value(),
        envelope=envelope if isinstance(envelope, events.Envelope) else None,
    )
