"""Reads about one replay: what each rule said in it and in the first run, and its deliveries."""

from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class SaidRow(msgspec.Struct, frozen=True, kw_only=True):
    """What one version said in one run."""

    replay: int
    rule_id: UUID
    rule_name: str
    version: int
    engine: str
    engine_version: str
    result: str


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that the run made, or one that was there and made its own unnecessary."""

    id: UUID
    rule_id: UUID
    action_key: str
    kind: str
    destination: str
    state: str
    replay_scope: int
    replay: int
    repeats_id: UUID | None
    made: bool


# Reads of rows that are only ever added. A version in shadow acts on nothing and is not compared.
_SAID: LiteralString = """
select x.replay, v.rule_id, r.name as rule_name, v.version, v.engine, v.engine_version, x.result
from (
  select replay, version_id, result
  from rule_executions
  where event_id = %(event_id)s and replay = any(%(replays)s) and not shadow
  union all
  select s.replay, u.version_id, 'skipped'
  from rule_skips s
  cross join lateral unnest(s.version_ids, s.shadows) as u (version_id, shadow)
  where s.event_id = %(event_id)s and s.replay = any(%(replays)s) and not u.shadow
) x
join rule_versions v on v.id = x.version_id
join rules r on r.id = v.rule_id
order by v.rule_id, x.replay
limit %(limit)s
"""

# A read: deliveries are only ever added; their states move on.
_DELIVERIES: LiteralString = """
select d.id, d.rule_id, d.action_key, d.kind, d.destination, d.state, d.replay_scope, d.replay,
  d.repeats_id, d.replay = %(replay)s as made
from deliveries d
where d.event_id = %(event_id)s
  and (d.replay = %(replay)s or (d.replay_scope = 0 and d.replay < %(replay)s and exists (
    select from rule_executions x
    join rule_versions v on v.id = x.version_id
    where x.event_id = d.event_id and x.replay = %(replay)s and not x.shadow
      and x.result in ('applied', 'deduped') and v.rule_id = d.rule_id
      and v.actions @> jsonb_build_array(jsonb_build_object('key', d.action_key)))))
order by d.rule_id, d.action_key, d.replay_scope
limit %(limit)s
"""


async def list_said(conn: Conn, *, event_id: UUID, replays: list[int], limit: int) -> list[SaidRow]:
    async with conn.cursor(row_factory=database.class_row(SaidRow)) as cursor:
        await cursor.execute(_SAID, {"event_id": event_id, "replays": replays, "limit": limit})
        return await cursor.fetchall()


async def list_deliveries(
    conn: Conn, *, event_id: UUID, replay: int, limit: int
) -> list[DeliveryRow]:
    async with conn.cursor(row_factory=database.class_row(DeliveryRow)) as cursor:
        await cursor.execute(_DELIVERIES, {"event_id": event_id, "replay": replay, "limit": limit})
        return await cursor.fetchall()
