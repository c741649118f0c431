"""POST, GET and DELETE /keys. A key is in one answer, once; nothing here can show it again."""

import contextlib
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, delete, get, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import access, cursors, database_pool, guards, keyring, pages, problems
from services.api.keys import bodies
from services.api.queries import keys as queries
from services.api.settings import ApiSettings
from shared import clock, database

PREFIX = "onc_"
SECRET_BYTES = 32  # 43 characters
SHOWN_CHARACTERS = 8
KEYS_MAX = 1000  # in force; each api holds them in memory
_ROUTE = "/keys"


class Key(queries.KeyRow, frozen=True, kw_only=True):
    """A key without what it is."""


class MadeKey(msgspec.Struct, frozen=True, kw_only=True):
    """The one answer that has the key: keep it, it cannot be shown again."""

    id: UUID
    name: str
    key: str
    prefix: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None


class KeyPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    keys: list[Key]
    next_cursor: str | None


@post(
    "/keys",
    tags=["keys"],
    summary="Make a key; it is shown in this answer and never again",
    status_code=201,
    opt={"body": bodies.KeyBody},
)
async def create_key(request: Request[Any, Any, Any], state: State) -> MadeKey:
    """In force at once here and within a second everywhere. When the answer is lost the key is too:
    revoke it by its name in the list, and make another.
    """
    settings: ApiSettings = state.resources.settings
    limits = guards.Limits(depth_max=settings.json_depth_max, members_max=settings.json_members_max)
    body = bodies.read(
        guards.read_json(await request.body(), limits),
        caller=access.caller(request),
        now=clock.now(),
    )
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    async with _change(state) as (conn, version):
        row = await _insert(conn, body, secret=secret, actor=access.actor(request))
    await _reach(state, version)
    return MadeKey(
        id=row.id,
        name=row.name,
        key=secret,
        prefix=row.prefix,
        scopes=row.scopes,
        created_at=row.created_at,
        expires_at=row.expires_at,
    )


@get("/keys", tags=["keys"], summary="Keys, newest first, without what they are")
async def list_keys(
    state: State,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> KeyPage:
    """Revoked and expired ones too: they are never deleted, as the audit log names them."""
    place = pages.place(cursor, route=_ROUTE, filters={})
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_keys(conn, before=place.after, limit=limit + 1)
    shown = [Key(**msgspec.structs.asdict(row)) for row in rows[:limit]]
    more = len(rows) > limit
    next_cursor = cursors.encode(cursors.Cursor(_ROUTE, shown[-1].id, {})) if more else None
    return KeyPage(keys=shown, next_cursor=next_cursor)


@delete("/keys/{key_id:str}", tags=["keys"], summary="Revoke a key, for good")
async def revoke_key(key_id: FromPath[str], request: Request[Any, Any, Any], state: State) -> None:
    """Refused at once here and within a second everywhere; 204 also when it was revoked before."""
    found = pages.read_uuid(key_id)
    if found is None:
        raise _no_key()
    actor = access.actor(request)
    async with _change(state) as (conn, version):
        name = await queries.revoke_key(conn, key_id=found, actor=actor)
        if name is not None:
            await queries.audit(
                conn, actor=actor, action="key.revoke", target=str(found), detail={"name": name}
            )
        elif not await queries.key_exists(conn, key_id=found):
            raise _no_key()
    await _reach(state, version)


ROUTES: tuple[ControllerRouterHandler, ...] = (create_key, list_keys, revoke_key)


@asynccontextmanager
async def _change(state: State) -> AsyncGenerator[tuple[database_pool.Conn, int]]:
    """One change, whole or not at all; the other apis are told when it is committed."""
    async with database_pool.connection(state.pool, writes=True) as conn:
        async with conn.transaction():
            yield conn, await queries.raise_version(conn)
        # The change stands: who does not hear of it finds it by the next poll.
        with contextlib.suppress(database.Error):
            await queries.notify(conn)


async def _insert(
    conn: database_pool.Conn, body: bodies.KeyBody, *, secret: str, actor: str
) -> queries.KeyRow:
    if await queries.count_keys(conn) >= KEYS_MAX:
        raise problems.Problem("too-many-keys", f"{KEYS_MAX} keys are in force already")
    row = await queries.insert_key(
        conn,
        queries.NewKey(
            id=uuid_utils.compat.uuid7(),
            name=body.name,
            key_hash=keyring.digest(secret.encode()),
            prefix=secret[:SHOWN_CHARACTERS],
            scopes=[*body.scopes],
            created_by=actor,
            expires_at=body.expires_at,
        ),
    )
    if row is None:
        raise problems.Problem(
            "key-exists",
            "a key that is not revoked has this name",
            errors=[problems.Fault(pointer="/name", detail="choose another, or revoke that key")],
        )
    detail = {"name": row.name, "scopes": row.scopes, "expires_at": body.expires_at}
    await queries.audit(
        conn,
        actor=actor,
        action="key.create",
        target=str(row.id),
        detail=msgspec.to_builtins(detail),
    )
    return row


async def _reach(state: State, version: int) -> None:
    held: keyring.Keyring | None = state.keyring
    if held is not None:
        await held.reach(version)


def _no_key() -> problems.Problem:
    return problems.Problem("not-found", "there is no such key")
