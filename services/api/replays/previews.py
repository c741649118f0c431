"""What a bulk replay would do, before anybody starts it."""

import asyncio
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, post
from litestar.datastructures import State

from services.api import database_pool, problems
from services.api.queries import replay_jobs as queries
from services.api.queries import replay_pages
from services.api.replays import bodies, ranges, versions
from services.api.rules import changes as rule_changes
from services.api.settings import ApiSettings
from shared.rules import patterns

type Conn = database_pool.Conn
type Looking = tuple[queries.LiveRule, int]

TYPES_MAX = 200
EFFECTS_MAX = 200
EFFECT_EVENTS_MAX = 100_000
SEARCHED_MAX = 500_000
RULES_MAX = 200
_LIVE_MAX = 10_000
_PARTS_MAX = TYPES_MAX * 4  # one row for each status of a type


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a job with this body would find now. Of `count` events, `replayable` are finished and
    have their data; what is open now may be finished at its turn. existing_deliveries were made by
    earlier runs of the first `effects_of` events: dedupe leaves them alone, force sends them again.
    at_most_new: how many more there would be if every rule matched; null where that is not known.
    cut_off: there are more than events_max, and the oldest are taken. exact: whether all that a
    job takes was counted; if not, the oldest part of the range was, and a job looks beyond it.
    """

    count: int
    exact: bool
    replayable: int
    expired: int
    first: datetime | None
    last: datetime | None
    by_status: dict[str, int]
    by_type: dict[str, int]
    received_before: datetime
    cut_off: bool
    mode: bodies.Mode
    effects: bodies.Effects
    effects_of: int
    existing_deliveries: list[queries.EffectRow]
    would_send_again: int
    at_most_new: int | None
    rules: list[queries.LiveRule]
    notes: list[str]


@post(
    "/replays/preview",
    tags=["replays"],
    summary="What a bulk replay would do",
    status_code=200,
    opt={"body": bodies.PreviewBody},
)
async def preview_replay(request: Request[Any, Any, Any], state: State) -> Preview:
    """Changes nothing. Repeat received_before in POST /replays to mean the same events."""
    settings: ApiSettings = state.resources.settings
    asked = bodies.read_preview(await rule_changes.read_body(request), limits_of(settings))
    try:
        async with database_pool.connection(state.pool) as conn:
            return await look(conn, asked, searched_max=SEARCHED_MAX)
    except problems.Problem as problem:
        if problem.slug != "deadline":
            raise
        raise problems.Problem(
            "deadline",
            f"counting took longer than {settings.read_timeout_ms} ms: narrow the filter (type, "
            "received_after), or lower events_max",
            retry_after_seconds=problem.retry_after_seconds,
        ) from problem


def limits_of(settings: ApiSettings) -> bodies.Limits:
    return bodies.Limits(
        rate_default=bodies.RATE_DEFAULT,
        rate_max=settings.replay_rate_per_second_max,
        events_max=settings.replay_events_max,
    )


async def look(conn: Conn, asked: bodies.AskedJob, *, searched_max: int) -> Preview:
    """searched_max: a text is looked for in so many events, since no index finds it."""
    named: list[int] | None = None
    if asked.rule_versions is not None:
        rows = await versions.find(conn, asked.rule_versions, effects=asked.effects)
        named = [row.id for row in rows]
    found = ranges.stored(asked.filter, now=await queries.read_clock(conn))
    wanted = ranges.of(found)
    beyond = None
    if found.q is not None:
        beyond = await replay_pages.find_beyond(conn, asked=wanted, size=searched_max)
    if beyond is not None:
        wanted = msgspec.structs.replace(wanted, end=beyond)
    counted = await queries.count_events(
        conn,
        asked=wanted,
        events_max=asked.events_max,
        rows_max=1 + _PARTS_MAX,
    )
    whole, *parts = counted
    exact = beyond is None or whole.count > asked.events_max
    by_type, by_status = _sums(parts)
    looked_at = min(whole.count, asked.events_max, EFFECT_EVENTS_MAX)
    effects = await queries.count_effects(
        conn, asked=wanted, events_max=looked_at, rows_max=EFFECTS_MAX
    )
    live = await _rules(conn, asked, named, by_type)
    finished = sum(row.count - row.expired for row in parts if row.status in _FINISHED)
    return Preview(
        count=min(whole.count, asked.events_max),
        exact=exact,
        replayable=min(finished, asked.events_max),
        expired=whole.expired,
        first=whole.first,
        last=whole.last,
        by_status=by_status,
        by_type=by_type,
        received_before=found.received_before,
        cut_off=whole.count > asked.events_max,
        mode=asked.mode,
        effects=asked.effects,
        effects_of=looked_at,
        existing_deliveries=effects,
        would_send_again=(
            sum(row.deliveries for row in effects) if asked.effects == "force" else 0
        ),
        at_most_new=_at_most_new(
            asked, live, effects, cut_off=len(parts) >= _PARTS_MAX or not exact
        ),
        rules=[rule for rule, _ in live[:RULES_MAX]],
        notes=_notes(asked, whole.count, len(parts), len(effects), len(live), exact=exact),
    )


def _sums(parts: list[queries.CountRow]) -> tuple[dict[str, int], dict[str, int]]:
    by_type: dict[str, int] = {}
    by_status: dict[str, int] = {}
    for row in parts:
        assert row.event_type is not None  # only the first row is of all types
        assert row.status is not None
        by_type[row.event_type] = by_type.get(row.event_type, 0) + row.count
        by_status[row.status] = by_status.get(row.status, 0) + row.count
    return by_type, by_status


async def _rules(
    conn: Conn, asked: bodies.AskedJob, named: list[int] | None, by_type: dict[str, int]
) -> list[Looking]:
    """The versions that would be evaluated and look at one of the types, and at how many events."""
    if asked.mode == "original":
        return []
    rules = (
        await queries.list_live(conn, limit=_LIVE_MAX)
        if named is None
        else await queries.list_named(conn, version_ids=named)
    )
    # In a thread: many rules and types take longer than others may wait for the event loop.
    return await asyncio.to_thread(_looking, rules, by_type)


def _looking(rules: list[queries.LiveRule], by_type: dict[str, int]) -> list[Looking]:
    counted = [
        (
            rule,
            sum(n for name, n in by_type.items() if patterns.matches(rule.event_type, name)),
        )
        for rule in rules
    ]
    return [(rule, events) for rule, events in counted if events]


def _at_most_new(
    asked: bodies.AskedJob,
    live: list[Looking],
    existing: list[queries.EffectRow],
    *,
    cut_off: bool,
) -> int | None:
    """Every delivery of every version that looks, without those that are there. Existing ones that
    were not counted make the bound higher, never lower.
    """
    if asked.effects == "none":
        return 0
    if asked.mode == "original" or cut_off or len(live) >= _LIVE_MAX:
        return None
    possible = sum(events * len(rule.deliveries) for rule, events in live)
    by_rule = {rule.rule_id: rule for rule, _ in live}
    there = sum(
        row.deliveries
        for row in existing
        if (rule := by_rule.get(row.rule_id)) is not None
        and row.action_key in rule.deliveries
        and patterns.matches(rule.event_type, row.event_type)
    )
    return max(possible - there, 0)


def _notes(
    asked: bodies.AskedJob, count: int, parts: int, effects: int, rules: int, *, exact: bool
) -> list[str]:
    notes: list[str] = []
    if not exact:
        notes.append(
            "q was looked for in the oldest part of the range only: a job looks at all of it, and "
            "takes what it finds"
        )
    if asked.mode == "original":
        notes.append("each event is evaluated with the versions of its first run")
    if count > asked.events_max:
        notes.append(f"there are more events than events_max: the oldest {asked.events_max} count")
    if parts >= _PARTS_MAX:
        notes.append(f"more than {TYPES_MAX} types: by_type and by_status are cut off")
    if min(count, asked.events_max) > EFFECT_EVENTS_MAX:
        notes.append(f"existing_deliveries are those of the first {EFFECT_EVENTS_MAX} events")
    if effects >= EFFECTS_MAX:
        notes.append(f"existing_deliveries are cut off at {EFFECTS_MAX} rows")
    if asked.effects == "none":
        notes.append("effects none: events with an open dead letter will be skipped")
    if rules > RULES_MAX:
        notes.append(f"{rules} rules look at these types; {RULES_MAX} are shown")
    return notes


_FINISHED = ("processed", "failed")
