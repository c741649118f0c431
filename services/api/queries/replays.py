"""Statements of replays: the act, the same for one event and for a page of a job, and how one event
was replayed.

The act is one statement in the caller's transaction, which holds the events' row locks.
"""

from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec

from shared import database, live

type Conn = database.AsyncConnection[tuple[Any, ...]]
type Mode = Literal["current", "original", "pinned"]
type Effects = Literal["dedupe", "force", "none"]
type Verdict = Literal["identical", "diverged", "first", "not_applied"]


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """An event that is ours until the transaction ends; payload only where it can be replayed."""

    id: UUID
    status: str
    replay: int
    source: str
    aggregate_id: str
    event_type: str
    subject: str | None
    payload_hash: bytes
    expired: bool
    payload: str | None


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A kept payload of an event."""

    id: int
    event_type: str
    subject: str | None
    payload: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A rule version that somebody named."""

    id: int
    rule_id: UUID
    version: int
    event_type: str
    was_published: bool


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs of one act have in common."""

    mode: Mode
    effects: Effects
    reason: str | None
    requested_by: str
    job_id: UUID | None = None
    receipt_id: int | None = None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """The number of each event's run, and the dead letters that it closes."""

    numbers: dict[UUID, int]
    closed: list[live.Item]


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One event's new run: where its record goes, what it evaluates, and the hash of its payload
    where that is not the event's.
    """

    event_id: UUID
    topic: str
    shard: int
    payload: bytes | None
    payload_hash: bytes | None
    version_ids: list[int] | None


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """One run after the first; verdict by versions and results."""

    event_id: UUID
    replay: int
    job_id: UUID | None
    mode: Mode
    effects: Effects
    version_ids: list[int] | None
    receipt_id: int | None
    reason: str | None
    requested_by: str
    requested_at: datetime
    status_before: str
    superseded: bool
    applied_at: datetime | None
    first_replay: int | None
    attempts: int
    failed_attempts: int
    deliveries_made: int
    verdict: Verdict


# The locks are taken in the order of the ids, so that two replays do not cross. What is read is
# what stands when the lock is ours.
_LOCK: LiteralString = """
select e.id, e.status, e.replay, e.source, e.aggregate_id, e.event_type, e.subject, e.payload_hash,
  e.payload_expired_at is not null as expired,
  case when e.status in ('processed', 'failed') and e.payload_expired_at is null
    then e.payload::text end as payload
from events e
where e.id = any(%(ids)b::uuid[])
order by e.id
for no key update
"""

# A read: a receipt never changes but for its counts, and retention, which locks the event first.
_RECEIPT: LiteralString = """
select id, event_type, subject, payload::text as payload
from event_receipts
where id = %(id)s
  and event_id = %(event_id)s
"""

# A read of what never changes.
_VERSIONS: LiteralString = """
select v.id, v.rule_id, v.version, v.event_type, v.published_at is not null as was_published
from unnest(%(rule_ids)b::uuid[], %(versions)b::int[]) as i (rule_id, version)
join rule_versions v on v.rule_id = i.rule_id and v.version = i.version
"""

# Which versions acted or were asked in the first run that was applied: rows that are only ever
# added, and the event's lock keeps another run from being applied meanwhile.
_ORIGINALS: LiteralString = """
select e.id, coalesce(a.version_ids, '{}') as version_ids
from unnest(%(ids)b::uuid[]) as i (id)
join events e on e.id = i.id
cross join lateral (
  select p.replay
  from event_runs p
  where p.aggregate_id = e.aggregate_id and p.event_type = e.event_type and p.event_id = e.id
  order by p.replay
  limit 1
) f
left join lateral (
  select array_agg(distinct t.version_id) as version_ids
  from (
    select x.attempt_no, x.version_id
    from rule_executions x
    where x.event_id = e.id and x.replay = f.replay and not x.shadow
    union all
    select s.attempt_no, u.version_id
    from rule_skips s
    cross join lateral unnest(s.version_ids, s.shadows) as u (version_id, shadow)
    where s.event_id = e.id and s.replay = f.replay and not u.shadow
  ) t
  group by t.attempt_no
  order by t.attempt_no desc
  limit 1
) a on true
"""

# Under the events' row locks: a letter comes in the transaction that fails its event. What is
# requested is still to be done.
_LETTERS: LiteralString = """
select d.event_id, (array_agg(d.id order by d.id))[1] as id
from dead_letters d
where d.event_id = any(%(ids)b::uuid[]) and d.stage = 'consumer'
  and d.state in ('open', 'redrive_requested')
  and (not %(followed)s or exists (
    select from waiting_events w
    where w.kafka_key = d.kafka_key and w.topic = d.topic
      and w.kafka_partition = d.kafka_partition and w.kafka_offset > d.kafka_offset))
group by d.event_id
"""

# The caller holds the rows' locks and has seen them processed or failed: nobody else gives them a
# number meanwhile, and the primary key of event_replays would refuse it. Outbox ids are drawn in
# the order given. A dead letter of a run that is over lets its key go on; a run without effects has
# none on letters either. A consumer that answers a request for a letter holds it before its event:
# whoever is ended by Postgres then begins anew.
_BEGIN: LiteralString = """
with i as (
  select *
  from unnest(%(ids)b::uuid[], %(topics)b::text[], %(shards)b::smallint[], %(payloads)b::bytea[],
    %(hashes)b::bytea[], %(version_ids)b::text[])
    with ordinality as t (id, topic, shard, payload, hash, version_ids, n)
), asked as (
  insert into event_replays (event_id, replay, job_id, mode, effects, version_ids, receipt_id,
    payload_hash, status_before, reason, requested_by)
  select e.id, e.replay + 1, %(job_id)s, %(mode)s, %(effects)s, i.version_ids::bigint[],
    %(receipt_id)s, i.hash, e.status, %(reason)s, %(requested_by)s
  from i
  join events e on e.id = i.id
), moved as (
  update events e
  set status = 'pending', replay = e.replay + 1, replayed_at = now()
  from i
  where e.id = i.id
  returning e.id, e.replay
), sent as (
  insert into outbox (shard, event_id, aggregate_id, aggregate_seq, event_type, replay, source,
    subject, occurred_at, traceparent, topic, kafka_key, payload)
  select i.shard, e.id, e.aggregate_id, e.aggregate_seq, e.event_type, e.replay + 1, e.source,
    e.subject, e.occurred_at, e.traceparent, i.topic, coalesce(e.subject, e.aggregate_id),
    coalesce(i.payload, convert_to(e.payload::text, 'UTF8'))
  from i
  join events e on e.id = i.id
  order by i.n
), closed as (
  update dead_letters d
  set state = 'discard_requested', resolution_reason = 'replayed as run ' || (e.replay + 1)
  from i
  join events e on e.id = i.id
  where d.event_id = e.id and d.stage = 'consumer' and d.state in ('open', 'redrive_requested')
    and %(effects)s <> 'none'
  returning d.id, d.event_id, d.event_type
)
select m.id, m.replay, c.id, c.event_type
from moved m
left join closed c on c.event_id = m.id
"""

# What each version said in one run, as one sorted list: 0 no match, 1 match, 2 failure.
_SAID: LiteralString = """(
  select array_agg(t.version_id * 4 + t.code order by t.version_id)
  from (
    select x.version_id, case x.result when 'failed' then 2 else 1 end as code
    from rule_executions x
    where x.event_id = r.event_id and x.replay = {replay} and not x.shadow
    union all
    select u.version_id, 0
    from rule_skips s
    cross join lateral unnest(s.version_ids, s.shadows) as u (version_id, shadow)
    where s.event_id = r.event_id and s.replay = {replay} and not u.shadow
  ) t
)"""

# Beside rows r of event_replays and e of events: whether the run was applied, and how it compares.
# The history is only ever added to, so an answer stays true.
_VERDICT: LiteralString = """
case when p.processed_at is null then 'not_applied' when f.replay = r.replay then 'first'
  when {this} is not distinct from {first} then 'identical' else 'diverged' end as verdict
"""
_BESIDE: LiteralString = """
left join event_runs p on p.aggregate_id = e.aggregate_id and p.event_type = e.event_type
  and p.replay = r.replay
left join lateral (
  select q.replay from event_runs q
  where q.aggregate_id = e.aggregate_id and q.event_type = e.event_type
  order by q.replay
  limit 1
) f on true
"""

# Reads of what is only ever added, but for the event's present number.
_RUNS: LiteralString = """
select r.event_id, r.replay, r.job_id, r.mode, r.effects, r.version_ids, r.receipt_id, r.reason,
  r.requested_by, r.requested_at, r.status_before, r.replay < e.replay as superseded,
  p.processed_at as applied_at, f.replay as first_replay, a.attempts, a.failed_attempts,
  (select count(*) from deliveries d where d.event_id = r.event_id and d.replay = r.replay)
    as deliveries_made,
  {verdict}
from event_replays r
join events e on e.id = r.event_id
{beside}
cross join lateral (
  select count(*) as attempts, count(*) filter (where t.status = 'failed') as failed_attempts
  from event_attempts t
  where t.event_id = r.event_id and t.replay = r.replay
) a
where r.event_id = %(event_id)s
"""


def with_verdict(statement: LiteralString) -> LiteralString:
    """Fill in what tells how each replay compares with its event's first run."""
    verdict = _VERDICT.replace("{this}", _SAID.replace("{replay}", "r.replay")).replace(
        "{first}", _SAID.replace("{replay}", "f.replay")
    )
    return statement.replace("{verdict}", verdict).replace("{beside}", _BESIDE)


async def lock(conn: Conn, *, ids: list[UUID]) -> list[Locked]:
    """Lock events for the rest of the transaction; sorted by id."""
    async with conn.cursor(row_factory=database.class_row(Locked)) as cursor:
        await cursor.execute(_LOCK, {"ids": ids})
        return await cursor.fetchall()


async def get_receipt(conn: Conn, *, event_id: UUID, receipt_id: int) -> Receipt | None:
    async with conn.cursor(row_factory=database.class_row(Receipt)) as cursor:
        await cursor.execute(_RECEIPT, {"event_id": event_id, "id": receipt_id})
        return await cursor.fetchone()


async def find_versions(conn: Conn, *, named: dict[UUID, int]) -> list[Version]:
    """The versions of these rules with these numbers; what does not come back does not exist."""
    async with conn.cursor(row_factory=database.class_row(Version)) as cursor:
        await cursor.execute(_VERSIONS, {"rule_ids": list(named), "versions": list(named.values())})
        return await cursor.fetchall()


async def find_originals(conn: Conn, *, ids: list[UUID]) -> dict[UUID, list[int]]:
    """The versions of each event's first applied run; events without one do not come back."""
    cursor = await conn.execute(_ORIGINALS, {"ids": ids})
    return {row[0]: sorted(row[1]) for row in await cursor.fetchall()}


async def find_letters(conn: Conn, *, ids: list[UUID], effects: str) -> dict[UUID, UUID]:
    """The first dead letter of each locked event that a run must not pass by; most events have
    none. A run without effects closes none at all; another one closes what holds nobody up, but
    later events of the key that wait behind it would overtake the run.
    """
    cursor = await conn.execute(_LETTERS, {"ids": ids, "followed": effects != "none"})
    rows: list[tuple[UUID, UUID]] = await cursor.fetchall()
    return dict(rows)


async def begin(conn: Conn, *, runs: list[Run], request: Request) -> Begun:
    """Give locked events their next run."""
    cursor = await conn.execute(
        _BEGIN,
        {
            "ids": [run.event_id for run in runs],
            "topics": [run.topic for run in runs],
            "shards": [run.shard for run in runs],
            "payloads": [run.payload for run in runs],
            "hashes": [run.payload_hash for run in runs],
            "version_ids": [_array(run.version_ids) for run in runs],
            **msgspec.structs.asdict(request),
        },
    )
    rows: list[tuple[UUID, int, UUID | None, str | None]] = await cursor.fetchall()
    return Begun(
        numbers={event_id: number for event_id, number, _, _ in rows},
        closed=[(letter_id, kind) for _, _, letter_id, kind in rows if letter_id is not None],
    )


async def list_runs(conn: Conn, *, event_id: UUID, limit: int) -> list[RunRow]:
    """Newest first."""
    async with conn.cursor(row_factory=database.class_row(RunRow)) as cursor:
        await cursor.execute(
            with_verdict(_RUNS) + " order by r.replay desc limit %(limit)s",
            {"event_id": event_id, "limit": limit},
        )
        return await cursor.fetchall()


async def get_run(conn: Conn, *, event_id: UUID, replay: int) -> RunRow | None:
    async with conn.cursor(row_factory=database.class_row(RunRow)) as cursor:
        await cursor.execute(
            with_verdict(_RUNS) + " and r.replay = %(replay)s",
            {"event_id": event_id, "replay": replay},
        )
        return await cursor.fetchone()


def _array(numbers: list[int] | None) -> str | None:
    return None if numbers is None else "{" + ",".join(map(str, numbers)) + "}"
