"""Who gives a sign of life in the database: apis, relays, consumers, dispatchers."""

from datetime import datetime
from typing import Any, LiteralString

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

INSTANCES_MAX = 50  # of each service
UP_SECONDS = 10.0


class InstanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One process. started_at: null where it does not say. detail: a number that tells its share of
    the work; broker_away: relays only.
    """

    service: str
    instance: str
    started_at: datetime | None
    seen_at: datetime
    up: bool
    shards: int | None
    partitions: int | None
    rules_version: int | None
    broker_away: bool | None


# Reads: each row is one that its process writes every second or two, by the database's clock. Rows
# of processes that ended stay for a while, so only those of the last hour count, and what was seen
# last comes first: a service that was restarted very often hides neither its present processes nor
# another service.
_INSTANCES: LiteralString = """
with found as (
  select 'relay' as service, r.name as instance, r.started_at, r.heartbeat_at as seen_at,
    (select count(*) from relay_shards s where s.owner = r.name and s.expires_at > now())::int
      as shards, null::int as partitions, null::bigint as rules_version, r.broker_away
  from relays r
  union all
  select b.service, b.reader, null, b.seen_at, null,
    case when b.service = 'consumer' then (
      select count(*) from consumer_partitions c
      where c.consumer = b.reader and c.updated_at > now() - interval '10 seconds')::int end,
    b.seen_version, null
  from rulebook_readers b
  union all
  select 'dispatcher', d.name, d.started_at, d.heartbeat_at, null, null, null, null
  from dispatchers d
), ranked as (
  select f.*,
    row_number() over (partition by f.service order by f.seen_at desc, f.instance) as place
  from found f
  where f.seen_at > now() - interval '1 hour'
)
select f.service, f.instance, f.started_at, f.seen_at,
  f.seen_at > clock_timestamp() - %(up)s * interval '1 second' as up,
  f.shards, f.partitions, f.rules_version, f.broker_away
from ranked f
where f.place <= %(most)s
order by f.service, f.place
"""


async def list_instances(conn: Conn) -> list[InstanceRow]:
    async with conn.cursor(row_factory=database.class_row(InstanceRow)) as cursor:
        await cursor.execute(_INSTANCES, {"up": UP_SECONDS, "most": INSTANCES_MAX})
        return await cursor.fetchall()
