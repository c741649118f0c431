"""Writes of deliveries by hand. The delivery's row is locked first, then its event's; then new
statements see what everybody before has committed.

A dispatcher locks delivery, letter, event, or for a redrive letter, delivery: who meets it
crosswise is ended by Postgres, and run again (transactions).
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that is locked, with what decides whether it can be sent."""

    id: UUID
    event_id: UUID
    event_type: str
    kind: str
    state: str
    reason: str | None
    attempt_no: int
    has_request: bool
    payload_expired: bool
    names_no_address: bool
    target_id: UUID | None
    target_name: str | None
    target_disabled: bool
    target_archived: bool


# The first lock of every change of a delivery by hand.
_LOCK: LiteralString = "select from deliveries where id = %(id)s for no key update"

# Under the delivery's row lock. A target that is disabled after this look: the dispatcher skips.
_HELD: LiteralString = """
select d.id, d.event_id, e.event_type, d.kind, d.state, d.reason, d.attempt_no,
  q.delivery_id is not null as has_request, e.payload_expired_at is not null as payload_expired,
  d.kind = 'webhook' and d.target_id is null and q.request ->> 'url' is null as names_no_address,
  t.id as target_id, t.name as target_name, t.disabled_at is not null as target_disabled,
  t.archived_at is not null as target_archived
from deliveries d
join events e on e.id = d.event_id
left join delivery_requests q on q.delivery_id = d.id
left join targets t on t.id = d.target_id
where d.id = %(id)s
"""

# Under the delivery's row lock, second: whoever finishes deliveries of this event waits here.
_LOCK_EVENT: LiteralString = "select from events where id = %(id)s for no key update"

# Under both locks. One that is pending keeps its schedule and is only due now; the others begin a
# new one. A lease is never touched: what is being sent is refused before.
_SEND_AGAIN: LiteralString = """
update deliveries
set state = 'pending', next_attempt_at = least(next_attempt_at, now()),
  schedule_from = case when state = 'pending' then schedule_from else attempt_no end,
  reason = null, finished_at = null
where id = %(id)s and state in ('pending', 'failed', 'unknown', 'skipped')
returning next_attempt_at
"""

# Under both locks.
_RESOLVE: LiteralString = """
update deliveries set state = %(state)s, reason = %(reason)s, finished_at = now()
where id = %(id)s and state = 'unknown'
returning finished_at
"""

# Under the delivery's row lock, which a dispatcher holds too where it adds a letter. One that
# answers a request for the letter holds the letter first.
_CLOSE_LETTER: LiteralString = """
update dead_letters
set state = %(state)s, resolution_reason = %(reason)s, resolved_at = now()
where stage = 'delivery' and delivery_id = %(id)s
  and state in ('open', 'redrive_requested', 'discard_requested')
returning id
"""

# Under the event's row lock. An event whose present run was never applied is left alone: it failed
# before it came to deliveries, or is on its way.
_REOPEN_EVENT: LiteralString = """
update events e
set status = 'processing'
where e.id = %(id)s and e.status in ('processed', 'failed')
  and exists (
    select from event_runs r
    where r.aggregate_id = e.aggregate_id and r.event_type = e.event_type and r.replay = e.replay)
returning e.status
"""

# Under the event's row lock, as the dispatcher does it: done when no delivery is under way.
_FINISH_EVENT: LiteralString = """
update events e
set status = v.status
from (select delivery_verdict(%(id)s) as status offset 0) v
where e.id = %(id)s and e.status = 'processing' and v.status <> 'processing'
  and exists (
    select from event_runs r
    where r.aggregate_id = e.aggregate_id and r.event_type = e.event_type and r.replay = e.replay)
returning e.status
"""


async def lock_delivery(conn: Conn, *, delivery_id: UUID) -> Held | None:
    if await (await conn.execute(_LOCK, {"id": delivery_id})).fetchone() is None:
        return None
    async with conn.cursor(row_factory=database.class_row(Held)) as cursor:
        await cursor.execute(_HELD, {"id": delivery_id})
        return await cursor.fetchone()


async def lock_event(conn: Conn, *, event_id: UUID) -> None:
    await conn.execute(_LOCK_EVENT, {"id": event_id})


async def send_again(conn: Conn, *, delivery_id: UUID) -> datetime:
    """When it is due."""
    row = await (await conn.execute(_SEND_AGAIN, {"id": delivery_id})).fetchone()
    assert row is not None  # its row is locked, and its state was looked at
    return row[0]


async def resolve(conn: Conn, *, delivery_id: UUID, state: str, reason: str) -> datetime:
    """When it was finished."""
    parameters = {"id": delivery_id, "state": state, "reason": reason}
    row = await (await conn.execute(_RESOLVE, parameters)).fetchone()
    assert row is not None  # its row is locked, and its state was looked at
    return row[0]


async def close_letter(
    conn: Conn, *, delivery_id: UUID, state: str, reason: str | None
) -> UUID | None:
    """The dead letter that this ends, if there is an open one."""
    parameters = {"id": delivery_id, "state": state, "reason": reason}
    row = await (await conn.execute(_CLOSE_LETTER, parameters)).fetchone()
    return None if row is None else row[0]


async def reopen_event(conn: Conn, *, event_id: UUID) -> str | None:
    """Its status, if this wrote one."""
    row = await (await conn.execute(_REOPEN_EVENT, {"id": event_id})).fetchone()
    return None if row is None else row[0]


async def finish_event(conn: Conn, *, event_id: UUID) -> str | None:
    """Also from failed, which leads to processed over processing only. Its status, if this wrote
    one.
    """
    reopened = await reopen_event(conn, event_id=event_id)
    row = await (await conn.execute(_FINISH_EVENT, {"id": event_id})).fetchone()
    return reopened if row is None else row[0]
