"""What the promises of the pipeline look like in the tables, over a window of the outbox."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

LOOKED_AT_MAX = 100_000
EXAMPLES_MAX = 20
DROPPED_MAX = 10_000  # of each partition


class LostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is in the topic, was passed by the consumer, and left no trace."""

    outbox_id: int
    event_id: UUID
    event_type: str
    replay: int
    topic: str
    partition: int
    offset: int
    published_at: datetime


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """The records that were accepted in the window, by what became of them; each is counted in
    accepted and in one other place. applied_twice counts runs and deliveries, not records.
    """

    at: datetime
    oldest_at: datetime | None
    more: bool
    accepted: int
    published: int
    unpublished: int
    parked: int
    discarded: int
    applied: int
    superseded: int
    waiting: int
    dead_lettered: int
    in_flight: int
    lost: int
    lost_examples: list[LostRow]
    applied_twice: int


class DroppedRow(msgspec.Struct, frozen=True, kw_only=True):
    """Records that were not applied, and why; exact: none was left out of the count."""

    verdict: str
    count: int
    exact: bool


# A record counts as applied when its key is: by this record or by another copy of it. Each look-up
# is by a primary key, whatever the planner thinks of a window in a large table. A partition's row
# speaks of a record only if it was written after that was published: one that nobody writes any
# more (of a topic that was made anew, or of another group) says nothing about later records, and
# one of a living consumer is written every second, also when nothing comes.
_WINDOW: LiteralString = """
with records as materialized (
  select p.id, p.event_id, p.event_type, p.replay, p.topic, p.kafka_partition, p.kafka_offset,
    p.created_at, p.published_at, p.parked_at, p.discarded_at, r.rows > 0 as is_applied,
    r.rows > 1 as is_twice
  from (
    select o.id, o.created_at, o.event_id, o.aggregate_id, o.event_type, o.replay, o.topic,
      o.kafka_partition, o.kafka_offset, o.published_at, o.parked_at, o.discarded_at
    from outbox o
    where o.created_at >= %(since)s
    order by o.created_at desc, o.id desc
    limit %(most)s) p
  cross join lateral (
    select count(*) as rows from (
      select from event_runs x
      where x.aggregate_id = p.aggregate_id and x.event_type = p.event_type and x.replay = p.replay
      limit 2) y) r
), open as materialized (
  select r.id, r.event_id, r.event_type, r.replay, r.topic, r.kafka_partition, r.kafka_offset,
    r.published_at,
    exists (
      select from consumer_partitions c
      where c.topic = r.topic and c.kafka_partition = r.kafka_partition
        and c.committed_offset > r.kafka_offset and c.updated_at >= r.published_at
    ) as is_passed,
    exists (
      select from waiting_events w
      where w.topic = r.topic and w.kafka_partition = r.kafka_partition
        and w.kafka_offset = r.kafka_offset
    ) as is_waiting,
    exists (
      select from dead_letters d where d.event_id = r.event_id and d.stage = 'consumer'
        and (d.replay is null or d.replay = r.replay)
    ) or exists (
      select from dead_letters d
      where d.stage = 'consumer' and d.topic = r.topic and d.kafka_partition = r.kafka_partition
        and d.kafka_offset = r.kafka_offset
    ) as is_dead,
    exists (
      select from dropped_records d
      where d.topic = r.topic and d.kafka_partition = r.kafka_partition
        and d.kafka_offset = r.kafka_offset
    ) as is_dropped
  from records r
  where r.published_at is not null and not r.is_applied
), judged as materialized (
  select o.id, o.event_id, o.event_type, o.replay, o.topic, o.kafka_partition, o.kafka_offset,
    o.published_at,
    case when o.is_waiting then 'waiting' when o.is_dead then 'dead' when o.is_dropped
      then 'superseded' when o.is_passed then 'lost' else 'in_flight' end as fate
  from open o
), firsts as (
  select event_id from records where replay = 0
), again as (
  select distinct event_id, replay from records where replay > 0
)"""

# One statement is one snapshot. An offset is committed after the transaction of its records, and
# reported after that: what lies below a reported offset has left its row before. What is applied
# while this runs can only be seen as in flight.
_COUNTS: LiteralString = """
select clock_timestamp() as at,
  min(r.created_at) as oldest_at,
  exists (
    select from outbox o where o.created_at >= %(since)s offset %(most)s limit 1) as more,
  count(*) as accepted,
  count(*) filter (where r.published_at is not null) as published,
  count(*) filter (where r.published_at is null and r.parked_at is null) as unpublished,
  count(*) filter (where r.published_at is null and r.parked_at is not null
    and r.discarded_at is null) as parked,
  count(*) filter (where r.discarded_at is not null) as discarded,
  count(*) filter (where r.published_at is not null and r.is_applied) as applied,
  (select count(*) from judged where fate = 'superseded') as superseded,
  (select count(*) from judged where fate = 'waiting') as waiting,
  (select count(*) from judged where fate = 'dead') as dead_lettered,
  (select count(*) from judged where fate = 'in_flight') as in_flight,
  (select count(*) from judged where fate = 'lost') as lost,
  (select coalesce(json_agg(row_to_json(x)), '[]') from (
    select j.id as outbox_id, j.event_id, j.event_type, j.replay, j.topic,
      j.kafka_partition as partition, j.kafka_offset as offset, j.published_at
    from judged j where j.fate = 'lost' order by j.id desc limit %(examples)s
  ) x) as lost_examples,
  count(distinct (r.event_id, r.replay)) filter (where r.is_twice) + (select count(*) from (
    select from event_attempts t
    where t.event_id between (select event_id from firsts order by event_id limit 1)
        and (select event_id from firsts order by event_id desc limit 1)
      and t.replay = 0 and t.attempt_no > 1 and t.status = 'success'
      and 1 < (
        select count(*) from event_attempts y
        where y.event_id = t.event_id and y.replay = 0 and y.status = 'success')
    union all
    select from again g
    where 1 < (
      select count(*) from event_attempts y
      where y.event_id = g.event_id and y.replay = g.replay and y.status = 'success')
  ) succeeded) + (select count(*) from (
    select d.id from deliveries d
    where d.event_id between (select event_id from firsts order by event_id limit 1)
        and (select event_id from firsts order by event_id desc limit 1)
      and d.attempt_no > 1
    union
    select d.id from deliveries d
    where d.event_id in (select g.event_id from again g) and d.attempt_no > 1
  ) sent where 1 < (
    select count(*) from delivery_attempts y
    where y.delivery_id = sent.id and y.outcome = 'confirmed')) as applied_twice
from records r
"""

# A read of the newest dropped records of each partition, in the order of their offsets.
_DROPPED: LiteralString = """
select d.verdict, count(*) as count, not bool_or(bool_or(d.place = %(most)s)) over () as exact
from (select distinct topic, kafka_partition from consumer_partitions) c
cross join lateral (
  select x.verdict, x.dropped_at, row_number() over (order by x.kafka_offset desc) as place
  from dropped_records x
  where x.topic = c.topic and x.kafka_partition = c.kafka_partition
  order by x.kafka_offset desc
  limit %(most)s) d
where d.dropped_at >= %(since)s
group by d.verdict
order by d.verdict
"""


# A read of the database's clock, which wrote the moments that it is compared with.
_BEGINNING: LiteralString = "select clock_timestamp() - %s * interval '1 second'"


async def begin(conn: Conn, *, seconds: float) -> datetime:
    """So long ago."""
    row = await (await conn.execute(_BEGINNING, [seconds])).fetchone()
    assert row is not None  # a query without a table
    return row[0]


async def read_window(conn: Conn, *, since: datetime) -> WindowRow:
    bound = {"since": since, "most": LOOKED_AT_MAX, "examples": EXAMPLES_MAX}
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(_WINDOW + _COUNTS, bound)
        row = await cursor.fetchone()
    assert row is not None  # an aggregate without groups
    return msgspec.convert(row, WindowRow)


async def count_dropped(conn: Conn, *, since: datetime) -> list[DroppedRow]:
    async with conn.cursor(row_factory=database.class_row(DroppedRow)) as cursor:
        await cursor.execute(_DROPPED, {"since": since, "most": DROPPED_MAX})
        return await cursor.fetchall()
