"""Reads of rules, their versions, and of who evaluates with them; rule_changes has the writes."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class RuleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A rule without its versions; rulebook_version is of the same snapshot."""

    id: UUID
    name: str
    active: bool
    revision: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    rulebook_version: int


class Suspension(msgspec.Struct, frozen=True, kw_only=True):
    """Why a version is evaluated no more, until it is resumed or published again."""

    reason: str
    consumer: str
    suspended_at: datetime


class RuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One version: everything but its state and the moments of its state stays as it is."""

    rule_id: UUID
    version: int
    state: str
    event_type: str
    condition: msgspec.Raw
    actions: msgspec.Raw
    engine: str
    engine_version: str
    note: str | None
    created_at: datetime
    shadowed_at: datetime | None
    published_at: datetime | None
    retired_at: datetime | None
    suspension: Suspension | None


class RuleListed(msgspec.Struct, frozen=True, kw_only=True):
    """A rule in a list, with the version that counts: published, else shadow, draft, retired."""

    id: UUID
    name: str
    active: bool
    revision: int
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int
    state: str
    event_type: str
    condition: msgspec.Raw
    actions: msgspec.Raw
    engine: str
    published_version: int | None
    shadow_version: int | None
    draft_version: int | None
    suspended: bool


class RuleFilters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a list of rules can be narrowed by; patterns are those that match a type."""

    event_type: str | None = None
    matching: str | None = None
    active: bool | None = None
    state: str | None = None
    archived: bool | None = None
    q: str | None = None


class Reader(msgspec.Struct, frozen=True, kw_only=True):
    """One process that follows the rules, as it last reported itself; an api has no count."""

    reader: str
    service: str
    seen_version: int
    rules: int | None
    seen_at: datetime
    alive: bool
    up_to_date: bool


# Reads: any committed state is a right answer. A rule is read before its versions, so the revision
# that is shown may be older than they are and never newer: If-Match with it is refused, not fooled.
_RULE: LiteralString = """
select r.id, r.name, r.active, r.revision, r.archived_at, r.created_at, r.updated_at,
  s.version as rulebook_version
from rules r, rulebook_state s
where r.id = %(id)s
"""

_VERSIONS: LiteralString = """
select v.rule_id, v.version, v.state, v.event_type, v.condition::text as condition,
  v.actions::text as actions, v.engine, v.engine_version, v.note, v.created_at, v.shadowed_at,
  v.published_at, v.retired_at,
  s.reason as suspension_reason, s.consumer, s.suspended_at
from rule_versions v
left join rule_suspensions s on s.version_id = v.id and s.resumed_at is null
where v.rule_id = %(rule_id)s
"""

# The published one, the one in shadow, the newest draft; and the newest of all when all are
# retired.
_STANDING: LiteralString = """
  and (
    v.state in ('published', 'shadow')
    or v.version = (
      select max(d.version) from rule_versions d
      where d.rule_id = %(rule_id)s and d.state = 'draft')
    or v.version = (select max(n.version) from rule_versions n where n.rule_id = %(rule_id)s)
  )
order by v.version desc
"""

# Newest first; a rule keeps its moment of creation, so a page moves nothing that was shown.
_LISTED: LiteralString = """
select r.id, r.name, r.active, r.revision, r.archived_at, r.created_at, r.updated_at,
  v.version, v.state, v.event_type, v.condition::text as condition, v.actions::text as actions,
  v.engine,
  (select p.version from rule_versions p where p.rule_id = r.id and p.state = 'published')
    as published_version,
  (select h.version from rule_versions h where h.rule_id = r.id and h.state = 'shadow')
    as shadow_version,
  (select max(d.version) from rule_versions d where d.rule_id = r.id and d.state = 'draft')
    as draft_version,
  exists (
    select from rule_versions w join rule_suspensions s on s.version_id = w.id
    where w.rule_id = r.id and s.resumed_at is null) as suspended
from rules r
cross join lateral (
  select c.version, c.state, c.event_type, c.condition, c.actions, c.engine
  from rule_versions c
  where c.rule_id = r.id
  order by array_position(array['published', 'shadow', 'draft', 'retired'], c.state), c.version desc
  limit 1
) v
where true
"""

_LIST_FILTERS: dict[str, LiteralString] = {
    "event_type": """
  and exists (
    select from rule_versions x
    where x.rule_id = r.id and x.state <> 'retired' and x.event_type = %(event_type)s)""",
    "matching": """
  and exists (
    select from rule_versions x
    where x.rule_id = r.id and x.state <> 'retired' and x.event_type = any(%(patterns)s))""",
    "active": " and r.active = %(active)s",
    "state": """
  and exists (select from rule_versions x where x.rule_id = r.id and x.state = %(state)s)""",
    "archived": " and (r.archived_at is not null) = %(archived)s",
    "q": " and r.name ilike %(q)s",
}

# A reader that has not reported for ten minutes is history.
_READERS: LiteralString = """
select k.reader, k.service, k.seen_version, k.rules, k.seen_at,
  k.seen_at > clock_timestamp() - interval '5 seconds' as alive,
  k.seen_version >= s.version as up_to_date
from rulebook_readers k, rulebook_state s
where k.seen_at > clock_timestamp() - interval '10 minutes'
order by k.service, k.reader
limit 200
"""

_RULEBOOK: LiteralString = "select version from rulebook_state"


async def get_rule(conn: Conn, *, rule_id: UUID) -> RuleRow | None:
    async with conn.cursor(row_factory=database.class_row(RuleRow)) as cursor:
        await cursor.execute(_RULE, {"id": rule_id})
        return await cursor.fetchone()


async def list_standing(conn: Conn, *, rule_id: UUID) -> list[RuleVersion]:
    """The versions that somebody works with, newest first; at least one for a rule."""
    return await _read_versions(conn, _VERSIONS + _STANDING, {"rule_id": rule_id})


async def get_version(conn: Conn, *, rule_id: UUID, version: int) -> RuleVersion | None:
    rows = await _read_versions(
        conn,
        _VERSIONS + " and v.version = %(version)s",
        {"rule_id": rule_id, "version": version},
    )
    return rows[0] if rows else None


async def list_versions(
    conn: Conn, *, rule_id: UUID, before: int | None, limit: int
) -> list[RuleVersion]:
    """Newest first; one row more than a page tells whether another follows."""
    statement: LiteralString = _VERSIONS
    if before is not None:
        statement += " and v.version < %(before)s"
    return await _read_versions(
        conn,
        statement + " order by v.version desc limit %(limit)s",
        {"rule_id": rule_id, "before": before, "limit": limit},
    )


async def list_rules(
    conn: Conn, *, filters: RuleFilters, patterns: list[str], after: UUID | None, limit: int
) -> list[RuleListed]:
    """Newest first; one row more than a page tells whether another follows."""
    parameters: dict[str, Any] = {"after": after, "limit": limit, "patterns": patterns}
    statement: LiteralString = _LISTED
    for name, condition in _LIST_FILTERS.items():
        value = getattr(filters, name)
        if value is not None:
            statement += condition
            parameters[name] = _like(value) if name == "q" else value
    if after is not None:
        statement += """
  and (r.created_at, r.id) < (select a.created_at, a.id from rules a where a.id = %(after)s)"""
    statement += " order by r.created_at desc, r.id desc limit %(limit)s"
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return [RuleListed(**_with_json(row)) for row in await cursor.fetchall()]


async def list_readers(conn: Conn) -> list[Reader]:
    async with conn.cursor(row_factory=database.class_row(Reader)) as cursor:
        await cursor.execute(_READERS)
        return await cursor.fetchall()


async def get_rulebook_version(conn: Conn) -> int:
    row = await (await conn.execute(_RULEBOOK)).fetchone()
    assert row is not None  # the schema inserts the row
    return int(row[0])


async def _read_versions(
    conn: Conn, statement: LiteralString, parameters: dict[str, Any]
) -> list[RuleVersion]:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return [_version(row) for row in await cursor.fetchall()]


def _version(row: dict[str, Any]) -> RuleVersion:
    reason, consumer = row.pop("suspension_reason"), row.pop("consumer")
    suspended_at = row.pop("suspended_at")
    suspension = None
    if suspended_at is not None:
        suspension = Suspension(reason=reason, consumer=consumer, suspended_at=suspended_at)
    return RuleVersion(suspension=suspension, **_with_json(row))


def _with_json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        **row,
        "condition": msgspec.Raw(row["condition"].encode()),
        "actions": msgspec.Raw(row["actions"].encode()),
    }


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
