"""Writes of rules and their versions. Every change locks its rule first, then the rulebook."""

from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says for ever; condition and actions as JSON text."""

    event_type: str
    condition: bytes
    actions: bytes
    engine: str
    engine_version: str
    note: str | None


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a rule that is locked."""

    id: int
    version: int
    state: str
    suspended: bool


# The row's lock comes first in every change of a rule: two changes of one rule are one after the
# other, and the second one sees the first one's revision.
_LOCK_RULE: LiteralString = "select id from rules where id = %(id)s for update"

# Taken after the rule's lock and held to the commit: counts against limits are exact.
_LOCK_RULEBOOK: LiteralString = "select version from rulebook_state for update"
_RAISE_RULEBOOK: LiteralString = "update rulebook_state set version = version + 1 returning version"

# The primary key decides; who comes second with one id gets no row and looks at the first one's.
_INSERT_RULE: LiteralString = """
insert into rules (id, name, active)
values (%(id)s, %(name)s, %(active)s)
on conflict (id) do nothing
returning id
"""

# Under the rule's lock.
_UPDATE_RULE: LiteralString = """
update rules
set name = coalesce(%(name)s::text, name), active = coalesce(%(active)s::boolean, active),
  archived_at = case %(archived)s::boolean
    when true then now() when false then null else archived_at end,
  revision = revision + 1, updated_at = now()
where id = %(id)s
"""

# Under the rule's lock (or in the transaction that made the rule), so the number is free; the
# unique (rule_id, version) and the partial unique indexes would refuse a second one.
_INSERT_VERSION: LiteralString = """
insert into rule_versions (rule_id, version, state, event_type, condition, actions, engine,
  engine_version, note, shadowed_at, published_at)
select %(rule_id)s, coalesce(max(version), 0) + 1, %(state)s::text, %(event_type)s,
  %(condition)s::jsonb, %(actions)s::jsonb, %(engine)s, %(engine_version)s, %(note)s,
  case when %(state)s::text = 'shadow' then now() end,
  case when %(state)s::text = 'published' then now() end
from rule_versions
where rule_id = %(rule_id)s
returning version
"""

# Under the rule's lock: who was published or in shadow makes room.
_MAKE_ROOM: LiteralString = """
update rule_versions
set state = case state when 'published' then 'retired' else 'draft' end,
  retired_at = case state when 'published' then now() else retired_at end
where rule_id = %(rule_id)s and state = %(state)s::text
returning version
"""

# Under the rule's lock; the trigger refuses every edge that rule_version_edges does not have.
_MOVE: LiteralString = """
update rule_versions
set state = %(state)s::text,
  shadowed_at = case when %(state)s::text = 'shadow' then now() else shadowed_at end,
  published_at = case when %(state)s::text = 'published' then now() else published_at end,
  retired_at = case when %(state)s::text = 'retired' then now() else retired_at end
where id = %(id)s
"""

# Under the rule's lock; a consumer may suspend it again right after, which is its right.
_RESUME: LiteralString = """
update rule_suspensions set resumed_at = now() where version_id = %(id)s and resumed_at is null
"""

# Under the rule's lock.
_HELD: LiteralString = """
select v.id, v.version, v.state, exists (
    select from rule_suspensions s where s.version_id = v.id and s.resumed_at is null) as suspended
from rule_versions v
where v.rule_id = %(rule_id)s and v.version = %(version)s
"""

# Under the rule's lock; jsonb knows that 1 and 1.0 are one number and 1 and true are not.
_SAME_CONTENT: LiteralString = """
select v.event_type = %(event_type)s and v.condition = %(condition)s::jsonb
  and v.actions = %(actions)s::jsonb and v.engine = %(engine)s
  and v.note is not distinct from %(note)s::text
from rule_versions v
where v.rule_id = %(rule_id)s and v.version = %(version)s
"""

# A copy of the schema's table, which never changes while the service runs.
_EDGE: LiteralString = """
select exists (
  select from rule_version_edges
  where from_state = %(from_state)s::text and to_state = %(to_state)s::text)
"""

# Under the lock of rulebook_state: nobody adds a rule or a version meanwhile.
_COUNTS: LiteralString = """
select
  (select count(*) from rules where archived_at is null) as rules,
  (select count(*) from rule_versions where rule_id = %(rule_id)s) as versions,
  (select coalesce(max(t.live), 0) from (
     select count(*) as live
     from rule_versions v join rules r on r.id = v.rule_id
     where v.state in ('shadow', 'published') and r.archived_at is null
       and v.event_type in (
         select w.event_type from rule_versions w
         where w.rule_id = %(rule_id)s and w.state in ('shadow', 'published'))
     group by v.event_type) t) as live
"""

# Append-only.
_AUDIT: LiteralString = """
insert into audit_log (actor, action, target, detail)
values (%(actor)s, %(action)s, %(target)s, %(detail)s)
"""

# Sent after the commit, so that whoever hears it finds the change; a lost one costs a poll.
_NOTIFY: LiteralString = "select pg_notify(%(channel)s, '')"


async def lock_rule(conn: Conn, *, rule_id: UUID) -> bool:
    return await (await conn.execute(_LOCK_RULE, {"id": rule_id})).fetchone() is not None


async def lock_rulebook(conn: Conn) -> None:
    await conn.execute(_LOCK_RULEBOOK)


async def raise_rulebook(conn: Conn) -> None:
    await conn.execute(_RAISE_RULEBOOK)


async def insert_rule(conn: Conn, *, rule_id: UUID, name: str, active: bool) -> bool:
    """Whether the rule is new; False when the id belongs to another one."""
    cursor = await conn.execute(_INSERT_RULE, {"id": rule_id, "name": name, "active": active})
    return await cursor.fetchone() is not None


async def update_rule(
    conn: Conn, *, rule_id: UUID, name: str | None, active: bool | None, archived: bool | None
) -> None:
    """Raise the revision; what is None stays."""
    await conn.execute(
        _UPDATE_RULE, {"id": rule_id, "name": name, "active": active, "archived": archived}
    )


async def insert_version(conn: Conn, *, rule_id: UUID, content: Content, state: str) -> int:
    """The number of the new version."""
    row = await (
        await conn.execute(_INSERT_VERSION, {"rule_id": rule_id, "state": state, **_texts(content)})
    ).fetchone()
    assert row is not None  # an insert of one row returns one
    return int(row[0])


async def make_room(conn: Conn, *, rule_id: UUID, state: str) -> int | None:
    """Retire the published version, or take the one in shadow back to draft; its number."""
    row = await (await conn.execute(_MAKE_ROOM, {"rule_id": rule_id, "state": state})).fetchone()
    return None if row is None else int(row[0])


async def move_version(conn: Conn, *, version_id: int, state: str) -> None:
    await conn.execute(_MOVE, {"id": version_id, "state": state})


async def resume_version(conn: Conn, *, version_id: int) -> None:
    await conn.execute(_RESUME, {"id": version_id})


async def find_version(conn: Conn, *, rule_id: UUID, version: int) -> Held | None:
    async with conn.cursor(row_factory=database.class_row(Held)) as cursor:
        await cursor.execute(_HELD, {"rule_id": rule_id, "version": version})
        return await cursor.fetchone()


async def has_content(conn: Conn, *, rule_id: UUID, version: int, content: Content) -> bool:
    """Whether a version says the same."""
    row = await (
        await conn.execute(
            _SAME_CONTENT, {"rule_id": rule_id, "version": version, **_texts(content)}
        )
    ).fetchone()
    return row is not None and bool(row[0])


async def is_edge(conn: Conn, *, from_state: str, to_state: str) -> bool:
    row = await (
        await conn.execute(_EDGE, {"from_state": from_state, "to_state": to_state})
    ).fetchone()
    return row is not None and bool(row[0])


async def count(conn: Conn, *, rule_id: UUID) -> tuple[int, int, int]:
    """Rules that are not archived, versions of the rule, and most live versions of its types."""
    row = await (await conn.execute(_COUNTS, {"rule_id": rule_id})).fetchone()
    assert row is not None  # one row, whatever the tables hold
    return int(row[0]), int(row[1]), int(row[2])


async def audit(
    conn: Conn, *, actor: str, action: str, target: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        _AUDIT,
        {"actor": actor, "action": action, "target": target, "detail": database.Jsonb(detail)},
    )


async def notify(conn: Conn) -> None:
    await conn.execute(_NOTIFY, {"channel": database.RULES_CHANNEL})


def _texts(content: Content) -> dict[str, Any]:
    return {
        "event_type": content.event_type,
        "condition": content.condition.decode(),
        "actions": content.actions.decode(),
        "engine": content.engine,
        "engine_version": content.engine_version,
        "note": content.note,
    }
