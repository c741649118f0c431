"""Rules: create, read, list, replace, patch, archive, restore. Versions are in rule_versions."""

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, Response, delete, get, patch, post, put
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cursors, database_pool, pages, problems
from services.api.queries import rule_changes as change_queries
from services.api.queries import rules as queries
from services.api.rules import bodies, changes, executions, receivers, versions
from shared.rules import patterns

type Conn = database_pool.Conn

# Not `type` statements: Litestar does not look into those.
IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match", description="The ETag that you have read; 412 when it is stale."
    ),
]
VersionState = Literal["draft", "shadow", "published", "retired"]
_LIST = "/rules"


class RulePage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    rules: list[queries.RuleListed]
    next_cursor: str | None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """Who evaluates with which state of the rules: a change is live where up_to_date is true."""

    version: int
    readers: list[queries.Reader]


@post(
    "/rules",
    tags=["rules"],
    summary="Create a rule; it counts at once unless state says otherwise",
    opt={"body": bodies.RuleBody},
)
async def create_rule(request: Request[Any, Any, Any], state: State) -> Response[changes.RuleView]:
    """With an id of your own a retry is safe: the same rule again answers 200."""
    by = changes.author(request)
    body = await changes.read_body(request)
    new = bodies.read_rule(body, by.limits, with_id=True)
    await receivers.require(body, state, by.settings)
    async with changes.transaction(state) as conn:
        # Creations wait for each other here, so the count of rules is exact.
        await change_queries.lock_rulebook(conn)
        rule_id = new.id or uuid_utils.compat.uuid7()
        active = new.active is not False
        if not await change_queries.insert_rule(
            conn, rule_id=rule_id, name=new.name, active=active
        ):
            shown = await _created_before(conn, rule_id, new)
            return changes.respond(
                shown, revision=shown.revision, location=f"/rules/{rule_id}", replayed=True
            )
        await change_queries.insert_version(
            conn, rule_id=rule_id, content=new.content, state=new.state
        )
        shown = await changes.conclude(
            conn,
            rule_id,
            by,
            action="rule.create",
            detail={"name": new.name, "state": new.state, "active": active},
            visible=new.state != "draft",
            adds="rule",
        )
    return changes.respond(shown, revision=shown.revision, status=201, location=f"/rules/{rule_id}")


@get("/rules", tags=["rules"], summary="Rules, newest first")
async def list_rules(  # noqa: PLR0917 each is a filter
    state: State,
    event_type: Annotated[str | None, QueryParameter(max_length=200)] = None,
    matching: Annotated[str | None, QueryParameter(min_length=1, max_length=200)] = None,
    active: FromQuery[bool | None] = None,
    version_state: Annotated[VersionState | None, QueryParameter(name="state")] = None,
    archived: FromQuery[bool] = False,
    q: Annotated[str | None, QueryParameter(min_length=1, max_length=100)] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> RulePage:
    """`event_type` is the text of a rule, `matching` the type of an event: payment.card finds the
    rules on payment.card, payment.* and *. `state` finds rules that have a version in that state,
    `q` a part of the name. Retired versions are looked at for `state=retired` only.
    """
    asked = queries.RuleFilters(
        event_type=event_type,
        matching=matching,
        active=active,
        state=version_state,
        archived=archived,
        q=q,
    )
    place = pages.place(cursor, route=_LIST, filters=_texts(asked))
    filters = msgspec.convert(place.filters, queries.RuleFilters, strict=False)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_rules(
            conn,
            filters=filters,
            patterns=patterns.candidates(filters.matching) if filters.matching else [],
            after=place.after,
            limit=limit + 1,
        )
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursors.encode(cursors.Cursor(_LIST, shown[-1].id, place.filters))
    return RulePage(rules=shown, next_cursor=next_cursor)


@get("/rules/live", tags=["rules"], summary="Which consumer evaluates with the present rules")
async def get_live(state: State) -> Live:
    async with database_pool.connection(state.pool) as conn:
        version = await queries.get_rulebook_version(conn)
        return Live(version=version, readers=await queries.list_readers(conn))


@get("/rules/{rule_id:str}", tags=["rules"], summary="One rule with the versions that count")
async def get_rule(rule_id: FromPath[str], state: State) -> Response[changes.RuleView]:
    found = changes.read_id(rule_id)
    async with database_pool.connection(state.pool) as conn:
        shown = await changes.view(conn, found)
    return changes.respond(shown, revision=shown.revision)


@put(
    "/rules/{rule_id:str}",
    tags=["rules"],
    summary="Replace a rule: a new version, published at once unless state says otherwise",
    opt={"body": bodies.RulePutBody},
)
async def put_rule(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State, if_match: IfMatch = None
) -> Response[changes.RuleView]:
    """What says the same as the version in that state makes no new one, so a retry is safe."""
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    body = await changes.read_body(request)
    new = bodies.read_rule(body, by.limits, with_id=False)
    await receivers.require(body, state, by.settings)
    async with changes.transaction(state) as conn:
        rule = await changes.lock(conn, found, by)
        shown = await _rewrite(
            conn,
            rule,
            by,
            _Target(name=new.name, active=new.active, content=new.content, state=new.state),
            action="rule.replace",
        )
    return changes.respond(shown, revision=shown.revision)


@patch(
    "/rules/{rule_id:str}",
    tags=["rules"],
    summary="Change some members; name and active alone make no new version",
    opt={"body": bodies.RulePatchBody},
)
async def patch_rule(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State, if_match: IfMatch = None
) -> Response[changes.RuleView]:
    """A JSON merge patch, but a condition and actions are replaced as a whole. The new version is
    made from the published one (else shadow, else the newest draft) and takes its state; a note is
    of one version and not taken over.
    """
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    change = bodies.read_patch(await changes.read_body(request))
    await receivers.require(change.fields, state, by.settings)
    async with changes.transaction(state) as conn:
        rule = await changes.lock(conn, found, by)
        target = _Target(name=change.name or rule.name, active=change.active)
        if change.fields:
            base = await _base(conn, found)
            content = bodies.patched(_members(base), change, by.limits)
            target = msgspec.structs.replace(target, content=content, state=_draftable(base.state))
        shown = await _rewrite(conn, rule, by, target, action="rule.patch")
    return changes.respond(shown, revision=shown.revision)


@delete(
    "/rules/{rule_id:str}",
    status_code=200,
    tags=["rules"],
    summary="Archive a rule: it is evaluated no more and kept with its history",
)
async def archive_rule(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State, if_match: IfMatch = None
) -> Response[changes.RuleView]:
    return await _set_archived(rule_id, request, state, if_match, archived=True)


@post(
    "/rules/{rule_id:str}/restore",
    status_code=200,
    tags=["rules"],
    summary="Take an archived rule back as it was",
)
async def restore_rule(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State, if_match: IfMatch = None
) -> Response[changes.RuleView]:
    return await _set_archived(rule_id, request, state, if_match, archived=False)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    create_rule,
    list_rules,
    get_live,
    get_rule,
    put_rule,
    patch_rule,
    archive_rule,
    restore_rule,
    *versions.ROUTES,
    executions.list_rule_executions,
)


async def _created_before(conn: Conn, rule_id: UUID, new: bodies.NewRule) -> changes.RuleView:
    """The stored rule when it is what this request would make. Raises rule-exists."""
    shown = await changes.view(conn, rule_id)
    same = await change_queries.has_content(conn, rule_id=rule_id, version=1, content=new.content)
    untouched = shown.revision == 1
    if untouched:
        first = shown.published or shown.shadow or shown.draft
        same = same and first is not None and first.state == new.state
        same = same and (shown.name, shown.active) == (new.name, new.active is not False)
    if not same:
        raise problems.Problem(
            "rule-exists",
            f"the rule {rule_id} exists and says something else",
            errors=[problems.Fault(pointer="/id", detail="choose another id or leave it out")],
        )
    return shown


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule shall be; without content its versions stay."""

    name: str
    active: bool | None
    content: change_queries.Content | None = None
    state: bodies.Draftable = "draft"


async def _rewrite(
    conn: Conn,
    rule: queries.RuleRow,
    by: changes.Author,
    new: _Target,
    *,
    action: str,
) -> changes.RuleView:
    """Bring a locked rule to what was asked for; what is so already is left alone."""
    before = await changes.view(conn, rule.id)
    present = {"published": before.published, "shadow": before.shadow, "draft": before.draft}
    standing = present[new.state]
    detail: changes.Detail = {}
    adds = new.content is not None and (
        standing is None
        or not await change_queries.has_content(
            conn, rule_id=rule.id, version=standing.version, content=new.content
        )
    )
    if adds:
        assert new.content is not None  # said above
        number, displaced = await changes.add_version(conn, rule.id, new.content, new.state)
        detail |= {"version": number, "state": new.state, "displaced": displaced}
    named = new.name != rule.name
    switched = new.active is not None and new.active != rule.active
    detail |= {"name": [rule.name, new.name]} if named else {}
    detail |= {"active": new.active} if switched else {}
    if not detail:
        return before
    return await changes.finish(
        conn,
        rule.id,
        by,
        action=action,
        detail=detail,
        visible=named or switched or (adds and new.state != "draft"),
        adds="version" if adds else None,
        name=new.name,
        active=new.active,
    )


async def _base(conn: Conn, rule_id: UUID) -> queries.RuleVersion:
    """The version that a patch changes."""
    shown = await changes.view(conn, rule_id)
    base = shown.published or shown.shadow or shown.draft
    if base is None:
        base = await queries.get_version(conn, rule_id=rule_id, version=shown.newest_version)
    assert base is not None  # a rule has a version from its first moment on
    return base


async def _set_archived(
    rule_id: str,
    request: Request[Any, Any, Any],
    state: State,
    if_match: str | None,
    *,
    archived: bool,
) -> Response[changes.RuleView]:
    by = changes.author(request, if_match)
    found = changes.read_id(rule_id)
    await versions.require_no_body(request)
    async with changes.transaction(state) as conn:
        rule = await changes.lock(conn, found, by, archived=True)
        if (rule.archived_at is not None) is archived:
            shown = await changes.view(conn, found)
        else:
            shown = await changes.finish(
                conn,
                found,
                by,
                action="rule.archive" if archived else "rule.restore",
                detail={},
                visible=True,
                adds=None if archived else "rule",
                archived=archived,
            )
    return changes.respond(shown, revision=shown.revision)


def _members(version: queries.RuleVersion) -> dict[str, Any]:
    return {
        "event_type": version.event_type,
        "condition": msgspec.json.decode(version.condition),
        "actions": msgspec.json.decode(version.actions),
        "engine": version.engine,
    }


def _draftable(state: str) -> bodies.Draftable:
    found: bodies.Draftable = "draft"
    for known in bodies.STATES:
        if known == state:
            found = known
    return found


def _texts(filters: queries.RuleFilters) -> dict[str, str]:
    """Filters as a cursor keeps them."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in msgspec.to_builtins(filters).items()
    }
