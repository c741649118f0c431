"""Statements that gather what is stored of one event, from acceptance to its effects.

All of them read, each by an index, so the cost is by what is shown. They are asked in one snapshot
(begin_snapshot), so no entry speaks of another that is missing. Deliveries: timeline_effects.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class EventFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An event without its data."""

    id: UUID
    source: str
    external_id: str
    aggregate_id: str
    event_type: str
    subject: str | None
    status: str
    replay: int
    received_count: int
    occurred_at: datetime | None
    received_at: datetime
    payload_expired_at: datetime | None
    traceparent: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Another payload that came under the event's id."""

    id: int
    payload_hash: str
    seen_count: int
    first_seen_at: datetime
    last_seen_at: datetime


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What a run after the first was asked to be."""

    replay: int
    job_id: UUID | None
    mode: str
    effects: str
    versions: list[int] | None
    receipt_id: int | None
    status_before: str
    reason: str | None
    requested_by: str
    requested_at: datetime


class OutboxRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the relay owed to Kafka for one run."""

    id: int
    replay: int
    topic: str
    kafka_key: str
    kafka_partition: int | None
    kafka_offset: int | None
    attempts: int
    last_error: str | None
    traceparent: str
    created_at: datetime
    published_at: datetime | None
    parked_at: datetime | None
    discarded_at: datetime | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """When and from where one run was applied."""

    replay: int
    topic: str
    kafka_partition: int
    kafka_offset: int
    consumer: str
    processed_at: datetime


class RuleSaid(msgspec.Struct, frozen=True, kw_only=True):
    """A version that applied, failed, or whose deliveries were there already."""

    replay: int
    attempt_no: int
    rule_id: UUID
    rule_name: str
    version: int
    result: str
    shadow: bool
    error_class: str | None
    reason: str | None
    duration_us: float
    executed_at: datetime


class Skips(msgspec.Struct, frozen=True, kw_only=True):
    """How many versions did not match in one attempt."""

    replay: int
    attempt_no: int
    versions: int
    duration_us: float


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """One side of the ledger's entry."""

    replay: int
    side: str
    account: str
    amount: int
    currency: str
    booked_at: datetime
    settled_at: datetime | None


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A copy of the record that had no effect."""

    replay: int
    topic: str
    kafka_partition: int
    kafka_offset: int
    verdict: str
    consumer: str
    dropped_at: datetime


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose processing is scheduled again, or that waits behind another one of its key."""

    replay: int
    attempt_no: int
    trigger: str
    next_at: datetime | None
    waiting_since: datetime
    behind_another: bool


# Every statement after it sees what was committed when the first one began, and can change nothing.
_SNAPSHOT: LiteralString = "set transaction isolation level repeatable read, read only"

# One row by a unique key.
_EVENT: LiteralString = """
select id, source, external_id, aggregate_id, event_type, subject, status, replay, received_count,
  occurred_at, received_at, payload_expired_at, traceparent
from events
where
"""

# A read of rows that are only ever added or counted up.
_RECEIPTS: LiteralString = """
select id, encode(payload_hash, 'hex') as payload_hash, seen_count, first_seen_at, last_seen_at
from event_receipts
where event_id = %(event_id)s
order by first_seen_at, id
limit %(limit)s
"""

# A read of rows that are only ever added; versions never change their number.
_REPLAYS: LiteralString = """
select r.replay, r.job_id, r.mode, r.effects,
  case when r.version_ids is not null then
    array(select v.version from rule_versions v where v.id = any(r.version_ids) order by v.id)
  end as versions,
  r.receipt_id, r.status_before, r.reason, r.requested_by, r.requested_at
from event_replays r
where r.event_id = %(event_id)s
order by r.replay
limit %(limit)s
"""

# The outbox has no index by event; its rows carry the moment of the transaction that accepted or
# replayed the event, and the primary key begins with it.
_OUTBOX: LiteralString = """
select id, replay, topic, kafka_key, kafka_partition, kafka_offset, attempts, last_error,
  traceparent, created_at, published_at, parked_at, discarded_at
from outbox
where created_at = any(%(moments)s::timestamptz[]) and event_id = %(event_id)s
order by created_at, id
limit %(limit)s
"""

# A view with the owner's rights over the dedupe keys, which are only ever added.
_RUNS: LiteralString = """
select replay, topic, kafka_partition, kafka_offset, consumer, processed_at
from event_runs
where aggregate_id = %(aggregate_id)s and event_type = %(event_type)s and event_id = %(event_id)s
order by replay
limit %(limit)s
"""

# A read of rows that are only ever added, with names that may be changed at any time.
_RULES: LiteralString = """
select x.replay, x.attempt_no, v.rule_id, r.name as rule_name, v.version, x.result, x.shadow,
  x.error_class, x.reason, x.duration_us, x.executed_at
from rule_executions x
join rule_versions v on v.id = x.version_id
join rules r on r.id = v.rule_id
where x.event_id = %(event_id)s
order by x.replay, x.attempt_no, r.created_at, r.id, v.version
limit %(limit)s
"""

# A read of rows that are only ever added.
_SKIPS: LiteralString = """
select replay, attempt_no, cardinality(version_ids) as versions,
  (select coalesce(sum(each), 0) from unnest(durations_us) as each)::float8 as duration_us
from rule_skips
where event_id = %(event_id)s
order by replay, attempt_no
limit %(limit)s
"""

# A read of rows that are only ever added, beside the order's latest settlement.
_LEDGER: LiteralString = """
select l.replay, l.side, l.account, l.amount, l.currency, l.booked_at, o.settled_at
from ledger_entries l
join orders o on o.id = l.order_id
where l.order_id = %(order_id)s and l.event_type = %(event_type)s and l.event_id = %(event_id)s
order by l.side desc
"""

# A read of rows that are only ever added.
_DROPPED: LiteralString = """
select replay, topic, kafka_partition, kafka_offset, verdict, consumer, dropped_at
from dropped_records
where event_id = %(event_id)s
order by dropped_at, topic, kafka_partition, kafka_offset
limit %(limit)s
"""

# A read by the key's index; the first row of a key is the one that is processed next.
_WAITING: LiteralString = """
select w.replay, w.attempt_no, w.trigger, w.next_at, w.waiting_since,
  exists (
    select from waiting_events f
    where f.kafka_key = w.kafka_key and f.topic = w.topic and f.kafka_partition = w.kafka_partition
      and f.kafka_offset < w.kafka_offset
  ) as behind_another
from waiting_events w
where w.kafka_key = %(kafka_key)s and w.event_id = %(event_id)s
order by w.topic, w.kafka_partition, w.kafka_offset
limit %(limit)s
"""


# For the test that none of them scans a table.
STATEMENTS: dict[str, LiteralString] = {
    "receipts": _RECEIPTS,
    "replays": _REPLAYS,
    "outbox": _OUTBOX,
    "runs": _RUNS,
    "rules": _RULES,
    "skips": _SKIPS,
    "ledger": _LEDGER,
    "dropped": _DROPPED,
    "waiting": _WAITING,
}


async def begin_snapshot(conn: Conn) -> None:
    """First in a transaction of the caller."""
    await conn.execute(_SNAPSHOT)


async def find_event(conn: Conn, *, event_id: UUID) -> EventFacts | None:
    found = await read(conn, EventFacts, _EVENT + " id = %(id)s", {"id": event_id})
    return found[0] if found else None


async def find_event_by_external_id(
    conn: Conn, *, source: str, external_id: str
) -> EventFacts | None:
    statement = _EVENT + " source = %(source)s and external_id = %(external_id)s"
    found = await read(conn, EventFacts, statement, {"source": source, "external_id": external_id})
    return found[0] if found else None


async def list_receipts(conn: Conn, *, event_id: UUID, limit: int) -> list[Receipt]:
    return await read(conn, Receipt, _RECEIPTS, {"event_id": event_id, "limit": limit})


async def list_replays(conn: Conn, *, event_id: UUID, limit: int) -> list[Replay]:
    return await read(conn, Replay, _REPLAYS, {"event_id": event_id, "limit": limit})


async def list_outbox_records(
    conn: Conn, *, event_id: UUID, moments: list[datetime], limit: int
) -> list[OutboxRecord]:
    """Of the runs that were asked for at these moments."""
    parameters = {"event_id": event_id, "moments": moments, "limit": limit}
    return await read(conn, OutboxRecord, _OUTBOX, parameters)


async def list_runs(conn: Conn, *, event: EventFacts, limit: int) -> list[Run]:
    parameters = {
        "aggregate_id": event.aggregate_id,
        "event_type": event.event_type,
        "event_id": event.id,
        "limit": limit,
    }
    return await read(conn, Run, _RUNS, parameters)


async def list_rules(conn: Conn, *, event_id: UUID, limit: int) -> list[RuleSaid]:
    return await read(conn, RuleSaid, _RULES, {"event_id": event_id, "limit": limit})


async def list_skips(conn: Conn, *, event_id: UUID, limit: int) -> list[Skips]:
    return await read(conn, Skips, _SKIPS, {"event_id": event_id, "limit": limit})


async def list_bookings(conn: Conn, *, event: EventFacts, order_id: UUID) -> list[Booking]:
    parameters = {"order_id": order_id, "event_type": event.event_type, "event_id": event.id}
    return await read(conn, Booking, _LEDGER, parameters)


async def list_dropped(conn: Conn, *, event_id: UUID, limit: int) -> list[Dropped]:
    return await read(conn, Dropped, _DROPPED, {"event_id": event_id, "limit": limit})


async def list_waiting(conn: Conn, *, event: EventFacts, limit: int) -> list[Waiting]:
    key = event.subject or event.aggregate_id
    return await read(
        conn, Waiting, _WAITING, {"event_id": event.id, "kafka_key": key, "limit": limit}
    )


async def read[Row](
    conn: Conn, kind: type[Row], statement: LiteralString, parameters: dict[str, Any]
) -> list[Row]:
    async with conn.cursor(row_factory=database.class_row(kind)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
