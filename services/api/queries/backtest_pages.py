"""Statements of a backtest's own process: the job, the pages of past events, position and counts.

Every write asks for the runner's name, so a runner that lost the job changes nothing.
"""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api.queries import backtests
from shared import database

type Conn = database.Connection[tuple[Any, ...]]
type EventTuple = tuple[UUID, str, str, str | None, str | None]
"""id, source, external_id, subject, data (None: the payload has expired)."""

COUNTERS = (
    "examined",
    "not_reconstructed",
    "both_matched",
    "neither_matched",
    "gained",
    "lost",
    "changed",
    "candidate_errors",
    "baseline_errors",
)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the process needs of its row."""

    id: UUID
    candidate_id: int
    baseline_id: int | None
    received_after: datetime | None
    received_before: datetime
    events_max: int
    first_id: UUID | None
    position_type: str | None
    position_id: UUID | None
    total: int | None


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first events of a kind."""

    kind: str
    event_id: UUID
    detail: dict[str, Any]


# A generic plan would walk over all types for the events of a rare one, because it does not know
# which type is meant; planning costs 0.2 ms a page. A commit need not wait for the disk: position
# and counts are lost together, and then the same events are looked at once more.
_CONFIGURE: LiteralString = """
select set_config('statement_timeout', %(timeout)s, false),
  set_config('plan_cache_mode', 'force_custom_plan', false),
  set_config('synchronous_commit', 'off', false)
"""

# The claim made the row ours; who claimed it since then has another name in it. The heartbeat is
# put ahead, because counting the events is one statement that may take as long.
_TAKE: LiteralString = """
update backtests
set heartbeat_at = clock_timestamp() + make_interval(secs => %(seconds)s)
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
returning id, candidate_id, baseline_id, received_after, received_before, events_max, first_id,
  position_type, position_id, total
"""

# A read: what is evaluated of a version never changes.
_VERSION: LiteralString = """
select id, rule_id, version, state, event_type, condition::text as condition,
  actions::text as actions, engine, engine_version, shadowed_at
from rule_versions
where id = %(id)s
"""

# A read: how many examples a runner before us has left.
_EXAMPLE_COUNTS: LiteralString = """
select kind, count(*) from backtest_examples where backtest_id = %(id)s group by kind
"""

# A read: one look into the index events_by_type for each type, however many events it has.
TYPES: LiteralString = """
with recursive t as (
  (select event_type from events order by event_type limit 1)
  union all
  select (select e.event_type from events e where e.event_type > t.event_type
          order by e.event_type limit 1)
  from t
  where t.event_type is not null
)
select event_type from t where event_type is not null limit %(types_max)s
"""

# Reads of what was committed before the job; how many, counted up to a bound, and where it lies.
_COUNT: LiteralString = """
select count(*) from (
  select from events
  where event_type = any(%(types)s) and id >= %(lowest)s and id < %(end)s
  limit %(limit)s
) t
"""
_FIRST: LiteralString = """
select id from events
where event_type = any(%(types)s) and id >= %(lowest)s and id < %(end)s
order by id desc
offset %(skip)s
limit 1
"""

# Only while the job is ours. Written once, with the first id: a resumed walk keeps its bounds.
_BEGIN: LiteralString = """
update backtests
set total = %(total)s, first_id = %(first_id)s, heartbeat_at = clock_timestamp()
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""

# A read: accepted events stay, so a page holds what it held; a payload may expire before its page.
# The sum ends a page of large events early: its reader has bounded memory.
_PAGE: LiteralString = """
select id, source, external_id, subject, data
from (
  select id, source, external_id, subject, data,
    sum(octet_length(data)) over (
      order by id rows between unbounded preceding and 1 preceding) as bytes_before
  from (
    select id, source, external_id, subject,
      case when payload_expired_at is null then payload::text end as data
    from events
    where event_type = %(event_type)s
      and id > %(after)s
      and id < %(end)s
    order by id
    limit %(limit)s
  ) e
) w
where coalesce(bytes_before, 0) < %(bytes_max)s
order by id
"""

# Position and counts in one statement: after a crash every event is counted once, whatever was
# done and not written. Only while the job is ours.
_ADVANCE: LiteralString = """
update backtests
set position_type = %(position_type)s, position_id = %(position_id)s,
  heartbeat_at = clock_timestamp(), runs = 0,
  examined = examined + %(examined)s,
  not_reconstructed = not_reconstructed + %(not_reconstructed)s,
  both_matched = both_matched + %(both_matched)s,
  neither_matched = neither_matched + %(neither_matched)s,
  gained = gained + %(gained)s,
  lost = lost + %(lost)s,
  changed = changed + %(changed)s,
  candidate_errors = candidate_errors + %(candidate_errors)s,
  baseline_errors = baseline_errors + %(baseline_errors)s
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
returning cancel_requested
"""

# In the transaction of the counts that these examples belong to.
_ADD_EXAMPLES: LiteralString = """
insert into backtest_examples (backtest_id, kind, event_id, detail)
select %(id)s, kind, event_id, detail::jsonb
from unnest(%(kinds)b::text[], %(event_ids)b::uuid[], %(details)b::text[])
  as t(kind, event_id, detail)
"""

# What a client has seen as over stays over.
_WAIT_FOR_DISK: LiteralString = "select set_config('synchronous_commit', 'on', false)"

# Only while the job is ours.
_END: LiteralString = """
update backtests
set state = %(state)s, error = %(error)s, finished_at = clock_timestamp()
where id = %(id)s
  and runner = %(runner)s
  and state = 'running'
"""


class Mine:
    """The statements of one runner on its job."""

    def __init__(self, conn: Conn, *, job_id: UUID, runner: str) -> None:
        self._conn = conn
        self._keys = {"id": job_id, "runner": runner}

    def take(self, *, seconds: float) -> Job | None:
        """None when somebody else has the job, or it is over."""
        with self._conn.cursor(row_factory=database.class_row(Job)) as cursor:
            return cursor.execute(_TAKE, {**self._keys, "seconds": seconds}).fetchone()

    def count_examples(self) -> dict[str, int]:
        return dict(self._conn.execute(_EXAMPLE_COUNTS, self._keys).fetchall())

    def begin(self, *, total: int, first_id: UUID) -> None:
        self._conn.execute(_BEGIN, {**self._keys, "total": total, "first_id": first_id})

    def advance(
        self, *, event_type: str, event_id: UUID, counts: dict[str, int], examples: list[Example]
    ) -> bool | None:
        """Whether somebody asked to cancel; None when the job is not ours any more."""
        place = {"position_type": event_type, "position_id": event_id}
        # A page without examples is one statement, and that is a transaction of its own.
        if not examples:
            return self._advance(place | counts)
        with self._conn.transaction():
            cancel = self._advance(place | counts)
            if cancel is not None:
                self._add(examples)
        return cancel

    def end(self, *, state: str, error: str | None = None) -> None:
        self._conn.execute(_WAIT_FOR_DISK)
        self._conn.execute(_END, {**self._keys, "state": state, "error": error})

    def _advance(self, values: dict[str, Any]) -> bool | None:
        row = self._conn.execute(_ADVANCE, {**self._keys, **values}).fetchone()
        return None if row is None else bool(row[0])

    def _add(self, examples: list[Example]) -> None:
        self._conn.execute(
            _ADD_EXAMPLES,
            {
                **self._keys,
                "kinds": [example.kind for example in examples],
                "event_ids": [example.event_id for example in examples],
                "details": [msgspec.json.encode(example.detail).decode() for example in examples],
            },
        )


def configure(conn: Conn, *, statement_seconds: float) -> None:
    conn.execute(_CONFIGURE, {"timeout": f"{round(statement_seconds * 1000)}ms"})


def get_version(conn: Conn, *, version_id: int) -> backtests.VersionRow:
    with conn.cursor(row_factory=database.class_row(backtests.VersionRow)) as cursor:
        row = cursor.execute(_VERSION, {"id": version_id}).fetchone()
    assert row is not None  # the foreign keys of backtests
    return row


def list_types(conn: Conn, *, types_max: int) -> list[str]:
    return [row[0] for row in conn.execute(TYPES, {"types_max": types_max}).fetchall()]


def count_events(conn: Conn, *, types: list[str], lowest: UUID, end: UUID, limit: int) -> int:
    row = conn.execute(
        _COUNT, {"types": types, "lowest": lowest, "end": end, "limit": limit}
    ).fetchone()
    assert row is not None  # an aggregate has a row
    return int(row[0])


def first_of_newest(
    conn: Conn, *, types: list[str], lowest: UUID, end: UUID, count: int
) -> UUID | None:
    """The oldest of the newest `count` events."""
    parameters = {"types": types, "lowest": lowest, "end": end, "skip": count - 1}
    row = conn.execute(_FIRST, parameters).fetchone()
    return None if row is None else row[0]


def read_page(
    conn: Conn, *, event_type: str, after: UUID, end: UUID, limit: int, bytes_max: int
) -> list[EventTuple]:
    """At least one event when there is one, however large it is."""
    return conn.execute(
        _PAGE,
        {
            "event_type": event_type,
            "after": after,
            "end": end,
            "limit": limit,
            "bytes_max": bytes_max,
        },
    ).fetchall()  # pyright: ignore[reportReturnType] the columns of the statement
