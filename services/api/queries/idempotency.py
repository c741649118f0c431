"""Statements on idempotency_keys."""

from typing import Any, LiteralString

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer that a key got, and the hash of the request that it belongs to."""

    scope: str
    key: str
    request_hash: bytes
    status_code: int
    response_body: bytes
    location: str | None


# Held to the end of the transaction: of two requests with one key at once the second waits and then
# finds the first one's answer. Two keys that share a number only wait.
_LOCK: LiteralString = "select pg_advisory_xact_lock(hashtextextended(%(name)s, 0))"

# Sees committed answers only. A request under way in another transaction is found by the insert
# below.
_FIND: LiteralString = """
select k.scope, k.key, k.request_hash, k.status_code, k.response_body, k.location
from idempotency_keys k
join unnest(%(scope)b::text[], %(key)b::text[]) as t(scope, key)
  on k.scope = t.scope and k.key = t.key
"""

# Sorted by key, so that two writers wait in one direction. A key that another transaction is
# inserting makes this one wait for its end; if it committed, the key does not come back and the
# caller undoes its own effect.
_STORE: LiteralString = """
insert into idempotency_keys (scope, key, request_hash, status_code, response_body, location)
select scope, key, request_hash, status_code, response_body, location
from unnest(%(scope)b::text[], %(key)b::text[], %(request_hash)b::bytea[],
  %(status_code)b::smallint[],
            %(response_body)b::bytea[], %(location)b::text[])
  as t(scope, key, request_hash, status_code, response_body, location)
order by scope, key
on conflict (scope, key) do nothing
returning key
"""

# An advisory lock that is tried, not waited for: of several apis at once one deletes and the others
# delete nothing. Row locks that skip would need the right to update, which the api does not have.
# Keys are never changed, so what the snapshot shows as old is old.
_DELETE_OLDER: LiteralString = """
with turn as materialized (
  select pg_try_advisory_xact_lock(hashtext('oncely.idempotency_retention')) as taken
), old as materialized (
  select k.scope, k.key
  from idempotency_keys k, turn
  where turn.taken
    and k.created_at < now() - %(hours)s * interval '1 hour'
  order by k.created_at
  limit %(limit)s
), deleted as (
  delete from idempotency_keys k
  using old
  where k.scope = old.scope
    and k.key = old.key
  returning 1
)
select count(*) from deleted
"""


async def lock(conn: Conn, *, scope: str, key: str) -> None:
    await conn.execute(_LOCK, {"name": f"oncely.idempotency {scope} {key}"})


async def find(conn: Conn, *, keys: list[tuple[str, str]]) -> list[StoredAnswer]:
    async with conn.cursor(row_factory=database.class_row(StoredAnswer)) as cursor:
        await cursor.execute(
            _FIND, {"scope": [scope for scope, _ in keys], "key": [key for _, key in keys]}
        )
        return await cursor.fetchall()


async def store(conn: Conn, *, answers: list[StoredAnswer]) -> bool:
    """Keep answers; False when a key of them was taken meanwhile."""
    cursor = await conn.execute(
        _STORE,
        {
            "scope": [answer.scope for answer in answers],
            "key": [answer.key for answer in answers],
            "request_hash": [answer.request_hash for answer in answers],
            "status_code": [answer.status_code for answer in answers],
            "response_body": [answer.response_body for answer in answers],
            "location": [answer.location for answer in answers],
        },
    )
    return len(await cursor.fetchall()) == len(answers)


async def delete_older(conn: Conn, *, hours: float, limit: int) -> int:
    """Delete the oldest keys beyond an age; 0 also when another session is at it."""
    row = await (await conn.execute(_DELETE_OLDER, {"hours": hours, "limit": limit})).fetchone()
    return row[0] if row else 0
