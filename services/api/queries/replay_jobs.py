"""Statements on bulk replays as the api sees them: previewed, asked for, listed, steered.

What the runner of a job reads and writes is in replay_pages.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api.queries import events, replays
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

# Two apis that count the unfinished jobs at once would both find room.
_QUEUE_LOCK = 8_310_012


class Filter(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Which events, as it is stored: the bounds in time are absolute. A member that this api does
    not know makes the job fail: without it more events would be replayed than were asked for.
    """

    received_before: datetime
    received_after: datetime | None = None
    type: str | None = None
    status: str | None = None
    source: str | None = None
    subject: str | None = None
    external_id: str | None = None
    q: str | None = None
    rule_id: UUID | None = None
    event_ids: list[UUID] | None = None


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """A filter with its bounds in time as ids (UUIDv7): lowest included, end not."""

    filter: Filter
    lowest: UUID
    end: UUID

    @property
    def parameters(self) -> dict[str, Any]:
        q = self.filter.q
        return {
            **msgspec.structs.asdict(self.filter),
            "q": None if q is None else events.like(q),
            "lowest": self.lowest,
            "end": self.end,
        }


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its counts; seconds is how long it runs or ran, by the database's clock."""

    id: UUID
    state: str
    filter: dict[str, Any]
    mode: replays.Mode
    effects: replays.Effects
    version_ids: list[int] | None
    reason: str
    requested_by: str
    rate_per_second: int
    events_max: int
    total: int | None
    examined: int
    replayed: int
    skipped_open: int
    skipped_expired: int
    skipped_unapplied: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to insert."""

    id: UUID
    filter: Filter
    mode: replays.Mode
    effects: replays.Effects
    version_ids: list[int] | None
    reason: str
    requested_by: str
    rate_per_second: int
    events_max: int


class JobEventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a job: what it is now, and how its run compares with the first one."""

    event_id: UUID
    type: str
    source: str
    external_id: str
    subject: str | None
    status: str
    replay: int
    superseded: bool
    requested_at: datetime
    applied_at: datetime | None
    verdict: replays.Verdict


class CountRow(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a filter have one type and status; without both: all of them."""

    event_type: str | None
    status: str | None
    count: int
    expired: int
    first: datetime | None
    last: datetime | None


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent for events of a filter and one type by one action: dedupe leaves it alone,
    force sends it again.
    """

    rule_id: UUID
    rule_name: str
    event_type: str
    action_key: str
    kind: str
    destination: str
    deliveries: int


class LiveRule(msgspec.Struct, frozen=True, kw_only=True):
    """A version that may be evaluated, the types that it looks at, and the keys of its actions that
    are deliveries.
    """

    rule_id: UUID
    name: str
    version: int
    event_type: str
    deliveries: list[str]


# What narrows a filter, on rows e of events. Written out, not a parameter each: the planner must
# see what is not asked.
_CONDITIONS: dict[str, LiteralString] = {
    "type": " and e.event_type = %(type)s",
    "status": " and e.status = %(status)s",
    "source": " and e.source = %(source)s",
    "subject": " and e.subject = %(subject)s",
    "external_id": " and e.external_id = %(external_id)s",
    "q": " and " + events.SEARCH,
    "rule_id": """ and exists (
    select from rule_executions x
    where x.event_id = e.id and not x.shadow and x.result <> 'deduped' and x.version_id = any(
      array(select v.id from rule_versions v where v.rule_id = %(rule_id)s)))""",
    "event_ids": " and e.id = any(%(event_ids)s)",
}

# Reads of one snapshot; the first events_max in the order of the ids, and one more that tells
# whether there are others.
_COUNT: LiteralString = """
with picked as materialized (
  select e.event_type, e.status, e.payload_expired_at is not null as expired, e.received_at
  from events e
  where e.id >= %(lowest)s and e.id < %(end)s {filter}
  order by e.id
  limit %(limit)s
)
select event_type, status, count(*) as count, count(*) filter (where expired) as expired,
  min(received_at) as first, max(received_at) as last
from picked
group by grouping sets ((), (event_type, status))
order by event_type nulls first, count desc
limit %(rows_max)s
"""

# A read: deliveries are only ever added.
_EFFECTS: LiteralString = """
with picked as materialized (
  select e.id
  from events e
  where e.id >= %(lowest)s and e.id < %(end)s {filter}
  order by e.id
  limit %(limit)s
)
select d.rule_id, r.name as rule_name, d.event_type, d.action_key, d.kind, d.destination,
  count(*) as deliveries
from picked p
join deliveries d on d.event_id = p.id and d.replay_scope = 0
join rules r on r.id = d.rule_id
group by d.rule_id, r.name, d.event_type, d.action_key, d.kind, d.destination
order by count(*) desc, d.rule_id, d.event_type, d.action_key, d.destination
limit %(rows_max)s
"""

# Reads; which of them look at a type is told by their pattern.
_LIVE: LiteralString = """
select v.rule_id, r.name, v.version, v.event_type,
  array(select a ->> 'key' from jsonb_array_elements(v.actions) a
    where a ->> 'type' in ('call_webhook', 'send_email')) as deliveries
from rule_versions v
join rules r on r.id = v.rule_id
where v.state = 'published' and r.active and r.archived_at is null
  and not exists (
    select from rule_suspensions u where u.version_id = v.id and u.resumed_at is null)
order by v.rule_id
limit %(limit)s
"""
_NAMED: LiteralString = """
select v.rule_id, r.name, v.version, v.event_type,
  array(select a ->> 'key' from jsonb_array_elements(v.actions) a
    where a ->> 'type' in ('call_webhook', 'send_email')) as deliveries
from rule_versions v
join rules r on r.id = v.rule_id
where v.id = any(%(ids)s)
order by v.rule_id
"""

# Held to the end of the transaction, so that the count below is exact.
_LOCK_QUEUE: LiteralString = "select pg_advisory_xact_lock(%(key)s)"

# No row when as many jobs as may wait do.
_INSERT: LiteralString = """
insert into replays (id, filter, mode, effects, version_ids, reason, requested_by, rate_per_second,
  events_max)
select %(id)s, %(filter)s, %(mode)s, %(effects)s, %(version_ids)s, %(reason)s, %(requested_by)s,
  %(rate_per_second)s, %(events_max)s
where (select count(*) from replays where state in ('queued', 'running', 'paused'))
  < %(queued_max)s
returning id
"""

# By this clock events get their moment too.
_NOW: LiteralString = "select clock_timestamp()"

# A read: the counts of one row are of one moment, since one statement writes them.
_JOBS: LiteralString = """
select id, state, filter, mode, effects, version_ids, reason, requested_by, rate_per_second,
  events_max, total, examined, replayed, skipped_open, skipped_expired, skipped_unapplied, error,
  created_at, started_at, finished_at,
  extract(epoch from coalesce(finished_at, clock_timestamp()) - started_at)::float8 as seconds
from replays
where true
"""

# A read: a job's events are only ever added, in the order of their ids.
_EVENTS: LiteralString = """
select r.event_id, e.event_type as type, e.source, e.external_id, e.subject, e.status, r.replay,
  r.replay < e.replay as superseded, r.requested_at, p.processed_at as applied_at,
  {verdict}
from (
  select event_id, replay, requested_at
  from event_replays
  where job_id = %(job_id)s and (%(after)s::uuid is null or event_id > %(after)s::uuid)
  order by event_id
  limit %(limit)s
) r
join events e on e.id = r.event_id
{beside}
order by r.event_id
"""

# The row's lock decides against a runner that writes a page, or ends the job, in the same moment;
# the runner asks for the state with every page. Why it was paused stays in the audit log.
_MOVE: LiteralString = """
update replays
set state = %(state)s, runner = null, error = null,
  finished_at = case when %(state)s = 'cancelled' then clock_timestamp() end
where id = %(id)s
  and state = any(%(from_states)s)
returning id
"""

# As above; the runner reads it with its next page.
_SET_RATE: LiteralString = """
update replays
set rate_per_second = %(rate_per_second)s
where id = %(id)s
  and state in ('queued', 'running', 'paused')
returning id
"""


def narrowed(statement: LiteralString, asked: Filter) -> LiteralString:
    """Fill a filter into a statement on events e."""
    conditions: LiteralString = ""
    for name, condition in _CONDITIONS.items():
        if getattr(asked, name) is not None:
            conditions += condition
    return statement.replace("{filter}", conditions)


async def read_clock(conn: Conn) -> datetime:
    row = await (await conn.execute(_NOW)).fetchone()
    assert row is not None  # it has no from
    return row[0]


async def count_events(
    conn: Conn, *, asked: Range, events_max: int, rows_max: int
) -> list[CountRow]:
    """By type and status, all of them first."""
    async with conn.cursor(row_factory=database.class_row(CountRow)) as cursor:
        await cursor.execute(
            narrowed(_COUNT, asked.filter),
            {**asked.parameters, "limit": events_max + 1, "rows_max": rows_max},
            prepare=False,
        )
        return await cursor.fetchall()


async def count_effects(
    conn: Conn, *, asked: Range, events_max: int, rows_max: int
) -> list[EffectRow]:
    async with conn.cursor(row_factory=database.class_row(EffectRow)) as cursor:
        await cursor.execute(
            narrowed(_EFFECTS, asked.filter),
            {**asked.parameters, "limit": events_max, "rows_max": rows_max},
            prepare=False,
        )
        return await cursor.fetchall()


async def list_live(conn: Conn, *, limit: int) -> list[LiveRule]:
    return await _read_rules(conn, _LIVE, {"limit": limit})


async def list_named(conn: Conn, *, version_ids: list[int]) -> list[LiveRule]:
    return await _read_rules(conn, _NAMED, {"ids": version_ids})


async def insert(conn: Conn, *, job: NewJob, queued_max: int) -> bool:
    """Inside a transaction; False when too many jobs wait or run."""
    await conn.execute(_LOCK_QUEUE, {"key": _QUEUE_LOCK})
    values = msgspec.structs.asdict(job)
    values["filter"] = database.Jsonb(msgspec.to_builtins(job.filter))
    cursor = await conn.execute(_INSERT, {**values, "queued_max": queued_max})
    return await cursor.fetchone() is not None


async def get_job(conn: Conn, *, job_id: UUID) -> JobRow | None:
    async with conn.cursor(row_factory=database.class_row(JobRow)) as cursor:
        await cursor.execute(_JOBS + " and id = %(id)s", {"id": job_id})
        return await cursor.fetchone()


async def list_jobs(
    conn: Conn, *, state: str | None, after: UUID | None, limit: int
) -> list[JobRow]:
    """Newest first; one row more than a page tells whether another follows."""
    statement: LiteralString = _JOBS
    if state is not None:
        statement += " and state = %(state)s"
    if after is not None:
        statement += " and id < %(after)s"
    async with conn.cursor(row_factory=database.class_row(JobRow)) as cursor:
        await cursor.execute(
            statement + " order by id desc limit %(limit)s",
            {"state": state, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def list_events(
    conn: Conn, *, job_id: UUID, after: UUID | None, limit: int
) -> list[JobEventRow]:
    """In the order of the ids; one row more than a page tells whether another follows."""
    async with conn.cursor(row_factory=database.class_row(JobEventRow)) as cursor:
        await cursor.execute(
            replays.with_verdict(_EVENTS), {"job_id": job_id, "after": after, "limit": limit}
        )
        return await cursor.fetchall()


async def move(conn: Conn, *, job_id: UUID, state: str, from_states: list[str]) -> bool:
    cursor = await conn.execute(_MOVE, {"id": job_id, "state": state, "from_states": from_states})
    return await cursor.fetchone() is not None


async def set_rate(conn: Conn, *, job_id: UUID, rate_per_second: int) -> bool:
    cursor = await conn.execute(_SET_RATE, {"id": job_id, "rate_per_second": rate_per_second})
    return await cursor.fetchone() is not None


async def _read_rules(
    conn: Conn, statement: LiteralString, parameters: dict[str, Any]
) -> list[LiveRule]:
    async with conn.cursor(row_factory=database.class_row(LiveRule)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()
