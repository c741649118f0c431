"""Versions of a rule: list, get, draft, publish, shadow, retire, resume, differences."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, HeaderParameter, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cursors, database_pool, guards, problems
from services.api.queries import rule_changes as change_queries
from services.api.queries import rules as queries
from services.api.rules import bodies, changes, diff, receivers

# Not `type` statements: Litestar does not look into those.
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", description="The rule's ETag that you have read; 412 when it is stale."
    ),
]
Number = Annotated[int, PathParameter(ge=1, le=2**31 - 1)]
_LIST = "/rules/versions"


class VersionPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    versions: list[queries.RuleVersion]
    next_cursor: str | None


class ChangedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version after a change, with the rule's revision and the state of the rulebook."""

    version: queries.RuleVersion
    revision: int
    rulebook_version: int


class VersionDiff(msgspec.Struct, frozen=True, kw_only=True):
    """What another version says differently."""

    rule_id: UUID
    version: int
    to: int
    changes: list[diff.Difference]
    cut_off: bool


@get("/rules/{rule_id:str}/versions", tags=["rules"], summary="A rule's versions, newest first")
async def list_versions(
    rule_id: FromPath[str],
    state: State,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> VersionPage:
    found = changes.read_id(rule_id)
    filters = {"rule_id": str(found)}
    # A cursor's place is a UUID; here it carries the number of the version.
    before = cursors.decode(cursor, route=_LIST, filters=filters).after.int if cursor else None
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_versions(conn, rule_id=found, before=before, limit=limit + 1)
        if not rows and await queries.get_rule(conn, rule_id=found) is None:
            raise changes.no_rule()
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursors.encode(cursors.Cursor(_LIST, UUID(int=shown[-1].version), filters))
    return VersionPage(versions=shown, next_cursor=next_cursor)


@get("/rules/{rule_id:str}/versions/{version:int}", tags=["rules"], summary="One version")
async def get_version(rule_id: FromPath[str], version: Number, state: State) -> queries.RuleVersion:
    async with database_pool.connection(state.pool) as conn:
        return await _find(conn, changes.read_id(rule_id), version)


@get(
    "/rules/{rule_id:str}/versions/{version:int}/diff",
    tags=["rules"],
    summary="What another version says differently, by JSON pointers",
)
async def diff_versions(
    rule_id: FromPath[str],
    version: Number,
    state: State,
    to: Annotated[int, QueryParameter(ge=1, le=2**31 - 1)],
) -> VersionDiff:
    found = changes.read_id(rule_id)
    async with database_pool.connection(state.pool) as conn:
        before = await _find(conn, found, version)
        after = await _find(conn, found, to)
    different, cut_off = diff.compare(_members(before), _members(after))
    return VersionDiff(rule_id=found, version=version, to=to, changes=different, cut_off=cut_off)


@post(
    "/rules/{rule_id:str}/versions",
    tags=["rules"],
    summary="Add a version: a draft unless state says otherwise",
    opt={"body": bodies.VersionBody},
)
async def create_version(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State, if_match: IfMatch = None
) -> Response[ChangedVersion]:
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    body = await changes.read_body(request)
    new = bodies.read_version(body, by.limits)
    await receivers.require(body, state, by.settings)
    async with changes.transaction(state) as conn:
        await changes.lock(conn, found, by)
        number, displaced = await changes.add_version(conn, found, new.content, new.state)
        shown = await changes.finish(
            conn,
            found,
            by,
            action="rule_version.create",
            detail={"version": number, "state": new.state, "displaced": displaced},
            visible=new.state != "draft",
            adds="version",
        )
        return await _answer(
            conn, shown, number, status=201, location=f"/rules/{found}/versions/{number}"
        )


@post(
    "/rules/{rule_id:str}/versions/{version:int}/publish",
    status_code=200,
    tags=["rules"],
    summary="Let a version count; the published one is retired. An old version is a rollback",
)
async def publish_version(
    rule_id: FromPath[str],
    version: Number,
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[ChangedVersion]:
    """Publishing ends a suspension too; a version that is published already stays so."""
    return await _move(rule_id, version, request, state, if_match, to_state="published")


@post(
    "/rules/{rule_id:str}/versions/{version:int}/shadow",
    status_code=200,
    tags=["rules"],
    summary="Evaluate a version on live events without acting",
)
async def shadow_version(
    rule_id: FromPath[str],
    version: Number,
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[ChangedVersion]:
    """Another version in shadow goes back to draft."""
    return await _move(rule_id, version, request, state, if_match, to_state="shadow")


@post(
    "/rules/{rule_id:str}/versions/{version:int}/retire",
    status_code=200,
    tags=["rules"],
    summary="Evaluate a version no more; it may be published again",
)
async def retire_version(
    rule_id: FromPath[str],
    version: Number,
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[ChangedVersion]:
    return await _move(rule_id, version, request, state, if_match, to_state="retired")


@post(
    "/rules/{rule_id:str}/versions/{version:int}/resume",
    status_code=200,
    tags=["rules"],
    summary="End a suspension: the version is evaluated again",
)
async def resume_version(
    rule_id: FromPath[str],
    version: Number,
    request: Request[Any, Any, Any],
    state: State,
    if_match: IfMatch = None,
) -> Response[ChangedVersion]:
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    await require_no_body(request)
    async with changes.transaction(state) as conn:
        await changes.lock(conn, found, by)
        held = await changes.lock_version(conn, found, version)
        if not held.suspended:
            raise changes.wrong_state(held, "it is not suspended")
        await change_queries.resume_version(conn, version_id=held.id)
        shown = await changes.finish(
            conn,
            found,
            by,
            action="rule_version.resume",
            detail={"version": version},
            visible=True,
        )
        return await _answer(conn, shown, version)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    list_versions,
    get_version,
    diff_versions,
    create_version,
    publish_version,
    shadow_version,
    retire_version,
    resume_version,
)


async def require_no_body(request: Request[Any, Any, Any]) -> None:
    """What such a request means is in its path: a body with members is a misunderstanding."""
    body = await request.body()
    if body and guards.decode(body, dict[str, msgspec.Raw]):
        raise problems.at("", "takes no fields: send no body or an empty object")


async def _move(
    rule_id: str,
    version: int,
    request: Request[Any, Any, Any],
    state: State,
    if_match: str | None,
    *,
    to_state: str,
) -> Response[ChangedVersion]:
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    await require_no_body(request)
    async with changes.transaction(state) as conn:
        await changes.lock(conn, found, by)
        held = await changes.lock_version(conn, found, version)
        changed, detail = await changes.change_state(conn, found, held, to_state)
        if not changed:
            return await _answer(conn, await changes.view(conn, found), version)
        shown = await changes.finish(
            conn,
            found,
            by,
            action=f"rule_version.{to_state}",
            detail=detail,
            visible=(held.state, to_state) != ("draft", "retired"),
            adds="version" if to_state != "retired" else None,
        )
        return await _answer(conn, shown, version)


async def _answer(
    conn: database_pool.Conn,
    shown: changes.RuleView,
    number: int,
    *,
    status: int = 200,
    location: str | None = None,
) -> Response[ChangedVersion]:
    content = ChangedVersion(
        version=await _find(conn, shown.id, number),
        revision=shown.revision,
        rulebook_version=shown.rulebook_version,
    )
    return changes.respond(content, revision=shown.revision, status=status, location=location)


async def _find(conn: database_pool.Conn, rule_id: UUID, version: int) -> queries.RuleVersion:
    found = await queries.get_version(conn, rule_id=rule_id, version=version)
    if found is None:
        raise changes.no_version()
    return found


def _members(version: queries.RuleVersion) -> dict[str, Any]:
    return {
        "event_type": version.event_type,
        "condition": msgspec.json.decode(version.condition),
        "actions": msgspec.json.decode(version.actions),
        "engine": version.engine,
    }
