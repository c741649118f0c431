"""Targets: where webhooks go. Create, read, list, patch, archive, enable, disable, rotate secrets.

Values of headers and secrets are write-only: what is shown are names, ids and times.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, Response, delete, get, patch, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cursors, database_pool, pages, problems
from services.api.queries import targets as queries
from services.api.rules import changes as rule_changes
from services.api.rules import versions as rule_versions
from services.api.targets import bodies, changes

type Conn = changes.Conn

_LIST = "/targets"
# Not a `type` statement: Litestar does not look into those.
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", description="The ETag that you have read; 412 when it is stale."
    ),
]


class TargetCreated(queries.TargetRow, frozen=True, kw_only=True):
    """A new target. secret is shown now and never again; null when the request brought its own."""

    secret: str | None


class SecretCreated(msgspec.Struct, frozen=True, kw_only=True):
    """A new secret, shown now and never again; null when the request brought its own."""

    id: int
    target_id: UUID
    secret: str | None
    created_at: datetime
    secrets: list[queries.Secret]


class TargetPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    targets: list[queries.TargetRow]
    next_cursor: str | None


@post(
    "/targets",
    tags=["targets"],
    summary="Create a target; a secret that is made here is shown once",
    opt={"body": bodies.TargetBody},
)
async def create_target(request: Request[Any, Any, Any], state: State) -> Response[TargetCreated]:
    """A name belongs to one target that is not archived, so a retry gets 409 with its id."""
    by = rule_changes.author(request)
    body = await rule_changes.read_body(request)
    new = bodies.read_target(body, by.settings.webhook_networks)
    sealed, made = changes.seal_secret(by.settings, new.secret)
    content = queries.Content(
        name=new.name,
        url=new.url,
        header_names=sorted(new.headers),
        timeout_ms=new.timeout_ms,
        rate_per_second=new.rate_per_second,
        in_flight_max=new.in_flight_max,
    )
    headers_sealed = changes.seal_headers(by.settings, new.headers)
    await changes.require_reachable(new.url, by.settings)
    target_id = uuid_utils.compat.uuid7()

    async def act(conn: Conn) -> queries.TargetRow:
        if await queries.count_targets(conn) >= by.settings.targets_max:
            limit = by.settings.targets_max
            raise problems.Problem("too-many-targets", f"there are {limit} targets", limit=limit)
        if not await queries.insert_target(
            conn, target_id=target_id, content=content, headers_sealed=headers_sealed
        ):
            other = await queries.find_by_name(conn, name=new.name)
            raise changes.name_taken(new.name, other)
        await queries.insert_secret(conn, target_id=target_id, sealed=sealed)
        detail = {"name": new.name, "url": new.url, "header_names": content.header_names}
        await changes.audit(conn, target_id, by, action="target.create", detail=detail)
        return await changes.view(conn, target_id)

    shown = await changes.transact(state, act)
    created = TargetCreated(**msgspec.structs.asdict(shown), secret=made)
    location = f"/targets/{target_id}"
    return changes.respond(created, revision=shown.revision, status=201, location=location)


@get("/targets", tags=["targets"], summary="Targets, newest first, with how they are doing")
async def list_targets(  # noqa: PLR0917 each is a filter
    state: State,
    archived: FromQuery[bool] = False,
    disabled: FromQuery[bool | None] = None,
    name: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> TargetPage:
    asked = queries.TargetFilters(archived=archived, disabled=disabled, name=name)
    place = pages.place(cursor, route=_LIST, filters=_texts(asked))
    filters = msgspec.convert(place.filters, queries.TargetFilters, strict=False)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_targets(conn, filters=filters, after=place.after, limit=limit + 1)
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursors.encode(cursors.Cursor(_LIST, shown[-1].id, place.filters))
    return TargetPage(targets=shown, next_cursor=next_cursor)


@get("/targets/{target_id:str}", tags=["targets"], summary="One target")
async def get_target(target_id: FromPath[str], state: State) -> Response[queries.TargetRow]:
    found = changes.read_id(target_id)
    async with database_pool.connection(state.pool) as conn:
        shown = await changes.view(conn, found)
    return changes.respond(shown, revision=shown.revision)


@patch(
    "/targets/{target_id:str}",
    tags=["targets"],
    summary="Change some members; headers are replaced as a whole",
    opt={"body": bodies.TargetPatchBody},
)
async def patch_target(
    target_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[queries.TargetRow]:
    """Counts for every attempt that begins after the answer."""
    by = rule_changes.author(request, if_match)
    found = changes.read_id(target_id)
    body = await rule_changes.read_body(request)
    fields = bodies.read_patch(body, by.settings.webhook_networks)
    headers: dict[str, str] | None = fields.pop("headers", None)
    headers_sealed = None
    if headers is not None:
        headers_sealed = changes.seal_headers(by.settings, headers)
        fields["header_names"] = sorted(headers)
    if "url" in fields:
        await changes.require_reachable(fields["url"], by.settings)

    async def act(conn: Conn) -> queries.TargetRow:
        held = await changes.lock(conn, found, by)
        before = msgspec.convert(msgspec.structs.asdict(held), queries.Content)
        content = msgspec.structs.replace(before, **fields)
        if headers is not None:
            await queries.seal_headers(conn, target_id=found, headers_sealed=headers_sealed)
        if headers or content != before:
            await _update(conn, held, content, by)
        return await changes.view(conn, found)

    try:
        shown = await changes.transact(state, act)
    except problems.Problem as problem:
        # The name was free at the look and taken before the update.
        if problem.members.get("constraint") == "targets_once_by_name":
            raise changes.name_taken(str(fields["name"]), None) from None
        raise
    return changes.respond(shown, revision=shown.revision)


@delete(
    "/targets/{target_id:str}",
    status_code=200,
    tags=["targets"],
    summary="Archive a target: it gets nothing more, and its name is free",
)
async def archive_target(
    target_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[queries.TargetRow]:
    """What is due becomes skipped. Rules that name it skip too, until they name another."""
    by = rule_changes.author(request, if_match)
    found = changes.read_id(target_id)
    await rule_versions.require_no_body(request)

    async def act(conn: Conn) -> queries.TargetRow:
        held = await changes.lock(conn, found, by, archived=True)
        if held.archived_at is None:
            await queries.archive_target(conn, target_id=found)
            await changes.audit(conn, found, by, action="target.archive", detail={})
        return await changes.view(conn, found)

    shown = await changes.transact(state, act)
    return changes.respond(shown, revision=shown.revision)


@post(
    "/targets/{target_id:str}/disable",
    status_code=200,
    tags=["targets"],
    summary="Stop deliveries to a target; what is due becomes skipped",
    opt={"body": bodies.DisableBody},
)
async def disable_target(
    target_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[queries.TargetRow]:
    by = rule_changes.author(request, if_match)
    found = changes.read_id(target_id)
    reason = bodies.read_disable(await rule_changes.read_body(request))

    async def act(conn: Conn) -> queries.TargetRow:
        await changes.lock(conn, found, by)
        await queries.disable_target(conn, target_id=found, reason=reason)
        await changes.audit(conn, found, by, action="target.disable", detail={"reason": reason})
        return await changes.view(conn, found)

    shown = await changes.transact(state, act)
    return changes.respond(shown, revision=shown.revision)


@post(
    "/targets/{target_id:str}/enable",
    status_code=200,
    tags=["targets"],
    summary="Let a target get deliveries again, and close its circuit breaker",
)
async def enable_target(
    target_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[queries.TargetRow]:
    """What was skipped meanwhile stays so: POST /deliveries/{id}/retry sends it."""
    by = rule_changes.author(request, if_match)
    found = changes.read_id(target_id)
    await rule_versions.require_no_body(request)

    async def act(conn: Conn) -> queries.TargetRow:
        await queries.reset_breaker(conn, target_id=found)
        held = await changes.lock(conn, found, by)
        await queries.enable_target(conn, target_id=found)
        was = {"was_disabled": held.disabled_at is not None}
        await changes.audit(conn, found, by, action="target.enable", detail=was)
        return await changes.view(conn, found)

    shown = await changes.transact(state, act)
    return changes.respond(shown, revision=shown.revision)


@post(
    "/targets/{target_id:str}/secrets",
    tags=["targets"],
    summary="Rotate: a new secret signs, the present one beside it until the overlap is over",
    opt={"body": bodies.RotateBody},
)
async def rotate_secret(
    target_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[SecretCreated]:
    """An empty object makes a secret here and overlaps for a day. At most five sign at a time."""
    by = rule_changes.author(request, if_match)
    found = changes.read_id(target_id)
    new = bodies.read_rotation(await rule_changes.read_body(request))
    sealed, made = changes.seal_secret(by.settings, new.secret)

    async def act(conn: Conn) -> tuple[SecretCreated, int]:
        held = await changes.lock(conn, found, by)
        added = await changes.add_secret(conn, held, new, sealed)
        revision = await queries.touch_target(conn, target_id=found)
        detail = {"secret_id": added.id, "overlap_seconds": new.overlap_seconds}
        await changes.audit(conn, found, by, action="target.rotate", detail=detail)
        shown = await changes.view(conn, found)
        created = SecretCreated(
            id=added.id,
            target_id=found,
            secret=made,
            created_at=added.created_at,
            secrets=shown.secrets,
        )
        return created, revision

    created, revision = await changes.transact(state, act)
    return changes.respond(created, revision=revision, status=201)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    create_target,
    list_targets,
    get_target,
    patch_target,
    archive_target,
    disable_target,
    enable_target,
    rotate_secret,
)


async def _update(
    conn: Conn, held: queries.Held, content: queries.Content, by: changes.Author
) -> None:
    if content.name != held.name:
        other = await queries.find_by_name(conn, name=content.name)
        if other is not None:
            raise changes.name_taken(content.name, other)
    await queries.update_target(conn, target_id=held.id, content=content)
    shown = ("name", "url", "header_names", "timeout_ms", "rate_per_second", "in_flight_max")
    before, after = msgspec.structs.asdict(held), msgspec.structs.asdict(content)
    detail = {name: [before[name], after[name]] for name in shown if before[name] != after[name]}
    await changes.audit(conn, held.id, by, action="target.patch", detail=detail)


def _texts(filters: queries.TargetFilters) -> dict[str, str]:
    """Filters as a cursor keeps them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in msgspec.to_builtins(filters).items()
    }
