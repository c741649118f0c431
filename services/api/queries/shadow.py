"""Statements that compare a version in shadow with the published ones, from what the consumer
wrote.
"""

from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api.queries import backtest_pages
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """The newest events of each kind."""

    only_shadow: list[UUID]
    only_live: list[UUID]
    shadow_errors: list[UUID]
    live_errors: list[UUID]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts in which the version was evaluated in shadow; events that were looked through."""

    events: int
    looked_at: int
    both: int
    neither: int
    only_shadow: int
    only_live: int
    shadow_errors: int
    live_errors: int
    examples: Examples


# A read of what is only ever added. The events of the types are found newest first by
# events_by_type, their rows by the primary keys of rule_executions and rule_skips, which begin
# with the event: nothing of other types is read. An execution that was deduped did match.
_COMPARE: LiteralString = """
with looked as materialized (
  select e.id
  from unnest(%(types)s::text[]) as t(event_type)
  cross join lateral (
    select id from events
    where event_type = t.event_type and id >= %(first)s
    order by id desc
    limit %(events_max)s
  ) e
  order by e.id desc
  limit %(events_max)s
), ours as (
  select id, id = %(version_id)s as candidate from rule_versions where rule_id = %(rule_id)s
), executed as (
  select x.event_id, x.replay, x.attempt_no,
    coalesce(bool_or(x.result <> 'failed') filter (where o.candidate and x.shadow), false)
      as gains,
    coalesce(bool_or(x.result = 'failed') filter (where o.candidate and x.shadow), false)
      as candidate_failed,
    coalesce(bool_or(x.result <> 'failed') filter (where not x.shadow), false) as had,
    coalesce(bool_or(x.result = 'failed') filter (where not x.shadow), false) as live_failed
  from looked l
  join rule_executions x on x.event_id = l.id
  join ours o on o.id = x.version_id
  group by x.event_id, x.replay, x.attempt_no
), skipped as (
  select s.event_id, s.replay, s.attempt_no
  from looked l
  join rule_skips s on s.event_id = l.id
  where s.shadows[array_position(s.version_ids, %(version_id)s)]
), evaluated as (
  select event_id, coalesce(x.gains, false) as gains, coalesce(x.had, false) as had,
    coalesce(x.candidate_failed, false) as candidate_failed,
    coalesce(x.live_failed, false) as live_failed,
    not coalesce(x.candidate_failed or x.live_failed, false) as compared
  from executed x
  full join skipped s using (event_id, replay, attempt_no)
  where s.event_id is not null or x.gains or x.candidate_failed
)
select (select count(*) from looked) as events,
  count(*) as looked_at,
  count(*) filter (where compared and gains and had) as both,
  count(*) filter (where compared and not gains and not had) as neither,
  count(*) filter (where compared and gains and not had) as only_shadow,
  count(*) filter (where compared and not gains and had) as only_live,
  count(*) filter (where candidate_failed) as shadow_errors,
  count(*) filter (where live_failed) as live_errors,
  array(select event_id from evaluated where compared and gains and not had
        order by event_id desc limit %(examples_max)s) as only_shadow_ids,
  array(select event_id from evaluated where compared and not gains and had
        order by event_id desc limit %(examples_max)s) as only_live_ids,
  array(select event_id from evaluated where candidate_failed
        order by event_id desc limit %(examples_max)s) as shadow_error_ids,
  array(select event_id from evaluated where live_failed
        order by event_id desc limit %(examples_max)s) as live_error_ids
from evaluated
"""


async def list_types(conn: Conn, *, types_max: int) -> list[str]:
    """Every event type that has events, up to a bound."""
    rows = await (await conn.execute(backtest_pages.TYPES, {"types_max": types_max})).fetchall()
    return [row[0] for row in rows]


async def compare(
    conn: Conn,
    *,
    rule_id: UUID,
    version_id: int,
    types: list[str],
    first: UUID,
    events_max: int,
    examples_max: int,
) -> Counts:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(
            _COMPARE,
            {
                "rule_id": rule_id,
                "version_id": version_id,
                "types": types,
                "first": first,
                "events_max": events_max,
                "examples_max": examples_max,
            },
        )
        row = await cursor.fetchone()
    assert row is not None  # an aggregate has a row
    examples = Examples(
        only_shadow=row.pop("only_shadow_ids"),
        only_live=row.pop("only_live_ids"),
        shadow_errors=row.pop("shadow_error_ids"),
        live_errors=row.pop("live_error_ids"),
    )
    return Counts(examples=examples, **row)
