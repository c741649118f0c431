"""Statements on events, their receipts and their history."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api import jobs
from shared import database, events

type Conn = database.AsyncConnection[tuple[Any, ...]]


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored under a source and id after the batch looked at it."""

    id: UUID
    source: str
    external_id: str
    event_type: str
    subject: str | None
    payload_hash: bytes
    status: str
    received_count: int
    received_at: datetime


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One payload under one source and id, and how often this batch brought it."""

    event: jobs.NewEvent
    count: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Another payload under an event's id."""

    event_id: UUID
    arrival: Arrival


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it is stored; replay is the number of its present run, 0 for the first."""

    id: UUID
    source: str
    external_id: str
    aggregate_id: str
    aggregate_seq: int
    type: str
    subject: str | None
    data: msgspec.Raw
    payload_hash: str
    status: str
    received_count: int
    replay: int
    time: datetime | None
    received_at: datetime
    replayed_at: datetime | None
    payload_expired_at: datetime | None
    traceparent: str


class EventFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list of events can be narrowed by."""

    status: str | None = None
    type: str | None = None
    source: str | None = None
    subject: str | None = None
    external_id: str | None = None
    q: str | None = None
    received_after: datetime | None = None
    received_before: datetime | None = None
    rule_id: UUID | None = None


class ReceiptRow(msgspec.Struct, frozen=True, kw_only=True):
    """A payload that was refused because the event's id had another one."""

    id: int
    type: str
    subject: str | None
    data: msgspec.Raw
    payload_hash: str
    seen_count: int
    first_seen_at: datetime
    last_seen_at: datetime


class StatsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by state, and how far the pipeline is behind."""

    total: int
    pending: int
    processing: int
    processed: int
    failed: int
    failed_last_24h: int
    outbox_pending: int
    outbox_parked: int
    outbox_oldest_age_seconds: float
    consumer_lag: int


# One row per (source, external_id), sorted by it: two writers with the same ids wait in one
# direction. The unique key decides who inserts; everybody else raises the count of the row that is
# there, under its lock, so the count is exact. A row with another payload hash is locked and left
# alone, and does not come back. Only an event that was inserted here gets an outbox row (its id is
# ours), and those are sorted by arrival.
_ACCEPT: LiteralString = """
with i as (
  select n, id, source, external_id, event_type, subject, hash, count, occurred_at, traceparent,
    topic, kafka_key, shard, payload
  from unnest(%(n)b::int[], %(id)b::uuid[], %(source)b::text[], %(external_id)b::text[],
    %(event_type)b::text[],
              %(subject)b::text[], %(hash)b::bytea[], %(count)b::int[],
                %(occurred_at)b::timestamptz[],
              %(traceparent)b::text[], %(topic)b::text[], %(kafka_key)b::text[],
                %(shard)b::smallint[], %(payload)b::bytea[])
    as t(n, id, source, external_id, event_type, subject, hash, count, occurred_at, traceparent,
      topic, kafka_key, shard, payload)
), e as (
  insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, subject,
    payload, payload_hash,
                      received_count, occurred_at, traceparent)
  select id, source, external_id, id::text, 1, event_type, subject, convert_from(payload,
    'UTF8')::jsonb, hash,
         count, occurred_at, traceparent
  from i
  order by source collate "C", external_id collate "C"
  on conflict (source, external_id) do update
  set received_count = events.received_count + excluded.received_count
  where events.payload_hash = excluded.payload_hash
  returning id, source, external_id, event_type, subject, payload_hash, status, received_count,
    received_at
), x as (
  insert into outbox (shard, event_id, aggregate_id, aggregate_seq, event_type, source, subject,
    occurred_at, traceparent,
                      topic, kafka_key, payload)
  select i.shard, i.id, i.id::text, 1, i.event_type, i.source, i.subject, i.occurred_at,
    i.traceparent,
         i.topic, i.kafka_key, i.payload
  from i
  join e using (id)
  order by n
)
select id, source, external_id, event_type, subject, payload_hash, status, received_count,
  received_at from e
"""

# Runs after _ACCEPT in its transaction, on rows that _ACCEPT has locked: they are committed and
# cannot vanish.
_FIND_BY_EXTERNAL_ID: LiteralString = """
select e.id, e.source, e.external_id, e.event_type, e.subject, e.payload_hash, e.status,
  e.received_count, e.received_at
from events e
join unnest(%(source)b::text[], %(external_id)b::text[]) as t(source, external_id)
  on e.source = t.source and e.external_id = t.external_id
"""

# The unique (event_id, payload_hash) makes one row per payload; rows come sorted, and the event's
# own row is locked.
_KEEP_RECEIPTS: LiteralString = """
insert into event_receipts (event_id, event_type, subject, payload, payload_hash, seen_count)
select event_id, event_type, subject, convert_from(payload, 'UTF8')::jsonb, hash, count
from unnest(%(event_id)b::uuid[], %(event_type)b::text[], %(subject)b::text[],
  %(payload)b::bytea[], %(hash)b::bytea[],
            %(count)b::int[])
  as t(event_id, event_type, subject, payload, hash, count)
order by event_id, hash
on conflict (event_id, payload_hash) do update
set seen_count = event_receipts.seen_count + excluded.seen_count, last_seen_at = now()
"""

# Reads: any committed state is a right answer, and a keyset page moves nothing that was shown.
_EVENTS: LiteralString = """
select id, source, external_id, aggregate_id, aggregate_seq, event_type as type, subject,
  payload::text as data,
       encode(payload_hash, 'hex') as payload_hash, status, received_count, replay,
  occurred_at as time, received_at,
       replayed_at, payload_expired_at, traceparent
from events
where true
"""

# Not a parameter: the planner must see which status is meant, since the few that are not processed
# are found by events_unfinished, and the processed ones from the newest on.
STATUSES: dict[str, LiteralString] = {
    "pending": " and status = 'pending'",
    "processing": " and status = 'processing'",
    "processed": " and status = 'processed'",
    "failed": " and status = 'failed'",
}

# What a text is looked for in: no index helps, so whoever asks bounds how many rows it reads. Its
# parameter is made by like().
SEARCH: LiteralString = (
    "(external_id ilike %(q)s or event_type ilike %(q)s"
    " or subject ilike %(q)s or source ilike %(q)s)"
)

_FILTERS: dict[str, LiteralString] = {
    "type": " and event_type = %(type)s",
    "source": " and source = %(source)s",
    "subject": " and subject = %(subject)s",
    "external_id": " and external_id = %(external_id)s",
    "q": " and " + SEARCH,
    "received_after": " and received_at >= %(received_after)s",
    "received_before": " and received_at < %(received_before)s",
}

# A read: receipts are only ever added or counted up.
_RECEIPTS: LiteralString = """
select id, event_type as type, subject, payload::text as data, encode(payload_hash, 'hex') as
  payload_hash, seen_count,
       first_seen_at, last_seen_at
from event_receipts
where event_id = %(event_id)s
order by id
limit %(limit)s
"""

# One statement is one snapshot, so the parts add up to the total. The total is counted in the
# primary key and the few unfinished ones by their index; counting by status would read every row.
_STATS: LiteralString = """
with s as (
    select count(*) filter (where status = 'pending') as pending,
           count(*) filter (where status = 'processing') as processing,
           count(*) filter (where status = 'failed') as failed
    from events where status in ('pending', 'processing', 'failed')
  ),
  t as (select count(*) as total from events),
  o as (
    select count(*) filter (where parked_at is null) as pending, count(*) filter (where parked_at
      is not null) as parked,
           coalesce(extract(epoch from now() - min(created_at) filter (where parked_at is null)),
             0)::float8 as oldest
    from outbox
    where published_at is null
  )
select t.total, s.pending, s.processing, s.failed,
       t.total - s.pending - s.processing - s.failed as processed,
       (select count(*) from events e where e.status = 'failed' and (
          exists (
            select from event_attempts a
            where a.event_id = e.id and a.status = 'failed'
              and a.finished_at > now() - interval '24 hours')
          or exists (
            select from deliveries d
            where d.event_id = e.id and d.state in ('failed', 'unknown')
              and d.finished_at > now() - interval '24 hours')))
         as failed_last_24h,
       o.pending as outbox_pending,
       o.parked as outbox_parked,
       o.oldest as outbox_oldest_age_seconds,
       coalesce((select sum(greatest(end_offset - committed_offset, 0)) from consumer_partitions),
         0)::bigint as consumer_lag
from s, t, o
"""


async def accept(conn: Conn, *, arrivals: list[Arrival]) -> list[Accepted]:
    """Insert what is new, count what is the same; what does not come back has another payload."""
    new = [arrival.event for arrival in arrivals]
    keys = [event.subject or event.aggregate_id for event in new]
    parameters = {
        "n": list(range(len(new))),
        "id": [event.id for event in new],
        "source": [event.source for event in new],
        "external_id": [event.external_id for event in new],
        "event_type": [event.event_type for event in new],
        "subject": [event.subject for event in new],
        "hash": [event.payload_hash for event in new],
        "count": [arrival.count for arrival in arrivals],
        "occurred_at": [event.occurred_at for event in new],
        "traceparent": [event.traceparent for event in new],
        "topic": [event.topic for event in new],
        "kafka_key": keys,
        "shard": [events.shard_of(key) for key in keys],
        "payload": [event.payload for event in new],
    }
    async with conn.cursor(row_factory=database.class_row(Accepted)) as cursor:
        await cursor.execute(_ACCEPT, parameters)
        return await cursor.fetchall()


async def find_by_external_id(conn: Conn, *, keys: list[tuple[str, str]]) -> list[Accepted]:
    async with conn.cursor(row_factory=database.class_row(Accepted)) as cursor:
        await cursor.execute(
            _FIND_BY_EXTERNAL_ID,
            {
                "source": [source for source, _ in keys],
                "external_id": [external_id for _, external_id in keys],
            },
        )
        return await cursor.fetchall()


async def keep_receipts(conn: Conn, *, receipts: list[Receipt]) -> None:
    """Keep payloads that were refused because their id belongs to another one."""
    arrivals = [receipt.arrival for receipt in receipts]
    await conn.execute(
        _KEEP_RECEIPTS,
        {
            "event_id": [receipt.event_id for receipt in receipts],
            "event_type": [arrival.event.event_type for arrival in arrivals],
            "subject": [arrival.event.subject for arrival in arrivals],
            "payload": [arrival.event.payload for arrival in arrivals],
            "hash": [arrival.event.payload_hash for arrival in arrivals],
            "count": [arrival.count for arrival in arrivals],
        },
    )


async def get_event(conn: Conn, *, event_id: UUID) -> EventRow | None:
    rows = await _read_events(conn, _EVENTS + " and id = %(id)s", {"id": event_id})
    return rows[0] if rows else None


async def get_event_by_external_id(conn: Conn, *, source: str, external_id: str) -> EventRow | None:
    rows = await _read_events(
        conn,
        _EVENTS + " and source = %(source)s and external_id = %(external_id)s",
        {"source": source, "external_id": external_id},
    )
    return rows[0] if rows else None


async def list_events(
    conn: Conn,
    *,
    filters: EventFilters,
    after: UUID | None,
    limit: int,
    among: list[UUID] | None = None,
) -> list[EventRow]:
    """Newest first; one row more than a page tells whether another follows. rule_id is no column:
    `among` has its events.
    """
    parameters: dict[str, Any] = {"after": after, "limit": limit, "among": among}
    statement: LiteralString = _EVENTS
    if among is not None:
        statement += " and id = any(%(among)s)"
    if filters.status is not None:
        statement += STATUSES[filters.status]
    for name, condition in _FILTERS.items():
        value = getattr(filters, name)
        if value is not None:
            statement += condition
            parameters[name] = like(value) if name == "q" else value
    if after is not None:
        statement += " and id < %(after)s"
    return await _read_events(conn, statement + " order by id desc limit %(limit)s", parameters)


async def list_receipts(conn: Conn, *, event_id: UUID, limit: int) -> list[ReceiptRow]:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(_RECEIPTS, {"event_id": event_id, "limit": limit})
        return [
            ReceiptRow(data=msgspec.Raw(row.pop("data").encode()), **row)
            for row in await cursor.fetchall()
        ]


async def get_stats(conn: Conn) -> StatsRow:
    async with conn.cursor(row_factory=database.class_row(StatsRow)) as cursor:
        await cursor.execute(_STATS)
        row = await cursor.fetchone()
    assert row is not None  # one row, whatever the tables hold
    return row


async def _read_events(
    conn: Conn, statement: LiteralString, parameters: dict[str, Any]
) -> list[EventRow]:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return [
            EventRow(data=msgspec.Raw(row.pop("data").encode()), **row)
            for row in await cursor.fetchall()
        ]


def like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
