"""Statements of the overview: how much flows, how far it is, how long it takes, what was done."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api import uuid7
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

COUNTED_MAX = 50_000
DELIVERIES_COUNTED_MAX = 10_000
LETTERS_COUNTED_MAX = 10_000
PARTITIONS_MAX = 1000
LATENCY_EVENTS_MAX = 1000
_LATENCY_LOOKED_AT_MAX = 5000
_CHECKED_MAX = 10_000


class SampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where the counters of the pipeline stand. newest_id: of the outbox, so at least the number of
    records that were ever accepted; committed: how many were passed; pending ends at
    COUNTED_MAX + 1.
    """

    at: datetime
    newest_id: int
    oldest_pending_id: int | None
    oldest_pending_at: datetime | None
    oldest_age_seconds: float
    pending: int
    parked: int
    committed: int
    lag: int
    confirmed: int
    version: str
    takes_writes: bool


class DeliveryCountsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Each ends at DELIVERIES_COUNTED_MAX + 1."""

    pending: int
    sending: int
    failed: int
    unknown: int
    made_estimate: int | None


class LetterCount(msgspec.Struct, frozen=True, kw_only=True):
    """Open dead letters of a stage, among the oldest LETTERS_COUNTED_MAX."""

    stage: str
    count: int


class PartitionRow(msgspec.Struct, frozen=True, kw_only=True):
    """How far a partition is, as its consumer last said; stale: it has not said it lately."""

    topic: str
    partition: int
    committed: int
    end: int
    lag: int
    consumer: str
    updated_at: datetime
    stale: bool


class LatencyRow(msgspec.Struct, frozen=True, kw_only=True):
    """From accepted to applied, of the newest first runs that were applied."""

    looked_at: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class FirstsRow(msgspec.Struct, frozen=True, kw_only=True):
    """What has ever happened here."""

    event_accepted: bool
    event_processed: bool
    rule_made: bool
    rule_fired: bool


class FaultRow(msgspec.Struct, frozen=True, kw_only=True):
    """A knob that is on; what it matches is told to those who may see faults."""

    knob: str
    mode: str
    seconds_left: int


# Reads: every number is a committed one, and none is used to decide anything. The newest id is
# looked for among the newest hundred rows, since ids are not drawn in the order of now().
_SAMPLE: LiteralString = """
select clock_timestamp() as at,
  coalesce((select max(n.id) from (
    select o.id from outbox o order by o.created_at desc, o.id desc limit 100) n), 0) as newest_id,
  first.id as oldest_pending_id, first.created_at as oldest_pending_at,
  coalesce(extract(epoch from clock_timestamp() - first.created_at), 0)::float8
    as oldest_age_seconds,
  (select count(*) from (
    select from outbox o where o.published_at is null and o.parked_at is null
    limit %(most)s + 1) p) as pending,
  (select count(*) from (
    select from outbox o
    where o.parked_at is not null and o.published_at is null and o.discarded_at is null
    limit %(most)s) p) as parked,
  progress.committed, progress.lag,
  (select coalesce(sum(d.confirmed), 0) from dispatchers d)::bigint as confirmed,
  current_setting('server_version') as version,
  not pg_is_in_recovery() as takes_writes
from (
  select coalesce(sum(c.committed_offset), 0)::bigint as committed,
    coalesce(sum(greatest(c.end_offset - c.committed_offset, 0)), 0)::bigint as lag
  from consumer_partitions c) progress
left join lateral (
  select o.id, o.created_at from outbox o
  where o.published_at is null and o.parked_at is null
  order by o.id limit 1) first on true
"""

# A read of the partial index, each state up to a bound: the states stand in the text, because a
# partial index is proven by a literal. What is left over of the planner's number is confirmed.
_DELIVERIES: LiteralString = """
select
  (select count(*) from (select from deliveries d where d.state = 'pending'
    limit %(most)s + 1) x) as pending,
  (select count(*) from (select from deliveries d where d.state = 'sending'
    limit %(most)s + 1) x) as sending,
  (select count(*) from (select from deliveries d where d.state = 'failed'
    and d.state <> 'confirmed' limit %(most)s + 1) x) as failed,
  (select count(*) from (select from deliveries d where d.state = 'unknown'
    and d.state <> 'confirmed' limit %(most)s + 1) x) as unknown,
  (select nullif(c.reltuples, -1)::bigint from pg_class c where c.oid = 'deliveries'::regclass)
    as made_estimate
"""

# A read of the few rows that a young ledger has.
_CONFIRMED: LiteralString = """
select count(*) filter (where d.state = 'confirmed')
from (select state from deliveries limit %(most)s) d
"""

# A read of the partial index of open letters.
_LETTERS: LiteralString = """
select l.stage, count(*) as count
from (select d.stage from dead_letters d where d.state = 'open' order by d.id limit %(most)s) l
group by l.stage
order by l.stage
"""

# A read of the letters of a day, whose ids are in order of time: events that were given up then and
# are failed now. It does not look for the status, because no index finds the failed ones quickly
# between very many others.
_FAILED: LiteralString = """
select count(distinct l.event_id)
from (
  select d.event_id from dead_letters d
  where d.stage in ('consumer', 'delivery') and d.id >= %(since)s and d.event_id is not null
  limit %(most)s) l
where (select e.status from events e where e.id = l.event_id) = 'failed'
"""

# A read of a few rows that each consumer writes once a second.
_PARTITIONS: LiteralString = """
select c.topic, c.kafka_partition as partition, c.committed_offset as committed,
  c.end_offset as end, greatest(c.end_offset - c.committed_offset, 0) as lag, c.consumer,
  c.updated_at, c.updated_at < clock_timestamp() - interval '5 seconds' as stale
from consumer_partitions c
order by c.topic, c.kafka_partition, c.consumer_group
limit %(most)s
"""

# A read from the newest id on; below `before`, since what the relay has not published cannot be
# applied. Both moments are the database's.
_LATENCY: LiteralString = """
select count(*) as looked_at,
  percentile_cont(0.5) within group (order by l.ms) as p50_ms,
  percentile_cont(0.95) within group (order by l.ms) as p95_ms,
  percentile_cont(0.99) within group (order by l.ms) as p99_ms
from (
  select extract(epoch from r.processed_at - e.received_at)::float8 * 1000 as ms
  from (
    select x.id, x.aggregate_id, x.event_type, x.received_at
    from events x
    where %(before)s::uuid is null or x.id < %(before)s::uuid
    order by x.id desc
    limit %(looked_at)s) e
  join event_runs r on r.aggregate_id = e.aggregate_id and r.event_type = e.event_type
    and r.replay = 0
  order by e.id desc
  limit %(most)s) l
"""

# A read that ends at the first row of each; a rule that fired lately, or ever sent something.
_FIRSTS: LiteralString = """
select exists (select from events) as event_accepted,
  exists (select from event_runs) as event_processed,
  exists (select from rules) as rule_made,
  exists (select from deliveries) or exists (
    select from (
      select x.result, x.shadow from rule_executions x limit %(checked)s) x
    where x.result = 'applied' and not x.shadow) as rule_fired
"""

# A read; a rule of the past is no rule any more.
_FAULTS: LiteralString = """
select r.knob, r.mode,
  greatest(0, ceil(extract(epoch from r.expires_at - clock_timestamp())))::int as seconds_left
from fault_rules r
where r.expires_at > clock_timestamp()
order by r.knob
"""


async def sample(conn: Conn) -> SampleRow:
    return await _one(conn, SampleRow, _SAMPLE, {"most": COUNTED_MAX})


async def count_deliveries(conn: Conn) -> DeliveryCountsRow:
    return await _one(conn, DeliveryCountsRow, _DELIVERIES, {"most": DELIVERIES_COUNTED_MAX})


async def count_confirmed(conn: Conn) -> int:
    """Among the first COUNTED_MAX deliveries: for a ledger that has no more."""
    return await _number(conn, _CONFIRMED, {"most": COUNTED_MAX})


async def count_letters(conn: Conn) -> list[LetterCount]:
    async with conn.cursor(row_factory=database.class_row(LetterCount)) as cursor:
        await cursor.execute(_LETTERS, {"most": LETTERS_COUNTED_MAX})
        return await cursor.fetchall()


async def count_failed(conn: Conn, *, since: datetime) -> int:
    """Events that are failed now and were given up since then."""
    bound = {"since": uuid7.first_of(since), "most": LETTERS_COUNTED_MAX}
    return await _number(conn, _FAILED, bound)


async def list_partitions(conn: Conn) -> list[PartitionRow]:
    async with conn.cursor(row_factory=database.class_row(PartitionRow)) as cursor:
        await cursor.execute(_PARTITIONS, {"most": PARTITIONS_MAX})
        return await cursor.fetchall()


async def measure_latency(conn: Conn, *, before: UUID | None) -> LatencyRow:
    bound = {
        "before": before,
        "looked_at": _LATENCY_LOOKED_AT_MAX,
        "most": LATENCY_EVENTS_MAX,
    }
    return await _one(conn, LatencyRow, _LATENCY, bound)


async def read_firsts(conn: Conn) -> FirstsRow:
    return await _one(conn, FirstsRow, _FIRSTS, {"checked": _CHECKED_MAX})


async def list_faults(conn: Conn) -> list[FaultRow]:
    async with conn.cursor(row_factory=database.class_row(FaultRow)) as cursor:
        await cursor.execute(_FAULTS)
        return await cursor.fetchall()


async def _one[T](conn: Conn, kind: type[T], query: LiteralString, bound: dict[str, Any]) -> T:
    async with conn.cursor(row_factory=database.class_row(kind)) as cursor:
        await cursor.execute(query, bound)
        row = await cursor.fetchone()
    assert row is not None  # one row, whatever the tables hold
    return row


async def _number(conn: Conn, query: LiteralString, bound: dict[str, Any]) -> int:
    row = await (await conn.execute(query, bound)).fetchone()
    assert row is not None  # an aggregate without groups
    return int(row[0])
