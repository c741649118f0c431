"""Statements on API keys. The key itself is in none of them, only its SHA-256."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class KeyRow(msgspec.Struct, frozen=True, kw_only=True):
    """A key without what it is: its name, what it may do, and until when."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    revoked_by: str | None
    last_used_at: datetime | None


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """What an api must know of a key to let its bearer in."""

    id: UUID
    name: str
    key_hash: bytes
    scopes: list[str]
    expires_at: datetime | None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that is about to be stored."""

    id: UUID
    name: str
    key_hash: bytes
    prefix: str
    scopes: list[str]
    created_by: str
    expires_at: datetime | None


# The row's lock comes first and makes changes wait for each other, so that versions are committed
# in their order and the count of keys below it is exact.
_RAISE: LiteralString = "update api_keys_state set version = version + 1 returning version"

# Under the lock of api_keys_state.
_COUNT: LiteralString = "select count(*) from api_keys where revoked_at is null"

# Under the lock of api_keys_state; no row when a key in force has the name.
_INSERT: LiteralString = """
insert into api_keys (id, name, key_hash, prefix, scopes, created_by, expires_at)
values (%(id)s, %(name)s, %(key_hash)s, %(prefix)s, %(scopes)s, %(created_by)s, %(expires_at)s)
on conflict (name) where revoked_at is null do nothing
returning id, name, prefix, scopes, created_at, created_by, expires_at, revoked_at, revoked_by,
  last_used_at
"""

# Under the lock of api_keys_state. A key is revoked once: who did it first stands there.
_REVOKE: LiteralString = """
update api_keys
set revoked_at = clock_timestamp(), revoked_by = %(actor)s
where id = %(id)s and revoked_at is null
returning name
"""

# Read after nothing was revoked: keys are never deleted.
_EXISTS: LiteralString = "select exists (select from api_keys where id = %(id)s)"

# A read: any committed state is a right answer, and a keyset page moves nothing that was shown.
_LIST: LiteralString = """
select id, name, prefix, scopes, created_at, created_by, expires_at, revoked_at, revoked_by,
  last_used_at
from api_keys
where id < %(before)s or %(before)s::uuid is null
order by id desc
limit %(limit)s
"""

# Append-only.
_AUDIT: LiteralString = """
insert into audit_log (actor, action, target, detail)
values (%(actor)s, %(action)s, %(target)s, %(detail)s)
"""

# Sent after the commit, so that whoever hears it finds the change; a lost one costs the second of
# the readers' poll.
_NOTIFY: LiteralString = "select pg_notify('oncely_keys', '')"
_LISTEN: LiteralString = "listen oncely_keys"

# Read before the keys: they are then of this version or of a later one, and the next look at the
# version finds that one.
_VERSION: LiteralString = "select version from api_keys_state"
_LIVE: LiteralString = """
select id, name, key_hash, scopes, expires_at
from api_keys
where revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
"""

# Each api does it for the keys that it has seen; a row that another one holds is told by that one.
_TOUCH: LiteralString = """
with used as (
  select id
  from api_keys
  where id = any(%(ids)s)
  order by id
  for update skip locked
)
update api_keys k set last_used_at = clock_timestamp() from used where k.id = used.id
"""


async def raise_version(conn: Conn) -> int:
    """Lock the keys to the transaction's end and give their new version."""
    return await _value(conn, _RAISE)


async def count_keys(conn: Conn) -> int:
    return await _value(conn, _COUNT)


async def insert_key(conn: Conn, key: NewKey) -> KeyRow | None:
    async with conn.cursor(row_factory=database.class_row(KeyRow)) as cursor:
        await cursor.execute(_INSERT, msgspec.structs.asdict(key))
        return await cursor.fetchone()


async def revoke_key(conn: Conn, *, key_id: UUID, actor: str) -> str | None:
    """The name of the key that was revoked; None when none with this id is in force."""
    row = await (await conn.execute(_REVOKE, {"id": key_id, "actor": actor})).fetchone()
    return None if row is None else row[0]


async def key_exists(conn: Conn, *, key_id: UUID) -> bool:
    return await _value(conn, _EXISTS, {"id": key_id})


async def list_keys(conn: Conn, *, before: UUID | None, limit: int) -> list[KeyRow]:
    async with conn.cursor(row_factory=database.class_row(KeyRow)) as cursor:
        await cursor.execute(_LIST, {"before": before, "limit": limit})
        return await cursor.fetchall()


async def audit(
    conn: Conn, *, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        _AUDIT,
        {"actor": actor, "action": action, "target": target, "detail": database.Jsonb(detail)},
    )


async def notify(conn: Conn) -> None:
    await conn.execute(_NOTIFY)


async def listen(conn: Conn) -> None:
    await conn.execute(_LISTEN)


async def read_version(conn: Conn) -> int:
    return await _value(conn, _VERSION)


async def list_live(conn: Conn) -> list[LiveRow]:
    async with conn.cursor(row_factory=database.class_row(LiveRow)) as cursor:
        await cursor.execute(_LIVE)
        return await cursor.fetchall()


async def touch(conn: Conn, *, key_ids: list[UUID]) -> None:
    await conn.execute(_TOUCH, {"ids": key_ids})


async def _value(conn: Conn, query: LiteralString, parameters: dict[str, Any] | None = None) -> Any:
    row = await (await conn.execute(query, parameters)).fetchone()
    assert row is not None  # one row, always
    return row[0]
