"""Statements on dead letters. The api only asks for a redrive or a discard; the owner of the stage
acts.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

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
    topic: str
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
    """What a list of dead letters can be narrowed by."""

    stage: str | None = None
    state: str | None = None
    event_type: str | None = None
    topic: str | None = None
    event_id: UUID | None = None


# Reads: any committed state is a right answer, and a keyset page moves nothing that was shown.
_LETTERS: LiteralString = """
select id, stage, state, event_id, replay, event_type, kafka_key, outbox_id, topic,
  kafka_partition, kafka_offset,
       payload_bytes, headers, error_class, error_message, attempts, created_at, resolved_at,
         resolution_reason
from dead_letters
where true
"""

_FILTERS: dict[str, LiteralString] = {
    "stage": " and stage = %(stage)s",
    "state": " and state = %(state)s",
    "event_type": " and event_type = %(event_type)s",
    "topic": " and topic = %(topic)s",
    "event_id": " and event_id = %(event_id)s",
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
    parameters: dict[str, Any] = {"after": after, "limit": limit}
    statement: LiteralString = _LETTERS
    for name, condition in _FILTERS.items():
        parameters[name] = getattr(filters, name)
        if parameters[name] is not None:
            statement += condition
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


async def audit(
    conn: Conn, *, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        _AUDIT,
        {"actor": actor, "action": action, "target": target, "detail": database.Jsonb(detail)},
    )
