"""What the dispatcher writes of an attempt: history, the delivery's state, dead letters, the
event's status, and what it says about the destination.
"""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.consumer.queries import dispatch

# Fenced: only what is still ours, and still the attempt that we made. What is not ours any more was
# recorded as unknown by whoever found the lease expired; it keeps that outcome and learns the late
# answer. Repeated after a lost commit it finds its own attempt and changes nothing. What is given
# up ends as unknown when any attempt may have arrived. Absent numbers come as 0 and NaN: an array
# of nulls only would be of another type, and so another statement to prepare.
RECORD: LiteralString = """
    with i as (
      select i.id, i.attempt_no, i.leased_by, i.state, i.wait_seconds, i.outcome,
        nullif(i.status_code, 0) as status_code, i.error_class, i.error_message, i.url, i.address,
        nullif(i.dns_ms, 'NaN') as dns_ms, nullif(i.connect_ms, 'NaN') as connect_ms,
        nullif(i.tls_ms, 'NaN') as tls_ms, nullif(i.first_byte_ms, 'NaN') as first_byte_ms,
        nullif(i.total_ms, 'NaN') as total_ms, i.response_head, i.response_body, i.late_answer,
        i.injected, i.started_at
      from unnest(
        %(ids)b::uuid[], %(attempt_nos)b::int[], %(leased_bys)b::text[], %(states)b::text[],
        %(wait_seconds)b::float8[], %(outcomes)b::text[],
        %(status_codes)b::smallint[], %(error_classes)b::text[], %(error_messages)b::text[],
        %(urls)b::text[], %(addresses)b::text[], %(dns_ms)b::float8[], %(connect_ms)b::float8[],
        %(tls_ms)b::float8[], %(first_byte_ms)b::float8[], %(total_ms)b::float8[],
        %(response_heads)b::text[], %(response_bodies)b::text[], %(late_answers)b::text[],
        %(injected)b::bool[], %(started_ats)b::timestamptz[]
      ) as i (id, attempt_no, leased_by, state, wait_seconds, outcome, status_code,
        error_class, error_message, url, address, dns_ms, connect_ms, tls_ms, first_byte_ms,
        total_ms, response_head, response_body, late_answer, injected, started_at)
    ), ours as (
      update deliveries d
      set
        state = case
          when i.state = 'failed' and (i.outcome = 'unknown' or d.unknown_attempts > 0)
            then 'unknown'
          else i.state end,
        unknown_attempts = d.unknown_attempts + (i.outcome = 'unknown')::int,
        next_attempt_at = case when i.state = 'pending'
          then clock_timestamp() + make_interval(secs => i.wait_seconds) end,
        finished_at = case when i.state <> 'pending' then clock_timestamp() end,
        leased_by = null,
        sending_since = null,
        lease_expires_at = null,
        last_status = i.status_code,
        last_error = left(i.error_class || coalesce(': ' || i.error_message, ''), 1000)
      from i
      where d.id = i.id
        and (d.state, d.attempt_no, d.leased_by)
          is not distinct from ('sending', i.attempt_no, i.leased_by)
      returning d.id, d.attempt_no, d.state, d.event_id
    ), added as (
      insert into delivery_attempts (delivery_id, attempt_no, outcome, status_code, error_class,
        error_message, url, address, dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms,
        response_head, response_body, injected, dispatcher, started_at)
      select i.id, i.attempt_no, i.outcome, i.status_code, i.error_class, i.error_message, i.url,
        i.address, i.dns_ms, i.connect_ms, i.tls_ms, i.first_byte_ms, i.total_ms, i.response_head,
        i.response_body, i.injected, i.leased_by, i.started_at
      from i
      join ours on ours.id = i.id and ours.attempt_no = i.attempt_no
    ), late as (
      update delivery_attempts a
      set late_answer = i.late_answer
      from i
      where a.delivery_id = i.id and a.attempt_no = i.attempt_no
        and i.late_answer is not null
        and a.error_class = 'LeaseExpired' and a.late_answer is null
      returning a.delivery_id, a.attempt_no
    )
    select ours.id, ours.attempt_no, ours.state, ours.event_id from ours
    union all
    select late.delivery_id, late.attempt_no, 'late', null from late"""

# A delivery that is given up; the row of its delivery is ours in this transaction.
ADD_DEAD_LETTERS: LiteralString = """
    insert into dead_letters (id, stage, event_id, replay, event_type, payload_bytes, error_class,
      error_message, attempts, delivery_id, created_at)
    select i.id, 'delivery', i.event_id, i.replay, i.event_type, 0, i.error_class,
      i.error_message, i.attempts, i.delivery_id, clock_timestamp()
    from unnest(
      %(ids)b::uuid[], %(event_ids)b::uuid[], %(replays)b::int[], %(event_types)b::text[],
      %(error_classes)b::text[], %(error_messages)b::text[], %(attempts)b::int[],
      %(delivery_ids)b::uuid[]
    ) as i (id, event_id, replay, event_type, error_class, error_message, attempts, delivery_id)
    on conflict do nothing"""

# Two deliveries of one event that finish at the same moment: the second waits here, and its next
# statement sees what the first has committed.
LOCK_EVENTS: LiteralString = """
    select e.id
    from unnest(%(ids)s::uuid[]) with ordinality as i (id, n)
    join events e on e.id = i.id
    order by i.n
    for no key update of e"""

# The events are locked by LOCK_EVENTS. One that is being run again is left alone until the consumer
# has applied that run: it looks at the deliveries itself. `is true` keeps every index but the
# primary key out of it.
FINISH_EVENTS: LiteralString = """
    update events e
    set status = v.status
    from unnest(%(ids)s::uuid[]) as i (id)
    cross join lateral (select delivery_verdict(i.id) as status offset 0) v
    where e.id = i.id and (e.status = 'processing') is true and v.status <> 'processing'
      and exists (
        select from processed_events p
        where p.aggregate_id = e.aggregate_id and p.event_type = e.event_type
          and p.replay = e.replay)
    returning e.id, e.status, e.event_type"""

# Names are sorted by the caller: two dispatchers meet at the same row first. A success closes the
# breaker; enough failures in a row open it, and after it has been open each one does.
JUDGE_DESTINATIONS: LiteralString = """
    update destinations n
    set
      failures = case when i.answered then 0 else n.failures end + i.failures,
      open_until = case
        when case when i.answered then 0 else n.failures end + i.failures >= %(failures_max)s
          and i.failures > 0 then clock_timestamp() + make_interval(secs => %(open_seconds)s)
        when i.answered then null
        else n.open_until end,
      answered_at = case when i.answered then clock_timestamp() else n.answered_at end,
      paused_until = case when i.pause_seconds > 0
        then greatest(n.paused_until,
          clock_timestamp() + make_interval(secs => i.pause_seconds))
        else n.paused_until end
    from unnest(%(names)s::text[], %(answered)s::bool[], %(failures)s::int[],
      %(pause_seconds)s::float8[]) as i (name, answered, failures, pause_seconds)
    where n.name = i.name
      and (i.failures > 0 or i.pause_seconds > 0
        or (i.answered and (n.failures > 0 or n.open_until is not null
          or n.answered_at < now() - interval '1 minute')))
    returning n.name, (n.open_until > clock_timestamp()) is true, n.failures"""

# A target that answered 410. One that is disabled or archived already keeps its reason; the audit
# row is written by whoever disabled it.
DISABLE_TARGETS: LiteralString = """
    with disabled as (
      update targets t
      set
        disabled_at = now(),
        disabled_reason = 'it answered 410 Gone',
        revision = t.revision + 1,
        updated_at = now()
      where t.id = any (%(ids)s::uuid[]) and t.disabled_at is null and t.archived_at is null
      returning t.id, t.name
    ), told as (
      insert into audit_log (actor, action, target, detail)
      select %(me)s, 'target.disable', 'targets/' || d.id,
        jsonb_build_object('name', d.name, 'reason', 'it answered 410 Gone')
      from disabled d
    )
    select d.id from disabled d"""


type Finished = tuple[UUID, str, str]
"""An event, its status, its type."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of results says about one destination; failures are those since its last
    answer.
    """

    destination: str
    answered: bool
    failures: int
    pause_seconds: float


async def record(
    conn: dispatch.Connection, *, columns: dict[str, list[Any]]
) -> list[tuple[UUID, int, str, UUID | None]]:
    """The id, attempt, new state and event of each delivery that was ours; state `late`: it was
    not ours any more.
    """
    cursor = await conn.execute(RECORD, columns)
    return await cursor.fetchall()


async def add_dead_letters(conn: dispatch.Connection, *, columns: dict[str, list[Any]]) -> None:
    await conn.execute(ADD_DEAD_LETTERS, columns)


async def finish_events(conn: dispatch.Connection, *, event_ids: set[UUID]) -> list[Finished]:
    """Give events their last status if nothing of them is under way any more; those that got it."""
    bound = {"ids": sorted(event_ids)}
    await conn.execute(LOCK_EVENTS, bound)
    cursor = await conn.execute(FINISH_EVENTS, bound)
    return await cursor.fetchall()


async def judge_destinations(
    conn: dispatch.Connection,
    *,
    verdicts: Sequence[Verdict],
    failures_max: int,
    open_seconds: float,
) -> list[tuple[str, bool, int]]:
    """Name, whether the breaker is open, failures in a row: of those that changed."""
    found = sorted(verdicts, key=lambda one: one.destination)
    bound = {
        "names": [one.destination for one in found],
        "answered": [one.answered for one in found],
        "failures": [one.failures for one in found],
        "pause_seconds": [float(one.pause_seconds) for one in found],
        "failures_max": failures_max,
        "open_seconds": open_seconds,
    }
    cursor = await conn.execute(JUDGE_DESTINATIONS, bound)
    return await cursor.fetchall()


async def disable_targets(
    conn: dispatch.Connection, *, target_ids: set[UUID], me: str
) -> list[UUID]:
    cursor = await conn.execute(DISABLE_TARGETS, {"ids": sorted(target_ids), "me": me})
    return [row[0] for row in await cursor.fetchall()]
