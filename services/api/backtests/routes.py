"""Backtests: a candidate version against the live one over past events, as jobs."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cursors, database_pool, pages, problems
from services.api.backtests import bodies, views
from services.api.queries import backtests as queries
from services.api.queries import events as event_queries
from services.api.rules import changes as rule_changes
from services.api.rules import comparisons, evaluations
from services.api.settings import ApiSettings
from shared.rules import patterns, port

type Conn = database_pool.Conn

RETRY_AFTER_SECONDS = 10


class BacktestPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    backtests: list[views.Backtest]
    next_cursor: str | None


class ExamplePage(msgspec.Struct, frozen=True, kw_only=True):
    """The first events of each kind, oldest first; how many there are is in the counts."""

    examples: list[queries.ExampleRow]
    next_cursor: str | None


class BacktestEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What both versions say of one event, side by side; it need not be one of the examples."""

    event_id: UUID
    event_type: str
    data: msgspec.Raw
    kinds: list[comparisons.Kind]
    candidate: evaluations.Evaluation
    baseline: evaluations.Evaluation | None


@post(
    "/rules/{rule_id:str}/backtests",
    tags=["backtests"],
    summary="Run a version over past events and compare",
    status_code=202,
    opt={"body": bodies.BacktestBody},
)
async def create_backtest(
    rule_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> Response[views.Backtest]:
    """Without a body: what is about to be published against what is, over the newest million."""
    settings: ApiSettings = state.resources.settings
    found = rule_changes.read_id(rule_id)
    given: Any = await rule_changes.read_body(request) if await request.body() else {}
    asked = bodies.read(given, events_max=settings.backtest_events_max)
    async with (
        database_pool.connection(state.pool, writes=True) as conn,
        conn.transaction(),
    ):
        candidate = await _candidate(conn, found, asked.version)
        baseline = await _baseline(conn, candidate, asked)
        backtest_id = uuid_utils.compat.uuid7()
        if not await queries.insert_backtest(
            conn,
            backtest_id=backtest_id,
            candidate=candidate,
            baseline=baseline,
            received_after=asked.received_after,
            received_before=asked.received_before,
            events_max=asked.events_max,
            queued_max=settings.backtests_queued_max,
        ):
            raise problems.Problem(
                "queue-full",
                f"{settings.backtests_queued_max} backtests wait or run: cancel one, or try later",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        row = await _get(conn, backtest_id)
    state.backtest_runner.wake()
    return Response(
        views.view(row), status_code=202, headers={"Location": f"/backtests/{backtest_id}"}
    )


@get("/rules/{rule_id:str}/backtests", tags=["backtests"], summary="A rule's backtests")
async def list_backtests(
    rule_id: FromPath[str],
    state: State,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> BacktestPage:
    found = rule_changes.read_id(rule_id)
    route = f"/rules/{found}/backtests"
    place = pages.place(cursor, route=route, filters={})
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_backtests(conn, rule_id=found, after=place.after, limit=limit + 1)
        if not rows and not await queries.rule_exists(conn, rule_id=found):
            raise rule_changes.no_rule()
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor(route, shown[-1].id, {})) if len(rows) > limit else None
    )
    return BacktestPage(backtests=[views.view(row) for row in shown], next_cursor=next_cursor)


@get("/backtests/{backtest_id:str}", tags=["backtests"], summary="How far it is, and its counts")
async def get_backtest(backtest_id: FromPath[str], state: State) -> views.Backtest:
    async with database_pool.connection(state.pool) as conn:
        return views.view(await _get(conn, _read_id(backtest_id)))


@get("/backtests/{backtest_id:str}/examples", tags=["backtests"], summary="Events of each kind")
async def list_examples(
    backtest_id: FromPath[str],
    state: State,
    kind: FromQuery[comparisons.ExampleKind | None] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 200,
) -> ExamplePage:
    found = _read_id(backtest_id)
    route = f"/backtests/{found}/examples"
    asked = {} if kind is None else {"kind": kind}
    place = pages.place(cursor, route=route, filters=asked)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_examples(
            conn,
            backtest_id=found,
            kind=place.filters.get("kind"),
            after=place.after,
            after_kind=place.filters.get("after_kind", ""),
            limit=limit + 1,
        )
        if not rows:
            await _get(conn, found)
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        # An event may be an example of two kinds, so its id alone is no place.
        filters = {**place.filters, "after_kind": shown[-1].kind}
        next_cursor = cursors.encode(cursors.Cursor(route, shown[-1].event_id, filters))
    return ExamplePage(examples=shown, next_cursor=next_cursor)


@get(
    "/backtests/{backtest_id:str}/events/{event_id:str}",
    tags=["backtests"],
    summary="Both versions on one event, node by node",
)
async def get_backtest_event(
    backtest_id: FromPath[str], event_id: FromPath[str], state: State
) -> BacktestEvent:
    async with database_pool.connection(state.pool) as conn:
        row = await _get(conn, _read_id(backtest_id))
        candidate = await queries.get_version(conn, version_id=row.candidate_id)
        baseline = (
            None
            if row.baseline_id is None
            else await queries.get_version(conn, version_id=row.baseline_id)
        )
        found = pages.read_uuid(event_id)
        event = None if found is None else await event_queries.get_event(conn, event_id=found)
        if event is None:
            raise problems.Problem("not-found", "there is no such event")
        if await queries.has_expired(conn, event_id=event.id):
            raise evaluations.payload_expired()
    # In a thread: a rule may use its whole budget, and nobody else shall wait for that.
    return await asyncio.to_thread(
        _side_by_side, candidate, baseline, event, state.resources.settings.rule_limits
    )


@post(
    "/backtests/{backtest_id:str}/cancel",
    tags=["backtests"],
    summary="End it; what it counted stays",
    status_code=202,
)
async def cancel_backtest(backtest_id: FromPath[str], state: State) -> views.Backtest:
    """A running one ends with its next page: its state says when."""
    found = _read_id(backtest_id)
    async with database_pool.connection(state.pool, writes=True) as conn:
        cancelled = await queries.cancel(conn, backtest_id=found)
        row = await _get(conn, found)
    if cancelled is None:
        raise problems.Problem(
            "backtest-state", f"the backtest is {row.state} already", state=row.state
        )
    return views.view(row)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    create_backtest,
    list_backtests,
    get_backtest,
    list_examples,
    get_backtest_event,
    cancel_backtest,
)


async def _candidate(conn: Conn, rule_id: UUID, version: int | None) -> queries.VersionRow:
    row = await queries.find_version(
        conn,
        rule_id=rule_id,
        choice="candidate" if version is None else "number",
        version=version,
    )
    if row is not None:
        return row
    if not await queries.rule_exists(conn, rule_id=rule_id):
        raise rule_changes.no_rule()
    raise problems.at("/version", "the rule has no such version")


async def _baseline(
    conn: Conn, candidate: queries.VersionRow, asked: bodies.Asked
) -> queries.VersionRow | None:
    if asked.against == "nothing":
        return None
    number = asked.against if isinstance(asked.against, int) else None
    row = await queries.find_version(
        conn,
        rule_id=candidate.rule_id,
        choice="published" if number is None else "number",
        version=number,
    )
    if row is None and number is not None:
        raise problems.at("/against", "the rule has no such version")
    if row is not None and row.id == candidate.id:
        raise problems.at(
            "/version" if number is None else "/against",
            f"version {row.version} would be compared with itself: name another version, "
            'or say "against": null to see what it matches',
        )
    return row


async def _get(conn: Conn, backtest_id: UUID) -> queries.BacktestRow:
    row = await queries.get_backtest(conn, backtest_id=backtest_id)
    if row is None:
        raise problems.Problem("not-found", "there is no such backtest")
    return row


def _read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise problems.Problem("not-found", "there is no such backtest")
    return found


def _side_by_side(
    candidate: queries.VersionRow,
    baseline: queries.VersionRow | None,
    event: event_queries.EventRow,
    limits: port.Limits,
) -> BacktestEvent:
    facts = evaluations.facts_of(event)
    try:
        sides = [
            None if row is None else comparisons.make_side(row, limits)
            for row in (candidate, baseline)
        ]
    except port.Refused as refused:
        raise evaluations.refused(refused, "") from None
    mine, theirs = sides
    assert mine is not None  # a backtest has a candidate
    comparison = comparisons.Comparison(mine, theirs, event_type=event.type, limits=limits)
    shown = [
        None
        if side is None or row is None
        else evaluations.evaluate(
            side.condition,
            side.actions,
            facts,
            limits=limits,
            type_matches=patterns.matches(side.event_type, event.type),
            version=row.version,
        )
        for side, row in ((mine, candidate), (theirs, baseline))
    ]
    assert shown[0] is not None  # a backtest has a candidate
    return BacktestEvent(
        event_id=event.id,
        event_type=event.type,
        data=event.data,
        kinds=list(comparison.compare(facts).kinds),
        candidate=shown[0],
        baseline=shown[1],
    )
