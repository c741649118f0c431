"""Reads of deliveries, their requests and attempts, and the numbers of the ledger."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api import uuid7
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

ATTEMPTS_SHOWN_MAX = 200
COUNTED_MAX = 50_000
DESTINATIONS_MAX = 50
_DESTINATIONS_LOOKED_AT = 1000
_BACKLOG_COUNTED_MAX = 1000


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the ledger. id is the webhook-id, the same at each attempt."""

    id: UUID
    event_id: UUID
    event_type: str
    rule_id: UUID
    rule_version: int
    action_key: str
    replay_scope: int
    replay: int
    repeats_id: UUID | None
    kind: str
    destination: str
    target_id: UUID | None
    traceparent: str
    state: str
    reason: str | None
    attempt_no: int
    unknown_attempts: int
    next_attempt_at: datetime | None
    sending_since: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    finished_at: datetime | None


class DeliveryFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list of deliveries can be narrowed by."""

    state: str | None = None
    kind: str | None = None
    event_id: UUID | None = None
    rule_id: UUID | None = None
    target_id: UUID | None = None
    destination: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


class Phases(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part of an attempt took; null where it did not happen."""

    dns_ms: float | None
    connect_ms: float | None
    tls_ms: float | None
    first_byte_ms: float | None
    total_ms: float | None


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One try. late_answer is what came after its lease had ended and another try had begun."""

    attempt_no: int
    outcome: str
    status_code: int | None
    error_class: str | None
    error_message: str | None
    url: str | None
    address: str | None
    phases: Phases
    response_head: str | None
    response_body: str | None
    late_answer: str | None
    injected: bool
    dispatcher: str
    started_at: datetime
    finished_at: datetime


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What stands around a delivery: its request, its target, its dead letter."""

    request: msgspec.Raw | None
    payload_expired_at: datetime | None
    rule_name: str
    target_name: str | None
    target_url: str | None
    target_header_names: list[str]
    dead_letter_id: UUID | None
    dead_letter_state: str | None


class StateCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are in a state; capped: there are more."""

    state: str
    count: int
    capped: bool


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waits for one destination; capped: there is more. due: its moment has come."""

    destination: str
    target_id: UUID | None
    pending: int
    pending_capped: bool
    sending: int
    oldest_due_age_seconds: float | None
    open_until: datetime | None
    paused_until: datetime | None


# Reads: any committed state is a right answer, and a keyset page moves nothing that was shown.
# Every filter narrows an index that is ordered by id, or is looked up by it.
_DELIVERIES: LiteralString = """
select d.id, d.event_id, d.event_type, d.rule_id, d.action_key, d.replay_scope, d.replay,
  d.repeats_id, d.kind, d.destination, d.target_id, d.traceparent, d.state, d.reason, d.attempt_no,
  d.unknown_attempts, d.next_attempt_at, d.sending_since, d.last_status, d.last_error,
  d.created_at, d.finished_at,
  (select v.version from rule_versions v where v.id = d.version_id) as rule_version
from deliveries d
where true
"""

# States stand in the text: a partial index is proven by a literal, in a generic plan too.
_STATES: dict[str, LiteralString] = {
    "pending": " and d.state = 'pending'",
    "sending": " and d.state = 'sending'",
    "confirmed": " and d.state = 'confirmed'",
    "failed": " and d.state = 'failed'",
    "unknown": " and d.state = 'unknown'",
    "skipped": " and d.state = 'skipped'",
}
# Mail has one destination, and its index finds the mails between many webhooks.
_KINDS: dict[str, LiteralString] = {
    "email": " and d.destination = 'email'",
    "webhook": " and d.kind = 'webhook'",
}
_FILTERS: dict[str, LiteralString] = {
    "event_id": " and d.event_id = %(event_id)s",
    "rule_id": " and d.rule_id = %(rule_id)s",
    "target_id": " and d.destination = 'target/' || %(target_id)s::uuid::text",
    "destination": " and d.destination = %(destination)s",
    "created_after": " and d.id >= %(created_after)s",
    "created_before": " and d.id < %(created_before)s",
}

# A read; the row of a request goes when retention empties its event.
_SURROUNDINGS: LiteralString = """
select q.request::text as request, e.payload_expired_at, r.name as rule_name,
  t.name as target_name, t.url as target_url,
  coalesce(t.header_names, '{}') as target_header_names,
  l.id as dead_letter_id, l.state as dead_letter_state
from deliveries d
join events e on e.id = d.event_id
join rules r on r.id = d.rule_id
left join delivery_requests q on q.delivery_id = d.id
left join targets t on t.id = d.target_id
left join lateral (
  select x.id, x.state from dead_letters x
  where x.event_id = d.event_id and x.delivery_id = d.id
  order by x.id desc
  limit 1) l on true
where d.id = %(id)s
"""

# Append-only but for late answers.
_ATTEMPTS: LiteralString = """
select attempt_no, outcome, status_code, error_class, error_message, url, address,
  json_build_object('dns_ms', dns_ms, 'connect_ms', connect_ms, 'tls_ms', tls_ms,
    'first_byte_ms', first_byte_ms, 'total_ms', total_ms) as phases,
  response_head, response_body, late_answer, injected, dispatcher, started_at, finished_at
from delivery_attempts
where delivery_id = %(id)s
order by attempt_no desc
limit %(limit)s
"""

# A read of the partial index, each state up to a bound. Confirmed deliveries have no such index,
# because nearly all become one: their number is what the table's statistics leave over.
_COUNTS: LiteralString = """
select s.state, least(c.count, %(most)s) as count, c.count > %(most)s as capped
from unnest(array['pending', 'sending', 'failed', 'unknown', 'skipped']) as s (state)
cross join lateral (
  select count(*) as count from (
    select from deliveries d
    where d.state = s.state and d.state <> 'confirmed'
    limit %(most)s + 1) f) c
"""

# The planner's own number of rows; null until the table was analyzed once.
_ESTIMATE: LiteralString = """
select nullif(c.reltuples, -1)::bigint from pg_class c where c.oid = 'deliveries'::regclass
"""

# A read that hops from one destination to the next in the two partial indexes, at most so often.
_BACKLOGS: LiteralString = """
with recursive waiting as (
  (select d.destination, 1 as n from deliveries d where d.state = 'pending'
   order by d.destination limit 1)
  union all
  select (select d.destination from deliveries d
          where d.state = 'pending' and d.destination > w.destination
          order by d.destination limit 1), w.n + 1
  from waiting w
  where w.destination is not null and w.n < %(looked_at)s
), busy as (
  (select d.destination, 1 as n from deliveries d where d.state = 'sending'
   order by d.destination limit 1)
  union all
  select (select d.destination from deliveries d
          where d.state = 'sending' and d.destination > b.destination
          order by d.destination limit 1), b.n + 1
  from busy b
  where b.destination is not null and b.n < %(looked_at)s
), found as (
  select w.destination from waiting w where w.destination is not null
  union
  select b.destination from busy b where b.destination is not null
), aged as (
  select f.destination, (
    select min(d.next_attempt_at) from deliveries d
    where d.destination = f.destination and d.state = 'pending') as oldest
  from found f
  order by oldest nulls last
  limit %(limit)s
)
select a.destination, n.target_id, least(p.pending, %(most)s) as pending,
  p.pending > %(most)s as pending_capped, s.sending,
  case when a.oldest <= now() then extract(epoch from now() - a.oldest)::float8 end
    as oldest_due_age_seconds,
  n.open_until, n.paused_until
from aged a
left join destinations n on n.name = a.destination
cross join lateral (
  select count(*) as pending from (
    select from deliveries d where d.destination = a.destination and d.state = 'pending'
    limit %(most)s + 1) c) p
cross join lateral (
  select count(*) as sending from deliveries d
  where d.destination = a.destination and d.state = 'sending') s
order by a.oldest nulls last, a.destination
"""


async def get_delivery(conn: Conn, *, delivery_id: UUID) -> DeliveryRow | None:
    async with conn.cursor(row_factory=database.class_row(DeliveryRow)) as cursor:
        await cursor.execute(_DELIVERIES + " and d.id = %(id)s", {"id": delivery_id})
        return await cursor.fetchone()


async def list_deliveries(
    conn: Conn, *, filters: DeliveryFilters, after: UUID | None, limit: int
) -> list[DeliveryRow]:
    """Newest first; one row more than a page tells whether another follows."""
    parameters: dict[str, Any] = {"after": after, "limit": limit}
    statement: LiteralString = _DELIVERIES
    if filters.state is not None:
        statement += _STATES[filters.state]
    if filters.kind is not None:
        statement += _KINDS[filters.kind]
    for name, condition in _FILTERS.items():
        value = getattr(filters, name)
        if value is not None:
            parameters[name] = uuid7.first_of(value) if isinstance(value, datetime) else value
            statement += condition
    if after is not None:
        statement += " and d.id < %(after)s"
    statement += " order by d.id desc limit %(limit)s"
    async with conn.cursor(row_factory=database.class_row(DeliveryRow)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def get_surroundings(conn: Conn, *, delivery_id: UUID) -> Surroundings | None:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(_SURROUNDINGS, {"id": delivery_id})
        row = await cursor.fetchone()
    if row is None:
        return None
    request = row.pop("request")
    return Surroundings(**row, request=None if request is None else msgspec.Raw(request.encode()))


async def list_attempts(conn: Conn, *, delivery_id: UUID) -> list[AttemptRow]:
    """The newest ones, oldest first."""
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(_ATTEMPTS, {"id": delivery_id, "limit": ATTEMPTS_SHOWN_MAX})
        rows = await cursor.fetchall()
    return [msgspec.convert(row, AttemptRow) for row in reversed(rows)]


async def count_states(conn: Conn) -> list[StateCount]:
    """Of every state but confirmed."""
    async with conn.cursor(row_factory=database.class_row(StateCount)) as cursor:
        await cursor.execute(_COUNTS, {"most": COUNTED_MAX})
        return await cursor.fetchall()


async def estimate_total(conn: Conn) -> int | None:
    row = await (await conn.execute(_ESTIMATE)).fetchone()
    return None if row is None else row[0]


async def list_backlogs(conn: Conn) -> list[Backlog]:
    """Who has waited longest first."""
    parameters = {
        "looked_at": _DESTINATIONS_LOOKED_AT,
        "limit": DESTINATIONS_MAX,
        "most": _BACKLOG_COUNTED_MAX,
    }
    async with conn.cursor(row_factory=database.class_row(Backlog)) as cursor:
        await cursor.execute(_BACKLOGS, parameters)
        return await cursor.fetchall()
