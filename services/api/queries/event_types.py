"""Statements on event types: their settings, who has them in force, and the retention of data."""

from datetime import datetime
from typing import Any, LiteralString

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class EventTypeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A type as it is stored; without a row revision is null. seen: events have it."""

    event_type: str
    seen: bool
    key_policy: str | None
    retry_limit: int | None
    processing_timeout_ms: int | None
    schema: str | None
    has_schema: bool
    topic: str | None
    retention_days: int | None
    revision: int | None
    created_at: datetime | None
    updated_at: datetime | None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a PUT says; schema as JSON text."""

    key_policy: str
    retry_limit: int
    processing_timeout_ms: int
    schema: str | None
    topic: str | None
    retention_days: int | None


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """What an api must know of a type to see whether its own copy is the present one."""

    event_type: str
    topic: str | None
    has_schema: bool
    revision: int


# A read. exists() is one look into events_by_type.
_GET: LiteralString = """
select n.event_type, exists (select from events e where e.event_type = n.event_type) as seen,
  t.key_policy, t.retry_limit, t.processing_timeout_ms, t.data_schema::text as schema,
  t.data_schema is not null as has_schema, t.topic, t.retention_days, t.revision, t.created_at,
  t.updated_at
from (select %(event_type)s::text as event_type) n
left join event_types t using (event_type)
"""

# A read of one snapshot. The types that events have are found by hopping from one to the next in
# events_by_type: as many looks as types, however many events there are.
_LIST: LiteralString = """
with recursive hops as (
  (
    select e.event_type, 1 as n
    from events e
    where %(seen)s and e.event_type > %(after)s
    order by e.event_type
    limit 1
  )
  union all
  select (
      select e.event_type
      from events e
      where e.event_type > h.event_type
      order by e.event_type
      limit 1
    ), h.n + 1
  from hops h
  where h.event_type is not null and h.n < %(limit)s
), names as (
  (
    select t.event_type
    from event_types t
    where t.event_type > %(after)s
    order by t.event_type
    limit %(limit)s
  )
  union
  select h.event_type from hops h where h.event_type is not null
)
select n.event_type, exists (select from events e where e.event_type = n.event_type) as seen,
  t.key_policy, t.retry_limit, t.processing_timeout_ms, null as schema,
  t.data_schema is not null as has_schema, t.topic, t.retention_days, t.revision, t.created_at,
  t.updated_at
from names n
left join event_types t using (event_type)
order by n.event_type
limit %(limit)s
"""

# The rulebook's row is locked first in every change of a type: changes are one after the other, so
# the count is exact and the revision, which is the rulebook's version, is never given twice.
_RAISE_RULEBOOK: LiteralString = "update rulebook_state set version = version + 1 returning version"

# Under the rulebook's lock.
_FIND_REVISION: LiteralString = "select revision from event_types where event_type = %(event_type)s"
_COUNT: LiteralString = "select count(*) from event_types"

# Under the rulebook's lock. It may wait for retention, which locks the type's row for one batch.
_PUT: LiteralString = """
insert into event_types (event_type, key_policy, retry_limit, processing_timeout_ms, data_schema,
  topic, retention_days, revision)
values (%(event_type)s, %(key_policy)s, %(retry_limit)s, %(processing_timeout_ms)s,
  %(schema)s::json, %(topic)s, %(retention_days)s, %(revision)s)
on conflict (event_type) do update
set key_policy = excluded.key_policy, retry_limit = excluded.retry_limit,
  processing_timeout_ms = excluded.processing_timeout_ms, data_schema = excluded.data_schema,
  topic = excluded.topic, retention_days = excluded.retention_days, revision = excluded.revision,
  updated_at = now()
"""

# Under the rulebook's lock.
_DELETE: LiteralString = "delete from event_types where event_type = %(event_type)s"

# Append-only.
_AUDIT: LiteralString = """
insert into audit_log (actor, action, target, detail)
values (%(actor)s, %(action)s, %(target)s, %(detail)s)
"""

# Read before the types: they are then of this version or of a later one, and the next look at the
# version finds that one.
_VERSION: LiteralString = "select version from rulebook_state"
_LISTED: LiteralString = """
select event_type, topic, data_schema is not null as has_schema, revision
from event_types
where topic is not null or data_schema is not null
order by event_type
"""
_SCHEMA: LiteralString = """
select data_schema::text from event_types where event_type = %(event_type)s
"""

# Each api writes its own row, after what it tells is in force.
_REPORT: LiteralString = """
insert into rulebook_readers (reader, service, seen_version)
values (%(reader)s, 'api', %(version)s)
on conflict (reader) do update
set seen_version = excluded.seen_version, seen_at = clock_timestamp()
"""

_LISTEN: LiteralString = "listen oncely_rules"

# A read. The function locks what it changes, and whoever comes second with a type gets 0.
_RETAINED: LiteralString = """
select event_type from event_types where retention_days is not null order by event_type
"""
_EXPIRE: LiteralString = "select expire_payloads(%(event_type)s, %(rows)s)"


async def get_event_type(conn: Conn, *, event_type: str) -> EventTypeRow:
    async with conn.cursor(row_factory=database.class_row(EventTypeRow)) as cursor:
        await cursor.execute(_GET, {"event_type": event_type})
        row = await cursor.fetchone()
    assert row is not None  # the name itself is the row
    return row


async def list_event_types(conn: Conn, *, after: str, seen: bool, limit: int) -> list[EventTypeRow]:
    """By name; with `seen` also the types that events have and nobody has set."""
    async with conn.cursor(row_factory=database.class_row(EventTypeRow)) as cursor:
        await cursor.execute(_LIST, {"after": after, "seen": seen, "limit": limit})
        return await cursor.fetchall()


async def raise_rulebook(conn: Conn) -> int:
    """Lock the rulebook to the transaction's end and give its new version."""
    return await _number(conn, _RAISE_RULEBOOK)


async def find_revision(conn: Conn, *, event_type: str) -> int | None:
    row = await (await conn.execute(_FIND_REVISION, {"event_type": event_type})).fetchone()
    return None if row is None else row[0]


async def count_event_types(conn: Conn) -> int:
    return await _number(conn, _COUNT)


async def put_event_type(conn: Conn, *, event_type: str, content: Content, revision: int) -> None:
    fields = msgspec.structs.asdict(content)
    await conn.execute(_PUT, {**fields, "event_type": event_type, "revision": revision})


async def delete_event_type(conn: Conn, *, event_type: str) -> None:
    await conn.execute(_DELETE, {"event_type": event_type})


async def audit(
    conn: Conn, *, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        _AUDIT,
        {"actor": actor, "action": action, "target": target, "detail": database.Jsonb(detail)},
    )


async def read_version(conn: Conn) -> int:
    return await _number(conn, _VERSION)


async def list_in_force(conn: Conn) -> list[Listed]:
    """The types that are more than their defaults to an api."""
    async with conn.cursor(row_factory=database.class_row(Listed)) as cursor:
        await cursor.execute(_LISTED)
        return await cursor.fetchall()


async def get_schema(conn: Conn, *, event_type: str) -> str | None:
    row = await (await conn.execute(_SCHEMA, {"event_type": event_type})).fetchone()
    return None if row is None else row[0]


async def report(conn: Conn, *, reader: str, version: int) -> None:
    await conn.execute(_REPORT, {"reader": reader, "version": version})


async def listen(conn: Conn) -> None:
    await conn.execute(_LISTEN)


async def list_retained(conn: Conn) -> list[str]:
    """The types whose data is not kept for ever."""
    return [row[0] for row in await (await conn.execute(_RETAINED)).fetchall()]


async def expire_payloads(conn: Conn, *, event_type: str, rows: int) -> int:
    """Empty what is due among the next events of a type; says how many it looked at."""
    return await _number(conn, _EXPIRE, {"event_type": event_type, "rows": rows})


async def _number(
    conn: Conn, query: LiteralString, parameters: dict[str, Any] | None = None
) -> int:
    row = await (await conn.execute(query, parameters)).fetchone()
    assert row is not None  # one row, always
    return row[0]
