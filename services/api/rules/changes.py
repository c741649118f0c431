"""How a rule changes: one transaction that locks the rule, checks If-Match and the limits, raises
the revision and the rulebook, and writes the audit log; then a notification.
"""

import contextlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.datastructures import State

from services.api import access, database_pool, etags, guards, pages, problems
from services.api.queries import rule_changes as queries
from services.api.queries import rules as rule_queries
from services.api.rules import bodies
from services.api.settings import ApiSettings
from shared import database
from shared.rules import port

type Conn = database_pool.Conn
type Detail = dict[str, Any]
type Adds = Literal["rule", "version"] | None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule with the versions that count: published, in shadow, the newest draft.

    Every consumer evaluates what is shown once it has seen rulebook_version (GET /rules/live).
    """

    id: UUID
    name: str
    active: bool
    revision: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    newest_version: int
    published: rule_queries.RuleVersion | None
    shadow: rule_queries.RuleVersion | None
    draft: rule_queries.RuleVersion | None
    rulebook_version: int


class Author(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes, by which bounds, and which revision they have read."""

    actor: str
    settings: ApiSettings
    if_match: str | None = None

    @property
    def limits(self) -> port.Limits:
        return self.settings.rule_limits


def author(request: Request[Any, Any, Any], if_match: str | None = None) -> Author:
    settings: ApiSettings = request.app.state.resources.settings
    return Author(actor=access.actor(request), settings=settings, if_match=if_match)


async def read_body(request: Request[Any, Any, Any]) -> Any:
    """The decoded body; the front has checked it, and an empty one is said to be empty here."""
    settings: ApiSettings = request.app.state.resources.settings
    return guards.read_json(await request.body(), bodies.json_limits(settings))


def read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise no_rule()
    return found


def no_rule() -> problems.Problem:
    return problems.Problem("not-found", "there is no such rule")


def no_version() -> problems.Problem:
    return problems.Problem("not-found", "the rule has no such version")


@asynccontextmanager
async def transaction(state: State) -> AsyncGenerator[Conn]:
    """One change, whole or not at all; the consumers are told when it is committed."""
    async with database_pool.connection(state.pool, writes=True) as conn:
        async with conn.transaction():
            yield conn
        # The change stands: who does not hear of it finds it by the next poll.
        with contextlib.suppress(database.Error):
            await queries.notify(conn)


async def lock(
    conn: Conn, rule_id: UUID, by: Author, *, archived: bool = False
) -> rule_queries.RuleRow:
    """Lock a rule for the rest of the transaction and check what the client knows of it."""
    if not await queries.lock_rule(conn, rule_id=rule_id):
        raise no_rule()
    rule = await rule_queries.get_rule(conn, rule_id=rule_id)
    assert rule is not None  # rules are never deleted
    etags.require_match(by.if_match, revision=rule.revision)
    if rule.archived_at is not None and not archived:
        raise problems.Problem(
            "rule-archived", "the rule is archived: restore it first (POST /rules/{id}/restore)"
        )
    return rule


async def lock_version(conn: Conn, rule_id: UUID, version: int) -> queries.Held:
    held = await queries.find_version(conn, rule_id=rule_id, version=version)
    if held is None:
        raise no_version()
    return held


async def add_version(
    conn: Conn, rule_id: UUID, content: queries.Content, state: str
) -> tuple[int, int | None]:
    """Insert a version in its state; its number, and the one that made room for it."""
    displaced = None
    if state != "draft":
        displaced = await queries.make_room(conn, rule_id=rule_id, state=state)
    number = await queries.insert_version(conn, rule_id=rule_id, content=content, state=state)
    return number, displaced


async def change_state(
    conn: Conn, rule_id: UUID, held: queries.Held, state: str
) -> tuple[bool, Detail]:
    """Take a version to a state; whether anything changed, and what to note of it."""
    detail: Detail = {"version": held.version, "from": held.state}
    if held.state == state:
        if state == "published" and held.suspended:
            await queries.resume_version(conn, version_id=held.id)
            return True, {**detail, "resumed": True}
        return False, detail
    if not await queries.is_edge(conn, from_state=held.state, to_state=state):
        raise wrong_state(held, f"it cannot become {state}")
    if state in {"published", "shadow"}:
        displaced = await queries.make_room(conn, rule_id=rule_id, state=state)
        detail |= {} if displaced is None else {"displaced": displaced}
        await queries.resume_version(conn, version_id=held.id)
    await queries.move_version(conn, version_id=held.id, state=state)
    return True, detail


def wrong_state(held: queries.Held, why: str) -> problems.Problem:
    return problems.Problem(
        "rule-version-state",
        f"version {held.version} is {held.state}: {why}",
        state=held.state,
        version=held.version,
    )


async def finish(
    conn: Conn,
    rule_id: UUID,
    by: Author,
    *,
    action: str,
    detail: Detail,
    visible: bool,
    adds: Adds = None,
    name: str | None = None,
    active: bool | None = None,
    archived: bool | None = None,
) -> RuleView:
    """Raise the revision (and the rulebook, when evaluation sees the change), check the limits,
    note who did it, and read the rule as it will be committed.
    """
    await queries.update_rule(conn, rule_id=rule_id, name=name, active=active, archived=archived)
    return await conclude(
        conn, rule_id, by, action=action, detail=detail, visible=visible, adds=adds
    )


async def conclude(
    conn: Conn,
    rule_id: UUID,
    by: Author,
    *,
    action: str,
    detail: Detail,
    visible: bool,
    adds: Adds,
) -> RuleView:
    """The same for a rule that was made in this transaction."""
    if visible:
        await queries.raise_rulebook(conn)
    else:
        await queries.lock_rulebook(conn)
    if adds is not None:
        await _require_room(conn, rule_id, by.settings, adds=adds)
    shown = await view(conn, rule_id)
    await queries.audit(
        conn,
        actor=by.actor,
        action=action,
        target=f"rules/{rule_id}",
        detail={**detail, "revision": shown.revision, "rulebook_version": shown.rulebook_version},
    )
    return shown


async def view(conn: Conn, rule_id: UUID) -> RuleView:
    """A rule as it is shown. Raises not-found."""
    rule = await rule_queries.get_rule(conn, rule_id=rule_id)
    if rule is None:
        raise no_rule()
    versions = await rule_queries.list_standing(conn, rule_id=rule_id)
    by_state = {version.state: version for version in reversed(versions)}
    return RuleView(
        id=rule.id,
        name=rule.name,
        active=rule.active,
        revision=rule.revision,
        archived_at=rule.archived_at,
        created_at=rule.created_at,
        updated_at=rule.updated_at,
        newest_version=versions[0].version,
        published=by_state.get("published"),
        shadow=by_state.get("shadow"),
        draft=by_state.get("draft"),
        rulebook_version=rule.rulebook_version,
    )


def respond[T](
    content: T,
    *,
    revision: int,
    status: int = 200,
    location: str | None = None,
    replayed: bool = False,
) -> Response[T]:
    """An answer with the rule's ETag."""
    headers = {"ETag": etags.make(revision)}
    if location is not None:
        headers["Location"] = location
    if replayed:
        headers["Idempotent-Replayed"] = "true"
    return Response(content, status_code=status, headers=headers)


async def _require_room(
    conn: Conn, rule_id: UUID, settings: ApiSettings, *, adds: Literal["rule", "version"]
) -> None:
    """What only shrinks or stays is never refused, also when an operator lowered a limit."""
    rules, versions, live = await queries.count(conn, rule_id=rule_id)
    if adds == "rule" and rules > settings.rules_max:
        raise _too_many(settings.rules_max, "rules: archive some, or raise RULES_MAX")
    if versions > settings.rule_versions_max:
        raise _too_many(
            settings.rule_versions_max,
            "versions of one rule: make a new rule, or raise RULE_VERSIONS_MAX",
        )
    if live > settings.rules_per_type_max:
        raise _too_many(
            settings.rules_per_type_max,
            "published and shadow versions with one event type: retire or archive some, give one "
            "rule several actions, or raise RULES_PER_TYPE_MAX",
        )


def _too_many(most: int, what: str) -> problems.Problem:
    return problems.Problem("too-many-rules", f"there may be {most} {what}", limit=most)
