"""How the dispatcher claims: destinations first, then their due deliveries under those locks.

What it learns by sending is written by recording, what it looks after now and then by upkeep.
Async, unlike their neighbours: the dispatcher is one event loop. The caller opens the transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from shared import database, faults

type Connection = database.AsyncConnection[Any]

# Each statement is a walk along an index that already has its order, with fresh statistics, with
# old ones and with none: without a sort to fall back on the planner has no other way, and without
# bitmaps it cannot gather half a million waiting rows to find ten.
PIN_PLANS: LiteralString = """
    select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
      set_config('enable_mergejoin', 'off', false), set_config('enable_sort', 'off', false),
      set_config('enable_bitmapscan', 'off', false), set_config('jit', 'off', false)"""

LISTEN: LiteralString = f"listen {database.DELIVERIES_CHANNEL}"

# One step per destination that has waiting deliveries, however many each of them has.
_WALK: LiteralString = """
    with recursive first_due as (
      (
        select d.destination, d.next_attempt_at
        from deliveries d
        where d.state = 'pending'
        order by d.destination, d.next_attempt_at
        limit 1
      )
      union all
      select f.destination, f.next_attempt_at
      from first_due w
      cross join lateral (
        select d.destination, d.next_attempt_at
        from deliveries d
        where d.state = 'pending' and d.destination > w.destination
        order by d.destination, d.next_attempt_at
        limit 1
      ) f
    )"""

# Those that may be sent to now. A bucket holds a quarter of a second of its rate, so that a poll
# finds what the rate allows; a destination that was never claimed begins with a full one. now() is
# the same in CLAIM, which spends what is counted here.
_READY: LiteralString = """
    from first_due w
    join destinations n on n.name = w.destination
    left join targets t on t.id = n.target_id
    cross join lateral (
      select greatest(1, t.rate_per_second / 4)::float8 as most
    ) bucket
    cross join lateral (
      select case
        when t.rate_per_second is null then null
        when n.claimed_at = '-infinity' then bucket.most
        else least(bucket.most, n.tokens
          + greatest(0, date_part('epoch', now() - n.refilled_at)) * t.rate_per_second)
      end as tokens
    ) rate
    cross join lateral (
      select case when n.open_until is not null then 1
        else coalesce(t.in_flight_max, %(in_flight_max)s) end as slots
    ) room
    cross join lateral (
      select count(*) as rows from (
        select from deliveries s
        where s.destination = n.name and s.state = 'sending'
        order by s.lease_expires_at
        limit room.slots) sending
    ) busy
    cross join lateral (
      select n.failures > 0 or n.answered_at < now() - interval '1 hour' as missing
    ) proof
    where w.next_attempt_at <= now()
      and (n.paused_until is null or n.paused_until <= now())
      and (n.open_until is null or n.open_until <= now())
      and t.disabled_at is null and t.archived_at is null
      and n.name <> all (%(without)s::text[])
      and (rate.tokens is null or rate.tokens >= 1)
      and room.slots > busy.rows"""

# Whoever raises the number of deliveries in flight to a destination, or spends its tokens, holds
# this lock. Those that answer come first, then those with the least in flight, then the longest
# unclaimed: however many hang, they do not fill the list. Nothing due: nothing is locked or
# written.
LOCK_READY: LiteralString = (
    _WALK
    + """
    select n.name, room.slots::int, rate.tokens, t.rate_per_second::float8, proof.missing"""
    + _READY
    + """
    order by proof.missing, busy.rows, n.claimed_at
    limit %(limit)s
    for update of n skip locked"""
)

# For the probe: since when the first delivery of a destination that nothing holds back is due, and
# nobody has claimed anything of that destination. A deep backlog that moves is no rest.
OLDEST_READY: LiteralString = (
    _WALK
    + """
    select coalesce(max(date_part(
      'epoch', now() - greatest(w.next_attempt_at, n.claimed_at))), 0)::float8"""
    + _READY
)

# The destinations are locked by LOCK_READY, and this statement's snapshot is younger than their
# locks: it sees every delivery in flight, of every dispatcher. A delivery that an api holds (retry)
# is skipped. From the commit on these deliveries are ours until their leases end.
CLAIM: LiteralString = """
    with room as (
      select i.name, i.tokens,
        least(i.wanted, i.slots - (
          select count(*) from (
            select from deliveries s
            where s.destination = i.name and s.state = 'sending'
            order by s.lease_expires_at
            limit i.slots) sending))
        as slots
      from unnest(%(names)s::text[], %(slots)s::int[], %(wanted)s::int[], %(tokens)s::float8[])
        as i (name, slots, wanted, tokens)
    ), taken as (
      select d.id, r.name
      from room r
      cross join lateral (
        select p.id
        from deliveries p
        where p.destination = r.name and p.state = 'pending' and p.next_attempt_at <= now()
        order by p.next_attempt_at
        limit greatest(r.slots, 0)
        for update of p skip locked
      ) d
    ), claimed as (
      update deliveries d
      set
        state = 'sending',
        attempt_no = d.attempt_no + 1,
        next_attempt_at = null,
        leased_by = %(me)s,
        sending_since = clock_timestamp(),
        lease_expires_at = clock_timestamp() + make_interval(secs => %(margin_seconds)s + coalesce(
          (select t.timeout_ms from targets t where t.id = d.target_id) / 1000.0,
          %(timeout_seconds)s))
      from taken
      where d.id = taken.id
      returning d.id, d.attempt_no, d.schedule_from, d.event_id, d.event_type, d.replay, d.kind,
        d.destination, d.target_id, d.traceparent, d.sending_since
    ), turns as (
      update destinations n
      set
        claimed_at = clock_timestamp(),
        tokens = coalesce(r.tokens - spent.rows, 0),
        refilled_at = now()
      from (select c.destination, count(*) as rows from claimed c group by c.destination) spent
      join room r on r.name = spent.destination
      where n.name = spent.destination
    )
    select c.id, c.attempt_no, c.schedule_from, c.event_id, c.event_type, c.replay, c.kind,
      c.destination, c.target_id, c.traceparent, c.sending_since,
      (select q.request::text from delivery_requests q where q.delivery_id = c.id),
      t.url, t.timeout_ms, t.headers_sealed,
      case when c.target_id is null then '{}' else array(
        select s.sealed
        from target_secrets s
        where s.target_id = c.target_id and (s.expires_at is null or s.expires_at > now())
        order by s.id desc
        limit 10) end,
      case when %(with_aggregate)s then (
        select e.aggregate_id from events e where e.id = c.event_id) end
    from claimed c
    left join lateral (
      select t.url, t.timeout_ms, t.headers_sealed
      from targets t
      where t.id = c.target_id
      limit 1
    ) t on true"""


class Ready(NamedTuple):
    """A destination that may be sent to, locked; tokens is None where no rate is set. Unproven:
    it failed last, or has not answered for an hour.
    """

    name: str
    slots: int
    tokens: float | None
    rate_per_second: float | None
    unproven: bool


class Claimed(NamedTuple):
    """One delivery that is ours, and everything that sending it needs."""

    id: UUID
    attempt_no: int
    schedule_from: int
    event_id: UUID
    event_type: str
    replay: int
    kind: str
    destination: str
    target_id: UUID | None
    traceparent: str
    sending_since: datetime
    request: str | None
    target_url: str | None
    target_timeout_ms: int | None
    headers_sealed: bytes | None
    secrets_sealed: list[bytes]
    aggregate_id: str  # only where faults are enabled


async def prepare_session(conn: Connection) -> None:
    await conn.execute(PIN_PLANS)


async def listen(conn: Connection) -> None:
    await conn.execute(LISTEN, prepare=False)


async def lock_ready(
    conn: Connection, *, in_flight_max: int, without: Sequence[str], limit: int
) -> list[Ready]:
    bound = {"in_flight_max": in_flight_max, "without": list(without), "limit": limit}
    cursor = await conn.execute(LOCK_READY, bound)
    return [Ready(*row) for row in await cursor.fetchall()]


async def claim(
    conn: Connection,
    *,
    ready: Sequence[Ready],
    wanted: Sequence[int],
    me: str,
    timeout_seconds: float,
    margin_seconds: float,
) -> list[Claimed]:
    """Take up to `wanted` of each destination; they are locked by lock_ready."""
    bound = {
        "names": [one.name for one in ready],
        "slots": [one.slots for one in ready],
        "wanted": list(wanted),
        "tokens": [one.tokens for one in ready],
        "me": me,
        "timeout_seconds": timeout_seconds,
        "margin_seconds": margin_seconds,
        "with_aggregate": faults.ENABLED,
    }
    cursor = await conn.execute(CLAIM, bound)
    return [Claimed(*row) for row in await cursor.fetchall()]
