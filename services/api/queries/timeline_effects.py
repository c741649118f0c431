"""Statements that gather what an event sent to the outside, and what was given up on its way."""

from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec

from services.api.queries import timeline


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule sends to the outside."""

    id: UUID
    replay: int
    replay_scope: int
    repeats_id: UUID | None
    rule_id: UUID
    rule_name: str | None
    action_key: str
    kind: str
    destination: str
    target_id: UUID | None
    target_name: str | None
    traceparent: str
    state: str
    reason: str | None
    attempt_no: int
    next_attempt_at: datetime | None
    leased_by: str | None
    sending_since: datetime | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at sending, when it was over."""

    delivery_id: UUID
    attempt_no: int
    outcome: str
    status_code: int | None
    error_class: str | None
    error_message: str | None
    url: str | None
    address: str | None
    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None
    late_answer: str | None
    injected: bool
    dispatcher: str
    started_at: datetime
    finished_at: datetime


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """What was given up, and what became of it."""

    id: UUID
    stage: str
    state: str
    replay: int | None
    delivery_id: UUID | None
    error_class: str
    error_message: str
    attempts: int
    created_at: datetime
    resolved_at: datetime | None
    resolution_reason: str | None


# A read: any committed state of a delivery is a right answer.
_DELIVERIES: LiteralString = """
select d.id, d.replay, d.replay_scope, d.repeats_id, d.rule_id, r.name as rule_name, d.action_key,
  d.kind, d.destination, d.target_id, t.name as target_name, d.traceparent, d.state, d.reason,
  d.attempt_no, d.next_attempt_at, d.leased_by, d.sending_since, d.created_at, d.finished_at
from deliveries d
left join rules r on r.id = d.rule_id
left join targets t on t.id = d.target_id
where d.event_id = %(event_id)s
order by d.created_at, d.id
limit %(limit)s
"""

# A read of rows that are only ever added, but for a late answer.
_DELIVERY_ATTEMPTS: LiteralString = """
select delivery_id, attempt_no, outcome, status_code, error_class, error_message, url, address,
  dns_ms, connect_ms, tls_ms, first_byte_ms, total_ms, late_answer, injected, dispatcher,
  started_at, finished_at
from delivery_attempts
where delivery_id = any(%(delivery_ids)s)
order by finished_at, delivery_id, attempt_no
limit %(limit)s
"""

# A read: any committed state of a dead letter is a right answer.
_LETTERS: LiteralString = """
select id, stage, state, replay, delivery_id, error_class, error_message, attempts, created_at,
  resolved_at, resolution_reason
from dead_letters
where event_id = %(event_id)s
order by created_at, id
limit %(limit)s
"""


# For the test that none of them scans a table.
STATEMENTS: dict[str, LiteralString] = {
    "deliveries": _DELIVERIES,
    "delivery_attempts": _DELIVERY_ATTEMPTS,
    "letters": _LETTERS,
}


async def list_deliveries(conn: timeline.Conn, *, event_id: UUID, limit: int) -> list[Delivery]:
    return await timeline.read(conn, Delivery, _DELIVERIES, {"event_id": event_id, "limit": limit})


async def list_delivery_attempts(
    conn: timeline.Conn, *, delivery_ids: list[UUID], limit: int
) -> list[DeliveryAttempt]:
    parameters = {"delivery_ids": delivery_ids, "limit": limit}
    return await timeline.read(conn, DeliveryAttempt, _DELIVERY_ATTEMPTS, parameters)


async def list_letters(conn: timeline.Conn, *, event_id: UUID, limit: int) -> list[Letter]:
    return await timeline.read(conn, Letter, _LETTERS, {"event_id": event_id, "limit": limit})
