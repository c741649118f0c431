"""What the dispatcher looks after once a second: leases that expired, deliveries whose target is
switched off, requests about dead letters, and what waits.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from services.consumer.queries import dispatch, recording

# Whose dispatcher died or froze. The locks are held until the attempt is written as unknown in the
# same transaction; another dispatcher skips them, and the late one finds itself fenced. Few rows
# are in flight, so the whole index of them is walked.
TAKE_EXPIRED: LiteralString = """
    select d.id, d.attempt_no, d.schedule_from, d.event_id, d.event_type, d.replay, d.destination,
      d.leased_by, d.sending_since
    from deliveries d
    where d.state = 'sending' and d.lease_expires_at < clock_timestamp()
    order by d.destination, d.lease_expires_at
    limit %(limit)s
    for update skip locked"""

# Due deliveries that are not to be sent: their target is disabled or archived, or their kind is
# switched off here. What may have arrived before is never hidden: it is unknown, and a dead letter.
# An api that retries one of them holds its lock, and it is left for the next turn.
SKIP_DUE: LiteralString = """
    with off as (
      select 'target/' || t.id as name,
        case when t.archived_at is not null then 'the target is archived'
          else left('the target is disabled: ' || t.disabled_reason, 1000) end as reason
      from targets t
      where t.disabled_at is not null or t.archived_at is not null
      union all
      select i.name, i.reason
      from unnest(%(names)s::text[], %(reasons)s::text[]) as i (name, reason)
    ), due as (
      select d.id, off.reason
      from off
      cross join lateral (
        select p.id
        from deliveries p
        where p.destination = off.name and p.state = 'pending' and p.next_attempt_at <= now()
        order by p.next_attempt_at
        limit %(limit)s
        for update of p skip locked
      ) d
      limit %(limit)s
    )
    update deliveries d
    set
      state = case when d.unknown_attempts > 0 then 'unknown' else 'skipped' end,
      reason = due.reason,
      next_attempt_at = null,
      finished_at = now()
    from due
    where d.id = due.id
    returning d.id, d.event_id, d.replay, d.event_type, d.attempt_no, d.state, d.reason"""

# Requests of people, oldest first. Letter and delivery are locked, or both are left for the next
# turn: nobody waits here, so it does not matter in which order an api locks the two.
TAKE_REQUESTS: LiteralString = """
    select l.id, l.state, l.delivery_id, l.event_id
    from dead_letters l
    join deliveries d on d.id = l.delivery_id
    where l.stage = 'delivery' and l.state in ('redrive_requested', 'discard_requested')
    order by l.id
    limit %(limit)s
    for update skip locked"""

# What was given up goes out once more with a fresh schedule. One that a person has resolved or
# retried meanwhile stays as it is.
REDRIVE: LiteralString = """
    update deliveries d
    set
      state = 'pending',
      next_attempt_at = now(),
      schedule_from = d.attempt_no,
      finished_at = null,
      reason = null
    from unnest(%(ids)s::uuid[]) as i (id)
    where d.id = i.id and (d.state in ('failed', 'unknown', 'skipped')) is true
    returning d.id, d.state, d.event_type, d.event_id"""

# After LOCK_EVENTS. An event whose present run was never applied stays as it is: it failed before
# it came to deliveries, and nothing would ever finish it.
REOPEN_EVENTS: LiteralString = """
    update events e
    set status = 'processing'
    from unnest(%(ids)s::uuid[]) as i (id)
    where e.id = i.id and (e.status in ('processed', 'failed')) is true
      and exists (
        select from processed_events p
        where p.aggregate_id = e.aggregate_id and p.event_type = e.event_type
          and p.replay = e.replay)
    returning e.id, e.status, e.event_type"""

# The rows are locked by TAKE_REQUESTS.
RESOLVE: LiteralString = """
    update dead_letters l
    set
      state = case l.state when 'redrive_requested' then 'redriven' else 'discarded' end,
      resolved_at = now()
    where l.id = any (%(ids)s::uuid[])"""

# Counted up to a bound: a number for dashboards, read outside of any lock.
COUNT_WAITING: LiteralString = """
    select
      (select count(*) from (
        select from deliveries d where d.state = 'pending'
        order by d.destination, d.next_attempt_at limit %(limit)s) p),
      (select count(*) from (
        select from deliveries d where d.state = 'unknown' order by d.id desc limit %(limit)s) u)"""

# Each dispatcher writes its own row, whose name is new for each run, and clears away those that
# nobody has renewed for an hour.
REPORT: LiteralString = """
    with gone as (
      delete from dispatchers where heartbeat_at < now() - interval '1 hour'
    )
    insert into dispatchers (name, confirmed)
    values (%(name)s, %(confirmed)s)
    on conflict (name) do update
    set heartbeat_at = now(), confirmed = excluded.confirmed"""


class Expired(NamedTuple):
    """A delivery in flight whose lease has ended, locked."""

    id: UUID
    attempt_no: int
    schedule_from: int
    event_id: UUID
    event_type: str
    replay: int
    destination: str
    leased_by: str
    sending_since: datetime


class Skipped(NamedTuple):
    """A delivery that is not to be sent; unknown when an attempt before may have arrived."""

    id: UUID
    event_id: UUID
    replay: int
    event_type: str
    attempt_no: int
    state: str
    reason: str


class Request(NamedTuple):
    """One dead letter that somebody wants redriven or discarded, locked."""

    id: UUID
    state: str
    delivery_id: UUID
    event_id: UUID | None


class Redriven(NamedTuple):
    """The deliveries that are due again, and the events that are processing again for it: each with
    its id, state and event type.
    """

    deliveries: Sequence[recording.Finished] = ()
    events: Sequence[recording.Finished] = ()


async def take_expired(conn: dispatch.Connection, *, limit: int) -> list[Expired]:
    cursor = await conn.execute(TAKE_EXPIRED, {"limit": limit})
    return [Expired(*row) for row in await cursor.fetchall()]


async def skip_due(
    conn: dispatch.Connection, *, switched_off: dict[str, str], limit: int
) -> list[Skipped]:
    """What is not sent any more; the caller adds dead letters and finishes the events."""
    bound = {"names": list(switched_off), "reasons": list(switched_off.values()), "limit": limit}
    cursor = await conn.execute(SKIP_DUE, bound)
    return [Skipped(*row) for row in await cursor.fetchall()]


async def take_requests(conn: dispatch.Connection, *, limit: int) -> list[Request]:
    cursor = await conn.execute(TAKE_REQUESTS, {"limit": limit})
    return [Request(*row) for row in await cursor.fetchall()]


async def redrive(conn: dispatch.Connection, *, delivery_ids: Sequence[UUID]) -> Redriven:
    cursor = await conn.execute(REDRIVE, {"ids": sorted(delivery_ids)})
    rows = await cursor.fetchall()
    if not rows:
        return Redriven()
    bound = {"ids": sorted({row[3] for row in rows})}
    await conn.execute(recording.LOCK_EVENTS, bound)
    reopened = await conn.execute(REOPEN_EVENTS, bound)
    deliveries = [(row[0], row[1], row[2]) for row in rows]
    return Redriven(deliveries, await reopened.fetchall())


async def resolve(conn: dispatch.Connection, *, request_ids: Sequence[UUID]) -> None:
    await conn.execute(RESOLVE, {"ids": list(request_ids)})


async def report(conn: dispatch.Connection, *, name: str, confirmed: int) -> None:
    """A sign of life, and how many deliveries this dispatcher saw confirmed."""
    await conn.execute(REPORT, {"name": name, "confirmed": confirmed})


async def count_waiting(conn: dispatch.Connection, *, limit: int) -> tuple[int, int]:
    """Pending and unknown, each up to `limit`."""
    cursor = await conn.execute(COUNT_WAITING, {"limit": limit})
    row = await cursor.fetchone()
    return (row[0], row[1]) if row else (0, 0)


async def oldest_ready_seconds(
    conn: dispatch.Connection, *, in_flight_max: int, without: Sequence[str]
) -> float:
    """How long a delivery that nothing holds back has been due."""
    bound = {"in_flight_max": in_flight_max, "without": list(without)}
    cursor = await conn.execute(dispatch.OLDEST_READY, bound)
    row = await cursor.fetchone()
    return float(row[0]) if row else 0.0
