"""Statements on dead letters. The api only asks for a redrive or a discard; the owner of the stage
acts.
"""

from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

import msgspec

from shared import database

# Not a `type` statement: Litestar does not look into those.
Stage = Literal["relay", "consumer", "delivery"]
type Conn = database.AsyncConnection[tuple[Any, ...]]


class DeadLetterRow(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter without its payload."""

    id: UUID
    stage: str
    state: str
    event_id: UUID | None
    replay: int | None
    event_type: str | None
    kafka_key: str | None
    outbox_id: int | None
    delivery_id: UUID | None
    topic: str | None
    kafka_partition: int | None
    kafka_offset: int | None
    payload_bytes: int
    headers: dict[str, Any]
    error_class: str
    error_message: str
    attempts: int
    created_at: datetime
    resolved_at: datetime | None
    resolution_reason: str | None


class DeadLetterFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What dead letters can be narrowed by; untyped: without an event type, or with one;
    destination: of the delivery that was given up.
    """

    stage: str | None = None
    state: str | None = None
    event_type: str | None = None
    untyped: bool | None = None
    topic: str | None = None
    error_class: str | None = None
    event_id: UUID | None = None
    delivery_id: UUID | None = None
    destination: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Open dead letters that are alike."""

    stage: str
    error_class: str
    event_type: str | None
    count: int
    oldest_at: datetime
    newest_at: datetime


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many dead letters of a kind were meant."""

    stage: str
    error_class: str
    count: int


class Requested(Count, frozen=True, kw_only=True):
    """Which ones they were."""

    event_type: str | None
    ids: list[UUID]


# Reads: any committed state is a right answer, and a keyset page moves nothing that was shown.
_LETTERS: LiteralString = """
select id, stage, state, event_id, replay, event_type, kafka_key, outbox_id,
  delivery_id, topic, kafka_partition, kafka_offset,
       payload_bytes, headers, error_class, error_message, attempts, created_at, resolved_at,
         resolution_reason
from dead_letters
where true
"""

_FILTERS: dict[str, LiteralString] = {
    "stage": " and stage = %(stage)s",
    "state": " and state = %(state)s",
    "event_type": " and event_type = %(event_type)s",
    "untyped": " and (event_type is null) = %(untyped)s",
    "topic": " and topic = %(topic)s",
    "error_class": " and error_class = %(error_class)s",
    "event_id": " and event_id = %(event_id)s",
    "delivery_id": " and delivery_id = %(delivery_id)s",
    "destination": """ and exists (
  select from deliveries v where v.id = delivery_id and v.destination = %(destination)s)""",
    "created_after": " and created_at >= %(created_after)s",
    "created_before": " and created_at < %(created_before)s",
}

# A read of one value that never changes.
_PAYLOAD: LiteralString = "select payload from dead_letters where id = %(id)s"

# The state in the condition decides between two requests at once: one of them finds the row open.
_REQUEST: LiteralString = """
update dead_letters
set state = %(state)s, resolution_reason = %(reason)s
where id = %(id)s
  and state = 'open'
returning id
"""

# Oldest first, as their owners carry them out. The rows are locked in the order of their ids and
# their state is looked at again under the lock: two such requests at once share the letters.
_REQUEST_MANY: LiteralString = """
with chosen as (
  select id
  from dead_letters
  where state = 'open' {filters}
  order by id
  limit %(limit)s
  for update
), requested as (
  update dead_letters d
  set state = %(to_state)s, resolution_reason = %(reason)s
  from chosen
  where d.id = chosen.id
  returning d.id, d.stage, d.error_class, d.event_type
)
select stage, error_class, event_type, count(*) as count, array_agg(id) as ids
from requested
group by stage, error_class, event_type
order by stage, error_class, event_type
"""

# A read: what such a request would mean now.
_PREVIEW: LiteralString = """
select stage, error_class, count(*) as count
from (
  select stage, error_class
  from dead_letters
  where state = 'open' {filters}
  order by id
  limit %(limit)s
) d
group by stage, error_class
order by stage, error_class
"""

# A read of the newest open ones, by the index that has no others.
_STATS: LiteralString = """
select stage, error_class, event_type, count(*) as count, min(created_at) as oldest_at,
  max(created_at) as newest_at
from (
  select stage, error_class, event_type, created_at
  from dead_letters
  where state = 'open' {filters}
  order by id desc
  limit %(rows_max)s
) d
group by stage, error_class, event_type
order by count desc, stage, error_class, event_type
limit %(groups_max)s
"""

# Append-only, in the transaction of the act that it records.
_AUDIT: LiteralString = """
insert into audit_log (actor, action, target, detail)
values (%(actor)s, %(action)s, %(target)s, %(detail)s)
"""


async def get_dead_letter(conn: Conn, *, letter_id: UUID) -> DeadLetterRow | None:
    async with conn.cursor(row_factory=database.class_row(DeadLetterRow)) as cursor:
        await cursor.execute(_LETTERS + " and id = %(id)s", {"id": letter_id})
        return await cursor.fetchone()


async def get_payload(conn: Conn, *, letter_id: UUID) -> bytes | None:
    row = await (await conn.execute(_PAYLOAD, {"id": letter_id})).fetchone()
    return row[0] if row else None


async def list_dead_letters(
    conn: Conn, *, filters: DeadLetterFilters, after: UUID | None, limit: int
) -> list[DeadLetterRow]:
    """Newest first; one row more than a page tells whether another follows."""
    conditions, parameters = _narrow(filters)
    parameters |= {"after": after, "limit": limit}
    statement: LiteralString = _LETTERS + conditions
    if after is not None:
        statement += " and id < %(after)s"
    statement += " order by id desc limit %(limit)s"
    async with conn.cursor(row_factory=database.class_row(DeadLetterRow)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def request_resolution(
    conn: Conn, *, letter_id: UUID, state: str, reason: str | None
) -> bool:
    """Ask for a redrive or a discard; False when the letter is not open."""
    cursor = await conn.execute(_REQUEST, {"id": letter_id, "state": state, "reason": reason})
    return await cursor.fetchone() is not None


async def request_many(
    conn: Conn, *, filters: DeadLetterFilters, state: str, reason: str | None, limit: int
) -> list[Requested]:
    """Ask for a redrive or a discard of the oldest open letters; which of each kind."""
    conditions, parameters = _narrow(filters)
    parameters |= {"to_state": state, "reason": reason, "limit": limit}
    async with conn.cursor(row_factory=database.class_row(Requested)) as cursor:
        await cursor.execute(_REQUEST_MANY.replace("{filters}", conditions), parameters)
        return await cursor.fetchall()


async def preview(conn: Conn, *, filters: DeadLetterFilters, limit: int) -> list[Count]:
    """How many open letters of each kind there are, among the oldest `limit`."""
    conditions, parameters = _narrow(filters)
    async with conn.cursor(row_factory=database.class_row(Count)) as cursor:
        await cursor.execute(
            _PREVIEW.replace("{filters}", conditions), parameters | {"limit": limit}
        )
        return await cursor.fetchall()


async def list_groups(
    conn: Conn, *, filters: DeadLetterFilters, rows_max: int, groups_max: int
) -> list[Group]:
    """The largest groups among the newest open letters."""
    conditions, parameters = _narrow(filters)
    parameters |= {"rows_max": rows_max, "groups_max": groups_max}
    async with conn.cursor(row_factory=database.class_row(Group)) as cursor:
        await cursor.execute(_STATS.replace("{filters}", conditions), parameters)
        return await cursor.fetchall()


async def audit(
    conn: Conn, *, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        _AUDIT,
        {"actor": actor, "action": action, "target": target, "detail": database.Jsonb(detail)},
    )


def _narrow(filters: DeadLetterFilters) -> tuple[LiteralString, dict[str, Any]]:
    """Conditions and their parameters."""
    conditions: LiteralString = ""
    parameters: dict[str, Any] = {}
    for name, condition in _FILTERS.items():
        parameters[name] = getattr(filters, name)
        if parameters[name] is not None:
            conditions += condition
    return conditions, parameters
