"""Statements on rules: which are live, and what became of them."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec

from services.consumer.queries import batch
from shared import database

# Read before every batch is applied, after it was consumed: a rule whose change was answered before
# an event was accepted is committed before this statement's snapshot, so it counts for that event.
READ_VERSION: LiteralString = "select s.version from rulebook_state s"

# One statement, one snapshot: the list is what stood at that version or a later one, and then the
# next batch reads it again.
READ_LIVE: LiteralString = """
    select v.id, v.rule_id, v.version, v.state = 'shadow' as shadow, v.event_type, v.engine
    from rule_versions v
    join rules r on r.id = v.rule_id
    where v.state in ('shadow', 'published') and r.active and r.archived_at is null
    order by v.rule_id, v.id"""

# Versions never change, so what was read once is kept compiled.
READ_TEXTS: LiteralString = """
    select v.id, v.condition::text, v.actions::text
    from rule_versions v
    where v.id = any(%(ids)b::bigint[])"""

# Named by a replay: of any state, also of rules that are archived by now. They never change either.
READ_VERSIONS: LiteralString = """
    select v.id, v.rule_id, v.version, false as shadow, v.event_type, v.engine
    from rule_versions v
    where v.id = any(%(ids)b::bigint[])
    order by v.rule_id, v.id"""

READ_SUSPENDED: LiteralString = """
    select u.version_id from rule_suspensions u where u.resumed_at is null"""

READ_TIMEOUTS: LiteralString = "select t.event_type, t.processing_timeout_ms from event_types t"

# Each consumer writes its own row, after the version is in force, and clears away those of readers
# that are gone: two that do so at once meet on rows which neither of them writes.
REPORT: LiteralString = """
    with gone as (
      delete from rulebook_readers where seen_at < now() - interval '1 hour'
    )
    insert into rulebook_readers (reader, service, seen_version, rules)
    values (%(reader)s, 'consumer', %(version)s, %(rules)s)
    on conflict (reader) do update
    set seen_version = excluded.seen_version, rules = excluded.rules, seen_at = now()"""

# Two consumers that give up on one version at once: the first row stands.
SUSPEND: LiteralString = """
    insert into rule_suspensions (version_id, reason, consumer)
    values (%(version_id)s, %(reason)s, %(consumer)s)
    on conflict (version_id) where resumed_at is null do nothing"""

# The writer holds the dedupe rows of these events, uncommitted: an attempt has one writer. A zombie
# that recorded the same attempt before is left as it stands.
ADD_EXECUTIONS: LiteralString = """
    insert into rule_executions (
      event_id, replay, attempt_no, version_id, result, shadow, error_class, reason, duration_us)
    select i.event_id, i.replay, i.attempt_no, i.version_id, i.result, i.shadow, i.error_class,
      i.reason, i.duration_us
    from unnest(
      %(event_ids)b::uuid[], %(replays)b::int[], %(attempt_nos)b::int[], %(version_ids)b::bigint[],
      %(results)b::text[], %(shadows)b::bool[], %(error_classes)b::text[], %(reasons)b::text[],
      %(durations)b::float8[]
    ) as i (event_id, replay, attempt_no, version_id, result, shadow, error_class, reason,
      duration_us)
    on conflict do nothing"""

# The same for what did not match: one row per attempt. Arrays of arrays would have to be of one
# length, so all places lie in one array and each row takes its slice.
ADD_SKIPS: LiteralString = """
    insert into rule_skips (event_id, replay, attempt_no, version_ids, shadows, durations_us)
    select i.event_id, i.replay, i.attempt_no, (%(version_ids)b::bigint[])[i.first:i.last],
      (%(shadows)b::bool[])[i.first:i.last], (%(durations)b::real[])[i.first:i.last]
    from unnest(
      %(event_ids)b::uuid[], %(replays)b::int[], %(attempt_nos)b::int[], %(firsts)b::int[],
      %(lasts)b::int[]
    ) as i (event_id, replay, attempt_no, first, last)
    on conflict do nothing"""


# A read of what never changes.
READ_EXTERNAL_IDS: LiteralString = """
    select e.id, e.external_id from events e where e.id = any(%(ids)b::uuid[])"""


class LiveRow(msgspec.Struct, frozen=True, kw_only=True):
    """A version to evaluate: live, or named by a replay."""

    id: int
    rule_id: UUID
    version: int
    shadow: bool
    event_type: str
    engine: str


def read_version(conn: batch.Connection) -> int:
    row = conn.execute(READ_VERSION).fetchone()
    assert row is not None  # the table's one row
    return row[0]


def read_live(conn: batch.Connection) -> list[LiveRow]:
    with conn.cursor(row_factory=database.class_row(LiveRow)) as cursor:
        return cursor.execute(READ_LIVE).fetchall()


def read_versions(conn: batch.Connection, ids: Sequence[int]) -> list[LiveRow]:
    with conn.cursor(row_factory=database.class_row(LiveRow)) as cursor:
        return cursor.execute(READ_VERSIONS, {"ids": list(ids)}).fetchall()


def read_texts(conn: batch.Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Condition and actions of versions, as JSON text."""
    rows = conn.execute(READ_TEXTS, {"ids": list(ids)}).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


def read_external_ids(conn: batch.Connection, ids: Sequence[UUID]) -> dict[UUID, str]:
    return {row[0]: row[1] for row in conn.execute(READ_EXTERNAL_IDS, {"ids": list(ids)})}


def read_suspended(conn: batch.Connection) -> frozenset[int]:
    return frozenset(row[0] for row in conn.execute(READ_SUSPENDED).fetchall())


def read_timeouts_ms(conn: batch.Connection) -> dict[str, int]:
    return {row[0]: row[1] for row in conn.execute(READ_TIMEOUTS).fetchall()}


def report(conn: batch.Connection, *, reader: str, version: int, rules: int) -> None:
    conn.execute(REPORT, {"reader": reader, "version": version, "rules": rules})


def suspend(conn: batch.Connection, *, version_id: int, reason: str, consumer: str) -> bool:
    """False when another consumer was first."""
    bound = {"version_id": version_id, "reason": reason, "consumer": consumer}
    return conn.execute(SUSPEND, bound).rowcount == 1


def add_executions(conn: batch.Connection, *, columns: batch.Columns) -> None:
    conn.execute(ADD_EXECUTIONS, columns)


def add_skips(conn: batch.Connection, *, columns: batch.Columns) -> None:
    conn.execute(ADD_SKIPS, columns)
