"""Statements on what processing did: attempts, and what each rule said in them."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class AttemptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at processing an event."""

    replay: int
    attempt_no: int
    trigger: str
    status: str
    error_class: str | None
    error_message: str | None
    error_stack: str | None
    injected: bool
    duration_ms: float
    consumer: str
    finished_at: datetime


class ActionName(msgspec.Struct, frozen=True, kw_only=True):
    """Which action of a version; its parameters are in the version."""

    key: str
    type: str


class ExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one version said in one attempt; actions only where it applied."""

    replay: int
    attempt_no: int
    version_id: int
    rule_id: UUID
    rule_name: str
    version: int
    engine: str
    engine_version: str
    result: str
    shadow: bool
    error_class: str | None
    reason: str | None
    duration_us: float
    actions: list[ActionName]


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an action sends: which run made it, and where it is."""

    id: UUID
    rule_id: UUID
    action_key: str
    replay: int
    replay_scope: int
    state: str
    reason: str | None
    last_error: str | None


class RuleExecutionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a rule said of one event."""

    event_id: UUID
    replay: int
    attempt_no: int
    version: int
    result: str
    shadow: bool
    error_class: str | None
    reason: str | None
    duration_us: float
    executed_at: datetime


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The last row of a page of executions."""

    event_id: UUID
    replay: int
    attempt_no: int
    version: int


# A read: attempts are only ever added.
_ATTEMPTS: LiteralString = """
select replay, attempt_no, trigger, status, error_class, error_message, error_stack, injected,
  duration_ms, consumer, finished_at
from event_attempts
where event_id = %(event_id)s
order by replay, attempt_no
limit %(limit)s
"""

# A read of rows that are only ever added.
_EXECUTIONS: LiteralString = """
select x.replay, x.attempt_no, x.version_id, v.rule_id, r.name as rule_name, v.version, v.engine,
  v.engine_version, x.result,
  x.shadow, x.error_class, x.reason, x.duration_us,
  case when x.result in ('applied', 'deduped') then (
    select jsonb_agg(jsonb_build_object('key', e.action -> 'key', 'type', e.action -> 'type')
      order by e.place)
    from jsonb_array_elements(v.actions) with ordinality as e (action, place)
  ) end as actions
from (
  select replay, attempt_no, version_id, result, shadow, error_class, reason, duration_us
  from rule_executions
  where event_id = %(event_id)s
  union all
  select s.replay, s.attempt_no, t.version_id, 'skipped', t.shadow, null, null, t.duration_us
  from rule_skips s
  cross join lateral unnest(s.version_ids, s.shadows, s.durations_us)
    as t (version_id, shadow, duration_us)
  where s.event_id = %(event_id)s
) x
join rule_versions v on v.id = x.version_id
join rules r on r.id = v.rule_id
order by x.replay, x.attempt_no, r.created_at, r.id, v.version
limit %(limit)s
"""

# A read by the event's unique key: any committed state of a delivery is a right answer.
_DELIVERIES: LiteralString = """
select id, rule_id, action_key, replay, replay_scope, state, reason, last_error
from deliveries
where event_id = %(event_id)s
order by replay_scope, id
limit %(limit)s
"""

# A read of rows that are only ever added: which effects each replay was to have.
_EFFECTS: LiteralString = """
select replay, effects
from event_replays
where event_id = %(event_id)s
order by replay
limit %(limit)s
"""

# A version's condition never changes.
_CONDITIONS: LiteralString = """
select id, condition::text from rule_versions where id = any(%(ids)s)
"""

# Reads of rows that are only ever added. Each version's newest rows come from its own index range,
# so the cost is by what is shown and not by how often the rule has acted.
_RULE_EXECUTIONS: LiteralString = """
select x.event_id, x.replay, x.attempt_no, v.version, x.result, x.shadow, x.error_class, x.reason,
  x.duration_us, x.executed_at
from rule_versions v
cross join lateral (
  select e.event_id, e.replay, e.attempt_no, e.result, e.shadow, e.error_class, e.reason,
    e.duration_us, e.executed_at
  from rule_executions e
  where e.version_id = v.id and {filters}
  order by e.event_id desc, e.replay desc, e.attempt_no desc
  limit %(limit)s
) x
where v.rule_id = %(rule_id)s and {versions}
order by x.event_id desc, x.replay desc, x.attempt_no desc, v.version desc
limit %(limit)s
"""

# The same for the events on which a rule acted or failed, whatever version it had.
_EVENTS_OF_RULE: LiteralString = """
select distinct x.event_id
from rule_versions v
cross join lateral (
  select e.event_id
  from rule_executions e
  where e.version_id = v.id and not e.shadow and e.result <> 'deduped'
    and (%(after)s::uuid is null or e.event_id < %(after)s::uuid)
  order by e.event_id desc
  limit %(limit)s
) x
where v.rule_id = %(rule_id)s
order by x.event_id desc
limit %(limit)s
"""


async def list_attempts(conn: Conn, *, event_id: UUID, limit: int) -> list[AttemptRow]:
    async with conn.cursor(row_factory=database.class_row(AttemptRow)) as cursor:
        await cursor.execute(_ATTEMPTS, {"event_id": event_id, "limit": limit})
        return await cursor.fetchall()


async def list_executions(conn: Conn, *, event_id: UUID, limit: int) -> list[ExecutionRow]:
    """In the order of the attempts, and in each by the age of the rule."""
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(_EXECUTIONS, {"event_id": event_id, "limit": limit})
        return [
            ExecutionRow(actions=msgspec.convert(row.pop("actions") or [], list[ActionName]), **row)
            for row in await cursor.fetchall()
        ]


async def list_deliveries(conn: Conn, *, event_id: UUID, limit: int) -> list[DeliveryRow]:
    async with conn.cursor(row_factory=database.class_row(DeliveryRow)) as cursor:
        await cursor.execute(_DELIVERIES, {"event_id": event_id, "limit": limit})
        return await cursor.fetchall()


async def read_effects(conn: Conn, *, event_id: UUID, limit: int) -> dict[int, str]:
    """Replay number to what it was to do: dedupe, force or none."""
    cursor = await conn.execute(_EFFECTS, {"event_id": event_id, "limit": limit})
    return {row[0]: row[1] for row in await cursor.fetchall()}


async def read_conditions(conn: Conn, *, version_ids: list[int]) -> dict[int, bytes]:
    """Version id to condition, as JSON text."""
    cursor = await conn.execute(_CONDITIONS, {"ids": version_ids})
    return {row[0]: row[1].encode() for row in await cursor.fetchall()}


async def list_rule_executions(
    conn: Conn,
    *,
    rule_id: UUID,
    version: int | None,
    result: str | None,
    after: Place | None,
    limit: int,
) -> list[RuleExecutionRow]:
    """Newest event first; one row more than a page tells whether another follows."""
    parameters: dict[str, Any] = {
        "rule_id": rule_id,
        "version": version,
        "result": result,
        "limit": limit,
    }
    filters: LiteralString = "true" if result is None else "e.result = %(result)s"
    if after is not None:
        parameters |= {
            f"after_{name}": value for name, value in msgspec.structs.asdict(after).items()
        }
        filters += _AFTER
    statement = _RULE_EXECUTIONS.replace("{filters}", filters).replace(
        "{versions}", "true" if version is None else "v.version = %(version)s"
    )
    async with conn.cursor(row_factory=database.class_row(RuleExecutionRow)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchall()


async def list_events_of_rule(
    conn: Conn, *, rule_id: UUID, after: UUID | None, limit: int
) -> list[UUID]:
    """Ids of the newest events, before `after`, on which a rule acted or failed."""
    cursor = await conn.execute(
        _EVENTS_OF_RULE, {"rule_id": rule_id, "after": after, "limit": limit}
    )
    return [row[0] for row in await cursor.fetchall()]


_AFTER: LiteralString = """
  and e.event_id <= %(after_event_id)s
  and (e.event_id, e.replay, e.attempt_no, v.version)
    < (%(after_event_id)s, %(after_replay)s, %(after_attempt_no)s, %(after_version)s)"""
