"""Statements on targets and their secrets. What is sealed goes in here and never comes out."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

PENDING_SHOWN_MAX = 1000
_ATTEMPTED_LOOKED_AT = 10
_CREATE_LOCK = 7_146_041_890  # any fixed number: two creations wait for each other


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret as it is shown: never its value. Without expires_at it is the present one."""

    id: int
    created_at: datetime
    expires_at: datetime | None


class LastAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """What the newest attempt taught."""

    delivery_id: UUID
    outcome: str
    status_code: int | None
    error_class: str | None
    finished_at: datetime


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How a target is doing. Breaker: closed, open until then, or half open: one probe at a time.

    pending is counted up to 1,000; pending_capped says that there are more.
    """

    breaker: str
    open_until: datetime | None
    paused_until: datetime | None
    failures: int
    in_flight: int
    pending: int
    pending_capped: bool
    last_attempt: LastAttempt | None


class TargetRow(msgspec.Struct, frozen=True, kw_only=True):
    """A target as it is shown. Values of headers and secrets are write-only."""

    id: UUID
    name: str
    url: str
    header_names: list[str]
    secrets: list[Secret]
    timeout_ms: int
    rate_per_second: float | None
    in_flight_max: int
    revision: int
    disabled_at: datetime | None
    disabled_reason: str | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    health: Health


class TargetFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list of targets can be narrowed by."""

    archived: bool = False
    disabled: bool | None = None
    name: str | None = None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a target says, but for the values of its headers."""

    name: str
    url: str
    header_names: list[str]
    timeout_ms: int
    rate_per_second: float | None
    in_flight_max: int


class Held(Content, frozen=True, kw_only=True):
    """A target that is locked."""

    id: UUID
    revision: int
    disabled_at: datetime | None
    archived_at: datetime | None


# Reads: any committed state is a right answer, and a keyset page moves nothing that was shown.
# Every number is bounded: in flight by the target's own limit, pending by a cap, and the newest
# attempt is looked for among the newest deliveries and those that wait for their next try.
_TARGETS: LiteralString = """
select t.id, t.name, t.url, t.header_names, t.timeout_ms, t.rate_per_second, t.in_flight_max,
  t.revision, t.disabled_at, t.disabled_reason, t.archived_at, t.created_at, t.updated_at,
  (select coalesce(json_agg(json_build_object(
       'id', s.id, 'created_at', s.created_at, 'expires_at', s.expires_at)
     order by s.id desc), '[]')
   from target_secrets s
   where s.target_id = t.id and (s.expires_at is null or s.expires_at > now())) as secrets,
  json_build_object(
    'breaker', case when d.open_until is null then 'closed'
      when d.open_until > now() then 'open' else 'half_open' end,
    'open_until', d.open_until, 'paused_until', d.paused_until, 'failures', coalesce(d.failures, 0),
    'in_flight', f.in_flight, 'pending', least(p.pending, %(pending_max)s),
    'pending_capped', p.pending > %(pending_max)s, 'last_attempt', a.attempt) as health
from targets t
cross join lateral (select 'target/' || t.id::text as name) n
left join destinations d on d.name = n.name
cross join lateral (
  select count(*) as in_flight from deliveries v
  where v.destination = n.name and v.state = 'sending') f
cross join lateral (
  select count(*) as pending from (
    select from deliveries v where v.destination = n.name and v.state = 'pending'
    limit %(pending_max)s + 1) c) p
left join lateral (
  select json_build_object(
    'delivery_id', x.delivery_id, 'outcome', x.outcome, 'status_code', x.status_code,
    'error_class', x.error_class, 'finished_at', x.finished_at) as attempt
  from (
    (select v.id, v.attempt_no from deliveries v where v.destination = n.name
     order by v.id desc limit %(looked_at)s)
    union
    (select v.id, v.attempt_no from deliveries v where v.destination = n.name
       and v.state = 'pending' order by v.next_attempt_at desc limit %(looked_at)s)) c
  join delivery_attempts x
    on x.delivery_id = c.id and x.attempt_no between c.attempt_no - 1 and c.attempt_no
  order by x.finished_at desc
  limit 1) a on true
where true
"""

# Whoever changes a target waits here. Its key never changes: a consumer that inserts deliveries to
# it, and so looks the key up, does not wait.
_LOCK: LiteralString = """
select id, name, url, header_names, timeout_ms, rate_per_second, in_flight_max, revision,
  disabled_at, archived_at
from targets
where id = %(id)s
for no key update
"""

# Held to the commit: the count of targets is exact.
_LOCK_CREATION: LiteralString = "select pg_advisory_xact_lock(%(key)s)"

# Under the lock of creations.
_COUNT: LiteralString = "select count(*) from targets where archived_at is null"

# The partial unique index decides between two that take one name; the second one gets no row.
_INSERT: LiteralString = """
insert into targets (id, name, url, headers_sealed, header_names, timeout_ms, rate_per_second,
  in_flight_max)
values (%(id)s, %(name)s, %(url)s, %(headers_sealed)s, %(header_names)s, %(timeout_ms)s,
  %(rate_per_second)s, %(in_flight_max)s)
on conflict (name) where archived_at is null do nothing
returning id
"""

# Under the target's row lock; a name that another target takes meanwhile is refused by the index.
_UPDATE: LiteralString = """
update targets
set name = %(name)s, url = %(url)s, header_names = %(header_names)s, timeout_ms = %(timeout_ms)s,
  rate_per_second = %(rate_per_second)s, in_flight_max = %(in_flight_max)s,
  revision = revision + 1, updated_at = now()
where id = %(id)s
"""

# In the same transaction, where the headers change: what is sealed is written and never read.
_SEAL: LiteralString = "update targets set headers_sealed = %(headers_sealed)s where id = %(id)s"

# A look before the change, for an answer that names the other one; the index has the last word.
_BY_NAME: LiteralString = """
select id from targets where name = %(name)s and archived_at is null
"""

# Under the target's row lock.
_DISABLE: LiteralString = """
update targets
set disabled_at = coalesce(disabled_at, now()), disabled_reason = %(reason)s,
  revision = revision + 1, updated_at = now()
where id = %(id)s
"""

# Under the target's row lock.
_ENABLE: LiteralString = """
update targets
set disabled_at = null, disabled_reason = null, revision = revision + 1, updated_at = now()
where id = %(id)s
"""

# Before the target's row lock: a dispatcher that records a 410 locks the destination first, then
# its target.
_RESET_BREAKER: LiteralString = """
update destinations set failures = 0, open_until = null, paused_until = null
where name = 'target/' || %(id)s::uuid::text
"""

# Under the target's row lock; its name is free again.
_ARCHIVE: LiteralString = """
update targets set archived_at = now(), revision = revision + 1, updated_at = now()
where id = %(id)s
"""

# Under the target's row lock: how many would sign beside a new one.
_COUNT_SECRETS: LiteralString = """
select count(*) from target_secrets
where target_id = %(id)s
  and (expires_at > now() or expires_at is null and %(overlap_seconds)s > 0)
"""

# Under the target's row lock: the present secret goes on signing until then.
_EXPIRE_PRESENT: LiteralString = """
update target_secrets set expires_at = now() + make_interval(secs => %(overlap_seconds)s)
where target_id = %(id)s and expires_at is null
"""

# Under the target's row lock; the partial unique index would refuse a second present one.
_INSERT_NEXT: LiteralString = """
insert into target_secrets (target_id, sealed) values (%(id)s, %(sealed)s)
returning id, created_at, expires_at
"""

# Under the target's row lock.
_TOUCH: LiteralString = """
update targets set revision = revision + 1, updated_at = now()
where id = %(id)s
returning revision
"""

# A read: which of these names or ids belong to a target that is not archived.
_KNOWN: LiteralString = """
select name from targets where archived_at is null and name = any(%(named)s)
union all
select id::text from targets where archived_at is null and id = any(%(ids)s)
"""


async def get_target(conn: Conn, *, target_id: UUID) -> TargetRow | None:
    rows = await _read(conn, _TARGETS + " and t.id = %(id)s", {"id": target_id})
    return rows[0] if rows else None


async def list_targets(
    conn: Conn, *, filters: TargetFilters, after: UUID | None, limit: int
) -> list[TargetRow]:
    """Newest first; one row more than a page tells whether another follows."""
    statement: LiteralString = _TARGETS
    statement += " and t.archived_at is " + ("not null" if filters.archived else "null")
    if filters.disabled is not None:
        statement += " and t.disabled_at is " + ("not null" if filters.disabled else "null")
    if filters.name is not None:
        statement += " and t.name = %(name)s"
    if after is not None:
        statement += " and t.id < %(after)s"
    parameters = {"name": filters.name, "after": after, "limit": limit}
    return await _read(conn, statement + " order by t.id desc limit %(limit)s", parameters)


async def lock_target(conn: Conn, *, target_id: UUID) -> Held | None:
    async with conn.cursor(row_factory=database.class_row(Held)) as cursor:
        await cursor.execute(_LOCK, {"id": target_id})
        return await cursor.fetchone()


async def count_targets(conn: Conn) -> int:
    """How many are not archived; nobody adds one before this transaction ends."""
    await conn.execute(_LOCK_CREATION, {"key": _CREATE_LOCK})
    row = await (await conn.execute(_COUNT)).fetchone()
    assert row is not None  # a count is a row
    return int(row[0])


async def insert_target(
    conn: Conn, *, target_id: UUID, content: Content, headers_sealed: bytes | None
) -> bool:
    """False when the name belongs to another target."""
    values = {"id": target_id, "headers_sealed": headers_sealed}
    cursor = await conn.execute(_INSERT, values | msgspec.structs.asdict(content))
    return await cursor.fetchone() is not None


async def update_target(conn: Conn, *, target_id: UUID, content: Content) -> None:
    await conn.execute(_UPDATE, {"id": target_id, **msgspec.structs.asdict(content)})


async def seal_headers(conn: Conn, *, target_id: UUID, headers_sealed: bytes | None) -> None:
    await conn.execute(_SEAL, {"id": target_id, "headers_sealed": headers_sealed})


async def find_by_name(conn: Conn, *, name: str) -> UUID | None:
    row = await (await conn.execute(_BY_NAME, {"name": name})).fetchone()
    return None if row is None else row[0]


async def disable_target(conn: Conn, *, target_id: UUID, reason: str) -> None:
    await conn.execute(_DISABLE, {"id": target_id, "reason": reason})


async def reset_breaker(conn: Conn, *, target_id: UUID) -> None:
    """Close the circuit breaker and end a pause that Retry-After asked for."""
    await conn.execute(_RESET_BREAKER, {"id": target_id})


async def enable_target(conn: Conn, *, target_id: UUID) -> None:
    await conn.execute(_ENABLE, {"id": target_id})


async def archive_target(conn: Conn, *, target_id: UUID) -> None:
    await conn.execute(_ARCHIVE, {"id": target_id})


async def count_secrets(conn: Conn, *, target_id: UUID, overlap_seconds: int) -> int:
    """How many would go on signing beside a new one."""
    parameters = {"id": target_id, "overlap_seconds": overlap_seconds}
    row = await (await conn.execute(_COUNT_SECRETS, parameters)).fetchone()
    assert row is not None  # a count is a row
    return int(row[0])


async def expire_secret(conn: Conn, *, target_id: UUID, overlap_seconds: int) -> None:
    await conn.execute(_EXPIRE_PRESENT, {"id": target_id, "overlap_seconds": overlap_seconds})


async def insert_secret(conn: Conn, *, target_id: UUID, sealed: bytes) -> Secret:
    async with conn.cursor(row_factory=database.class_row(Secret)) as cursor:
        await cursor.execute(_INSERT_NEXT, {"id": target_id, "sealed": sealed})
        row = await cursor.fetchone()
    assert row is not None  # an insert of one row returns one
    return row


async def touch_target(conn: Conn, *, target_id: UUID) -> int:
    """Raise the revision."""
    row = await (await conn.execute(_TOUCH, {"id": target_id})).fetchone()
    assert row is not None  # its row is locked
    return int(row[0])


async def list_known(conn: Conn, *, named: list[str], ids: list[UUID]) -> set[str]:
    """Those that belong to a target which is not archived; ids as their text."""
    rows = await (await conn.execute(_KNOWN, {"named": named, "ids": ids})).fetchall()
    return {str(row[0]) for row in rows}


async def _read(
    conn: Conn, statement: LiteralString, parameters: dict[str, Any]
) -> list[TargetRow]:
    bounds = {"pending_max": PENDING_SHOWN_MAX, "looked_at": _ATTEMPTED_LOOKED_AT}
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(statement, parameters | bounds)
        return [msgspec.convert(row, TargetRow) for row in await cursor.fetchall()]
