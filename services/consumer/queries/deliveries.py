"""What rules send to the outside, as rows of the transaction that applies their events."""

from typing import LiteralString
from uuid import UUID

import msgspec

from services.consumer.queries import batch
from shared import database

# The unique (event, rule, action, scope) decides: what an earlier run made is not made again, and
# does not come back. A target is looked up here, so that one which was archived or disabled a
# moment ago gets nothing. What is skipped has its destination too: somebody may retry it. Rows of
# destinations come sorted, so two consumers that meet at new ones rarely deadlock; a transaction of
# several chunks may, and is repeated.
ADD: LiteralString = """
    with i as (
      select *
      from unnest(
        %(ids)b::uuid[], %(event_ids)b::uuid[], %(event_types)b::text[], %(rule_ids)b::uuid[],
        %(version_ids)b::bigint[], %(action_keys)b::text[], %(scopes)b::int[], %(replays)b::int[],
        %(kinds)b::text[], %(destinations)b::text[], %(target_ids)b::uuid[],
        %(target_names)b::text[], %(traceparents)b::text[], %(requests)b::text[],
        %(reasons)b::text[]
      ) with ordinality as t (id, event_id, event_type, rule_id, version_id, action_key, scope,
        replay, kind, destination, target_id, target_name, traceparent, request, reason, n)
    ), placed as (
      select i.*, t.id as found_id,
        coalesce(i.destination, 'target/' || t.id, 'none') as place,
        case
          when i.reason is not null then i.reason
          when i.destination is not null then null
          when t.id is null then 'there is no target '
            || coalesce(i.target_name, i.target_id::text) || ' any more'
          when t.disabled_at is not null then left('the target is disabled: '
            || t.disabled_reason, 1000)
        end as why
      from i
      left join lateral (
        select g.id, g.disabled_at, g.disabled_reason
        from targets g where g.id = i.target_id and g.archived_at is null
        union all
        select g.id, g.disabled_at, g.disabled_reason
        from targets g where g.name = i.target_name and g.archived_at is null
        limit 1
      ) t on i.destination is null
    ), known as (
      insert into destinations (name, target_id)
      select p.place, (array_agg(p.found_id))[1]
      from placed p
      where p.place <> 'none' and not exists (select from destinations d where d.name = p.place)
      group by p.place
      order by p.place
      on conflict do nothing
    ), made as (
      insert into deliveries (
        id, event_id, event_type, rule_id, version_id, action_key, replay_scope, replay, repeats_id,
        kind, destination, target_id, traceparent, state, reason, next_attempt_at, finished_at)
      select p.id, p.event_id, p.event_type, p.rule_id, p.version_id, p.action_key, p.scope,
        p.replay,
        case when p.scope > 0 then (
          select d.id from deliveries d
          where d.event_id = p.event_id and d.rule_id = p.rule_id and d.action_key = p.action_key
            and d.replay_scope = 0)
        end,
        p.kind, p.place, p.found_id, p.traceparent,
        case when p.why is null then 'pending' else 'skipped' end, p.why,
        case when p.why is null then now() end, case when p.why is not null then now() end
      from placed p
      order by p.n
      on conflict do nothing
      returning id, state
    ), requests as (
      insert into delivery_requests (delivery_id, request)
      select made.id, i.request::json
      from made
      join i on i.id = made.id
      where i.request is not null
    )
    select made.id, made.state from made"""

# After the commit, so that whoever hears it sees the rows.
NOTIFY: LiteralString = "select pg_notify(%(channel)s, '')"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery as it is to be; destination is none where a target is named."""

    id: UUID
    event_id: UUID
    event_type: str
    rule_id: UUID
    version_id: int
    action_key: str
    scope: int
    replay: int
    kind: str
    destination: str | None
    target_id: UUID | None
    target_name: str | None
    traceparent: str
    request: str | None
    reason: str | None


_FIELDS = {
    "ids": "id",
    "event_ids": "event_id",
    "event_types": "event_type",
    "rule_ids": "rule_id",
    "version_ids": "version_id",
    "action_keys": "action_key",
    "scopes": "scope",
    "replays": "replay",
    "kinds": "kind",
    "destinations": "destination",
    "target_ids": "target_id",
    "target_names": "target_name",
    "traceparents": "traceparent",
    "requests": "request",
    "reasons": "reason",
}


def add(conn: batch.Connection, rows: list[Row]) -> dict[UUID, str]:
    """Insert what is not there yet; the ids that are new, with their states."""
    columns = {name: [getattr(row, field) for row in rows] for name, field in _FIELDS.items()}
    return {row[0]: row[1] for row in conn.execute(ADD, columns).fetchall()}


def notify(conn: batch.Connection) -> None:
    conn.execute(NOTIFY, {"channel": database.DELIVERIES_CHANNEL})
