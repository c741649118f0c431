"""Statements of the runner of a bulk replay: the job, its pages of past events, position, counts.

Every write asks for the runner's name and the state, so a runner that lost the job, or whose job
was paused, changes nothing.
"""

from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api.queries import replay_jobs, replays
from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is ours until its lease ends."""

    id: UUID
    filter: dict[str, Any]
    mode: replays.Mode
    effects: replays.Effects
    version_ids: list[int] | None
    reason: str
    requested_by: str
    events_max: int
    total: int | None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the job stands, as its row says under our lock."""

    position_id: UUID | None
    rate_per_second: int
    examined: int


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What one page adds."""

    examined: int = 0
    replayed: int = 0
    skipped_open: int = 0
    skipped_expired: int = 0
    skipped_unapplied: int = 0


# Many apis look at once: who locks the row has it, the others skip it. The runner's name is new
# with every claim.
_CLAIM: LiteralString = """
update replays
set state = 'running', runner = %(runner)s, heartbeat_at = clock_timestamp(),
  started_at = coalesce(started_at, clock_timestamp())
where id = (
  select id from replays
  where state = 'queued'
    or (state = 'running'
      and heartbeat_at < clock_timestamp() - make_interval(secs => %(lease_seconds)s))
  order by id
  limit 1
  for update skip locked
)
returning id, filter, mode, effects, version_ids, reason, requested_by, events_max, total
"""

# The pages are index walks whatever the statistics say: a table that was just filled has none. What
# has a filter in it is not prepared either: it is planned with the type that is meant.
_CONFIGURE: LiteralString = """
select set_config('statement_timeout', %(timeout)s, false),
  set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
  set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)
"""

# How many events there are is for the progress only; so it may be given up. The heartbeat is put
# ahead for as long as it may take.
_HEARTBEAT: LiteralString = """
update replays
set heartbeat_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""
_TOTAL: LiteralString = """
select count(*) from (
  select from events e
  where e.id >= %(lowest)s and e.id < %(end)s {filter}
  limit %(limit)s
) t
"""
_SET_TOTAL: LiteralString = """
update replays
set total = %(total)s
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""

# The first statement of every page's transaction: the row's lock keeps any other runner, and
# everybody who pauses or cancels, out until the page is committed.
_FENCE: LiteralString = """
update replays
set heartbeat_at = clock_timestamp()
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
returning position_id, rate_per_second, examined
"""

# How far this page looks: a bounded part of the index, however few events of it are wanted.
_WINDOW: LiteralString = """
select w.id from (
  select e.id
  from events e
  where e.id > %(after)s and e.id >= %(lowest)s and e.id < %(end)s {indexed}
  order by e.id
  limit %(window)s
) w
order by w.id desc
limit 1
"""
# The first event beyond a look of so many.
_BEYOND: LiteralString = """
select e.id
from events e
where e.id >= %(lowest)s and e.id < %(end)s {indexed}
order by e.id
offset %(size)s
limit 1
"""
_INDEXED: dict[str, LiteralString] = {
    "event_ids": " and e.id = any(%(event_ids)s)",
    "subject": " and e.subject = %(subject)s",
    "type": " and e.event_type = %(type)s",
}

# Which events of the window are wanted. Read without locks: the lock that follows looks at their
# states again, and nothing else of what is asked can change. The sum ends a page of large events
# early: this process has bounded memory.
_PAGE: LiteralString = """
select w.id
from (
  select t.id, sum(t.bytes) over (
    order by t.id rows between unbounded preceding and 1 preceding) as bytes_before
  from (
    select e.id, octet_length(e.payload::text) as bytes
    from events e
    where e.id > %(after)s and e.id >= %(lowest)s and e.id <= %(last)s {filter}
    order by e.id
    limit %(limit)s
  ) t
) w
where coalesce(w.bytes_before, 0) < %(bytes_max)s
order by w.id
"""

# Position and counts in the transaction of the runs that they tell of: after a crash each event is
# replayed once. The row is locked since the page's first statement.
_ADVANCE: LiteralString = """
update replays
set position_id = %(position_id)s, heartbeat_at = clock_timestamp(),
  examined = examined + %(examined)s,
  replayed = replayed + %(replayed)s,
  skipped_open = skipped_open + %(skipped_open)s,
  skipped_expired = skipped_expired + %(skipped_expired)s,
  skipped_unapplied = skipped_unapplied + %(skipped_unapplied)s
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
returning id
"""

# Only while the job is ours; with its row in the audit log, or neither. A paused one has not ended.
_END: LiteralString = """
with ended as (
  update replays
  set state = %(state)s, error = %(error)s, runner = null,
    finished_at = case when %(state)s <> 'paused' then clock_timestamp() end
  where id = %(id)s
    and runner = %(runner)s
    and state = 'running'
  returning id, requested_by, effects, examined, replayed, skipped_open, skipped_expired,
    skipped_unapplied, error
)
insert into audit_log (actor, action, target, detail)
select requested_by, 'replay.' || %(state)s, 'replays/' || id, jsonb_strip_nulls(jsonb_build_object(
  'effects', effects, 'examined', examined, 'replayed', replayed, 'skipped_open', skipped_open,
  'skipped_expired', skipped_expired, 'skipped_unapplied', skipped_unapplied, 'error', error))
from ended
"""

# Only while the job is ours: who stops gives it back.
_RELEASE: LiteralString = """
update replays
set state = 'queued', runner = null
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""


class Mine:
    """The statements of one runner on its job."""

    def __init__(self, *, job_id: UUID, runner: str) -> None:
        self._keys = {"id": job_id, "runner": runner}

    async def heartbeat(self, conn: Conn, *, seconds: float) -> None:
        await conn.execute(_HEARTBEAT, {**self._keys, "seconds": seconds})

    async def set_total(self, conn: Conn, *, total: int) -> None:
        await conn.execute(_SET_TOTAL, {**self._keys, "total": total})

    async def fence(self, conn: Conn) -> Standing | None:
        """None when the job is not ours, or does not run, any more."""
        async with conn.cursor(row_factory=database.class_row(Standing)) as cursor:
            await cursor.execute(_FENCE, self._keys)
            return await cursor.fetchone()

    async def advance(self, conn: Conn, *, position_id: UUID, counts: Counts) -> None:
        values = {**self._keys, **msgspec.structs.asdict(counts), "position_id": position_id}
        cursor = await conn.execute(_ADVANCE, values)
        assert await cursor.fetchone() is not None  # fenced in this transaction

    async def end(self, conn: Conn, *, state: str, error: str | None = None) -> None:
        await conn.execute(_END, {**self._keys, "state": state, "error": error})

    async def release(self, conn: Conn) -> bool:
        """False when it was not ours, or did not run, any more."""
        return (await conn.execute(_RELEASE, self._keys)).rowcount == 1


async def claim(conn: Conn, *, runner: str, lease_seconds: float) -> Claim | None:
    async with conn.cursor(row_factory=database.class_row(Claim)) as cursor:
        await cursor.execute(_CLAIM, {"runner": runner, "lease_seconds": lease_seconds})
        return await cursor.fetchone()


async def configure(conn: Conn, *, statement_seconds: float) -> None:
    await conn.execute(_CONFIGURE, {"timeout": f"{round(statement_seconds * 1000)}ms"})


async def count(conn: Conn, *, asked: replay_jobs.Range, events_max: int) -> int:
    cursor = await conn.execute(
        replay_jobs.narrowed(_TOTAL, asked.filter),
        {**asked.parameters, "limit": events_max},
        prepare=False,
    )
    row = await cursor.fetchone()
    assert row is not None  # an aggregate has a row
    return int(row[0])


async def find_window(
    conn: Conn, *, asked: replay_jobs.Range, after: UUID, size: int
) -> UUID | None:
    """The last id of the next part of the events; None when there are no more."""
    cursor = await conn.execute(
        window_statement(asked.filter),
        {**asked.parameters, "after": after, "window": size},
        prepare=False,
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def find_beyond(conn: Conn, *, asked: replay_jobs.Range, size: int) -> UUID | None:
    """The first id that a look of this size does not reach; None when it sees the whole range."""
    cursor = await conn.execute(
        _indexed(_BEYOND, asked.filter), {**asked.parameters, "size": size}, prepare=False
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


def window_statement(asked: replay_jobs.Filter) -> LiteralString:
    return _indexed(_WINDOW, asked)


def _indexed(statement: LiteralString, asked: replay_jobs.Filter) -> LiteralString:
    """By the most exact index that the filter allows."""
    for name, condition in _INDEXED.items():
        if getattr(asked, name) is not None:
            return statement.replace("{indexed}", condition)
    return statement.replace("{indexed}", "")


async def list_page(
    conn: Conn, *, asked: replay_jobs.Range, after: UUID, last: UUID, limit: int, bytes_max: int
) -> list[UUID]:
    """At least one event when there is one, however large it is."""
    cursor = await conn.execute(
        replay_jobs.narrowed(_PAGE, asked.filter),
        {
            **asked.parameters,
            "after": after,
            "last": last,
            "limit": limit,
            "bytes_max": bytes_max,
        },
        prepare=False,
    )
    return [row[0] for row in await cursor.fetchall()]
