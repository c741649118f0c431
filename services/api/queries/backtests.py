"""Statements on backtests as the api sees them: asked for, listed, claimed, ended.

What the process of a backtest reads and writes is in backtest_pages.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

# Two apis that count the unfinished jobs at once would both find room.
_QUEUE_LOCK = 8_310_010


class VersionRow(msgspec.Struct, frozen=True, kw_only=True):
    """What of a rule version is evaluated; condition and actions as JSON text."""

    id: int
    rule_id: UUID
    version: int
    state: str
    event_type: str
    condition: str
    actions: str
    engine: str
    engine_version: str
    shadowed_at: datetime | None


class BacktestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its counts; seconds is how long it runs or ran, by the database's clock."""

    id: UUID
    rule_id: UUID
    candidate_id: int
    baseline_id: int | None
    version: int
    against: int | None
    received_after: datetime | None
    received_before: datetime
    events_max: int
    state: str
    cancel_requested: bool
    total: int | None
    examined: int
    not_reconstructed: int
    both_matched: int
    neither_matched: int
    gained: int
    lost: int
    changed: int
    candidate_errors: int
    baseline_errors: int
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float | None
    engines: list[list[str]]


class ExampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first events of a kind."""

    kind: str
    event_id: UUID
    event_type: str
    detail: dict[str, Any]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is ours until its lease ends."""

    id: UUID
    runs: int
    cancel_requested: bool


# Reads: a version never changes but for its state.
_VERSIONS: LiteralString = """
select id, rule_id, version, state, event_type, condition::text as condition,
  actions::text as actions, engine, engine_version, shadowed_at
from rule_versions
"""

# Each of the three is at most one row: the partial unique indexes, and the order.
_CHOICES: dict[str, LiteralString] = {
    "number": " where rule_id = %(rule_id)s and version = %(version)s",
    "published": " where rule_id = %(rule_id)s and state = 'published'",
    "newest": " where rule_id = %(rule_id)s order by version desc limit 1",
    # What somebody is about to publish: the newest draft, else what is in shadow, else the newest.
    "candidate": """ where rule_id = %(rule_id)s
order by state = 'draft' desc, state = 'shadow' desc, version desc limit 1""",
    "shadow": """ where rule_id = %(rule_id)s and shadowed_at is not null
order by state = 'shadow' desc, shadowed_at desc limit 1""",
}

_RULE_EXISTS: LiteralString = "select exists (select from rules where id = %(rule_id)s)"

# A read: a payload expires once and for ever.
_EXPIRED: LiteralString = """
select exists (select from events where id = %(id)s and payload_expired_at is not null)
"""

# Held to the end of the transaction, so that the count below is exact.
_LOCK_QUEUE: LiteralString = "select pg_advisory_xact_lock(%(key)s)"

# Without a bound in time it is everything up to now, by the database's clock: what arrives while
# the job runs is not looked at. No row when as many jobs as may wait do.
_INSERT: LiteralString = """
insert into backtests (id, rule_id, candidate_id, baseline_id, received_after, received_before,
  events_max)
select %(id)s, %(rule_id)s, %(candidate_id)s, %(baseline_id)s, %(received_after)s,
  least(%(received_before)s, clock_timestamp()), %(events_max)s
where (select count(*) from backtests where state in ('queued', 'running')) < %(queued_max)s
returning id
"""

# A read: the counts of one row are of one moment, since one statement writes them.
_BACKTESTS: LiteralString = """
select b.id, b.rule_id, b.candidate_id, b.baseline_id, c.version, l.version as against,
  b.received_after, b.received_before, b.events_max, b.state, b.cancel_requested, b.total,
  b.examined, b.not_reconstructed, b.both_matched, b.neither_matched, b.gained, b.lost, b.changed,
  b.candidate_errors, b.baseline_errors, b.error, b.created_at, b.started_at, b.finished_at,
  extract(epoch from coalesce(b.finished_at, clock_timestamp()) - b.started_at)::float8 as seconds,
  case when l.id is null then array[array[c.engine, c.engine_version]]
    else array[array[c.engine, c.engine_version], array[l.engine, l.engine_version]] end as engines
from backtests b
join rule_versions c on c.id = b.candidate_id
left join rule_versions l on l.id = b.baseline_id
"""

# A read: examples are only ever added.
_EXAMPLES: LiteralString = """
select x.kind, x.event_id, e.event_type, x.detail
from backtest_examples x
join events e on e.id = x.event_id
where x.backtest_id = %(id)s
  and (%(kind)s::text is null or x.kind = %(kind)s)
  and (%(after)s::uuid is null or (x.event_id, x.kind) > (%(after)s, %(after_kind)s))
order by x.event_id, x.kind
limit %(limit)s
"""

# The row's lock decides against a runner that ends the job in the same moment.
_CANCEL: LiteralString = """
update backtests
set cancel_requested = true,
  state = case when state = 'queued' then 'cancelled' else state end,
  finished_at = case when state = 'queued' then clock_timestamp() end
where id = %(id)s
  and state in ('queued', 'running')
returning state
"""

# Many apis look at once: who locks the row has it, the others skip it. The runner's name is new
# with every claim and every write of the runner asks for it, so who lost the job writes nothing.
_CLAIM: LiteralString = """
update backtests
set state = 'running', runner = %(runner)s, runs = runs + 1, heartbeat_at = clock_timestamp(),
  started_at = coalesce(started_at, clock_timestamp())
where id = (
  select id from backtests
  where state = 'queued'
    or (state = 'running'
      and heartbeat_at < clock_timestamp() - make_interval(secs => %(lease_seconds)s))
  order by id
  limit 1
  for update skip locked
)
returning id, runs, cancel_requested
"""

# Only while the job is this runner's. A run that was ended on request does not count against it.
_RELEASE: LiteralString = """
update backtests
set state = case when cancel_requested then 'cancelled' else 'queued' end,
  finished_at = case when cancel_requested then clock_timestamp() end,
  runs = case when %(on_request)s then greatest(runs - 1, 0) else runs end,
  runner = null
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
returning state
"""

# Only while the job is this runner's.
_FAIL: LiteralString = """
update backtests
set state = 'failed', error = %(error)s, finished_at = clock_timestamp()
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""


async def rule_exists(conn: Conn, *, rule_id: UUID) -> bool:
    row = await (await conn.execute(_RULE_EXISTS, {"rule_id": rule_id})).fetchone()
    return row is not None and bool(row[0])


async def find_version(
    conn: Conn, *, rule_id: UUID, choice: str, version: int | None = None
) -> VersionRow | None:
    """One version: by its number, or published, newest, candidate, shadow."""
    return await _read_version(
        conn, _VERSIONS + _CHOICES[choice], {"rule_id": rule_id, "version": version}
    )


async def get_version(conn: Conn, *, version_id: int) -> VersionRow:
    row = await _read_version(conn, _VERSIONS + " where id = %(id)s", {"id": version_id})
    assert row is not None  # the foreign key of backtests
    return row


async def has_expired(conn: Conn, *, event_id: UUID) -> bool:
    """Whether retention has emptied an event's payload."""
    row = await (await conn.execute(_EXPIRED, {"id": event_id})).fetchone()
    return row is not None and bool(row[0])


async def insert_backtest(
    conn: Conn,
    *,
    backtest_id: UUID,
    candidate: VersionRow,
    baseline: VersionRow | None,
    received_after: datetime | None,
    received_before: datetime | None,
    events_max: int,
    queued_max: int,
) -> bool:
    """Inside a transaction; False when too many jobs wait or run."""
    await conn.execute(_LOCK_QUEUE, {"key": _QUEUE_LOCK})
    cursor = await conn.execute(
        _INSERT,
        {
            "id": backtest_id,
            "rule_id": candidate.rule_id,
            "candidate_id": candidate.id,
            "baseline_id": None if baseline is None else baseline.id,
            "received_after": received_after,
            "received_before": received_before,
            "events_max": events_max,
            "queued_max": queued_max,
        },
    )
    return await cursor.fetchone() is not None


async def get_backtest(conn: Conn, *, backtest_id: UUID) -> BacktestRow | None:
    async with conn.cursor(row_factory=database.class_row(BacktestRow)) as cursor:
        await cursor.execute(_BACKTESTS + " where b.id = %(id)s", {"id": backtest_id})
        return await cursor.fetchone()


async def list_backtests(
    conn: Conn, *, rule_id: UUID, after: UUID | None, limit: int
) -> list[BacktestRow]:
    """Newest first; one row more than a page tells whether another follows."""
    statement: LiteralString = _BACKTESTS + " where b.rule_id = %(rule_id)s"
    if after is not None:
        statement += " and b.id < %(after)s"
    async with conn.cursor(row_factory=database.class_row(BacktestRow)) as cursor:
        await cursor.execute(
            statement + " order by b.id desc limit %(limit)s",
            {"rule_id": rule_id, "after": after, "limit": limit},
        )
        return await cursor.fetchall()


async def list_examples(
    conn: Conn,
    *,
    backtest_id: UUID,
    kind: str | None,
    after: UUID | None,
    after_kind: str,
    limit: int,
) -> list[ExampleRow]:
    async with conn.cursor(row_factory=database.class_row(ExampleRow)) as cursor:
        await cursor.execute(
            _EXAMPLES,
            {
                "id": backtest_id,
                "kind": kind,
                "after": after,
                "after_kind": after_kind,
                "limit": limit,
            },
        )
        return await cursor.fetchall()


async def cancel(conn: Conn, *, backtest_id: UUID) -> str | None:
    """The state after the request; None when the job is over or was never there."""
    row = await (await conn.execute(_CANCEL, {"id": backtest_id})).fetchone()
    return None if row is None else str(row[0])


async def claim(conn: Conn, *, runner: str, lease_seconds: float) -> Claim | None:
    async with conn.cursor(row_factory=database.class_row(Claim)) as cursor:
        await cursor.execute(_CLAIM, {"runner": runner, "lease_seconds": lease_seconds})
        return await cursor.fetchone()


async def release(conn: Conn, *, backtest_id: UUID, runner: str, on_request: bool) -> bool:
    """Give the job back, or end it when that was asked for; False when it is not ours."""
    cursor = await conn.execute(
        _RELEASE, {"id": backtest_id, "runner": runner, "on_request": on_request}
    )
    return await cursor.fetchone() is not None


async def fail(conn: Conn, *, backtest_id: UUID, runner: str, error: str) -> None:
    await conn.execute(_FAIL, {"id": backtest_id, "runner": runner, "error": error})


async def _read_version(
    conn: Conn, statement: LiteralString, parameters: dict[str, Any]
) -> VersionRow | None:
    async with conn.cursor(row_factory=database.class_row(VersionRow)) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
