"""Bulk replays as jobs: started, listed, paused, resumed, cancelled, sped up or slowed down."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, Response, get, patch, post
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import (
    access,
    cursors,
    database_pool,
    idempotency,
    pages,
    problems,
    transactions,
)
from services.api import jobs as replies
from services.api.queries import dead_letters
from services.api.queries import replay_jobs as queries
from services.api.replays import bodies, previews, ranges, runs, versions, views
from services.api.rules import changes as rule_changes
from services.api.settings import ApiSettings

type Conn = database_pool.Conn

RETRY_AFTER_SECONDS = 10
_ROUTE = "/replays"
# What was asked -> (the states that it leaves, the state that it makes).
_EDGES: dict[str, tuple[list[str], str]] = {
    "pause": (["queued", "running"], "paused"),
    "resume": (["paused"], "queued"),
    "cancel": (["queued", "running", "paused"], "cancelled"),
}


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    replays: list[views.ReplayJob]
    next_cursor: str | None


class JobEventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events that the job has replayed, in the order of their ids. verdict is by versions and
    results; GET /events/{id}/replays/{replay} tells more.
    """

    events: list[queries.JobEventRow]
    next_cursor: str | None


@post(
    "/replays",
    tags=["replays"],
    summary="Process many events once more",
    status_code=202,
    opt={"body": bodies.JobBody},
)
async def create_job(
    request: Request[Any, Any, Any],
    state: State,
    idempotency_key: idempotency.Header = None,
) -> Response[views.ReplayJob]:
    """The range is absolute: what arrives later is not touched. Events that are not finished at
    their turn are skipped and counted. An Idempotency-Key keeps a retry from being a second job.
    """
    settings: ApiSettings = state.resources.settings
    given = await rule_changes.read_body(request)
    asked = bodies.read_job(given, previews.limits_of(settings))
    if asked.effects == "force":
        access.require(request, "replay:force")
    key = idempotency.read_key(idempotency_key, scope="POST /replays", request=asked)
    actor = access.actor(request)

    async def act(conn: Conn) -> replies.Reply:
        stored = await idempotency.find(conn, key)
        if stored is not None:
            return stored
        shown = await _create(conn, asked, actor=actor, queued_max=settings.replays_queued_max)
        body, location = msgspec.json.encode(shown), f"{_ROUTE}/{shown.id}"
        reply = replies.Reply(status=202, body=body, location=location)
        return await idempotency.keep(conn, key, reply)

    unsure = asked.effects == "force" and key is None
    with runs.told_where_to_look(_ROUTE if unsure else None):
        reply = await transactions.run(state.pool, act)
    state.replay_runner.wake()
    return idempotency.respond(reply)


@get("/replays", tags=["replays"], summary="Bulk replays, newest first")
async def list_jobs(
    state: State,
    job_state: Annotated[views.JobState | None, QueryParameter(name="state")] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> JobPage:
    asked = {} if job_state is None else {"state": job_state}
    place = pages.place(cursor, route=_ROUTE, filters=asked)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_jobs(
            conn, state=place.filters.get("state"), after=place.after, limit=limit + 1
        )
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor(_ROUTE, shown[-1].id, place.filters))
        if len(rows) > limit
        else None
    )
    return JobPage(replays=[views.view(row) for row in shown], next_cursor=next_cursor)


@get("/replays/{job_id:str}", tags=["replays"], summary="How far it is, and its counts")
async def get_job(job_id: FromPath[str], state: State) -> views.ReplayJob:
    async with database_pool.connection(state.pool) as conn:
        return views.view(await _get(conn, _read_id(job_id)))


@get("/replays/{job_id:str}/events", tags=["replays"], summary="What it has replayed so far")
async def list_job_events(
    job_id: FromPath[str],
    state: State,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> JobEventPage:
    found = _read_id(job_id)
    route = f"{_ROUTE}/{found}/events"
    place = pages.place(cursor, route=route, filters={})
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_events(conn, job_id=found, after=place.after, limit=limit + 1)
        if not rows:
            await _get(conn, found)
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor(route, shown[-1].event_id, {})) if len(rows) > limit else None
    )
    return JobEventPage(events=shown, next_cursor=next_cursor)


@post(
    "/replays/{job_id:str}/pause",
    tags=["replays"],
    summary="Stop before the next page; what was replayed stays",
    status_code=200,
)
async def pause_job(
    job_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> views.ReplayJob:
    return await _move(_read_id(job_id), "pause", request, state)


@post(
    "/replays/{job_id:str}/resume",
    tags=["replays"],
    summary="Go on where it was paused",
    status_code=200,
)
async def resume_job(
    job_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> views.ReplayJob:
    """Of a job with effects force: needs the scope replay:force too."""
    shown = await _move(_read_id(job_id), "resume", request, state)
    state.replay_runner.wake()
    return shown


@post(
    "/replays/{job_id:str}/cancel",
    tags=["replays"],
    summary="End it; what was replayed stays",
    status_code=200,
)
async def cancel_job(
    job_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> views.ReplayJob:
    return await _move(_read_id(job_id), "cancel", request, state)


@patch(
    "/replays/{job_id:str}",
    tags=["replays"],
    summary="Make it faster or slower",
    opt={"body": bodies.RateBody},
)
async def change_rate(
    job_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> views.ReplayJob:
    """Of a job with effects force: needs the scope replay:force too."""
    found = _read_id(job_id)
    limits = previews.limits_of(state.resources.settings)
    rate = bodies.read_rate(await rule_changes.read_body(request), limits)

    async def act(conn: Conn) -> views.ReplayJob:
        await _require_force(conn, found, request)
        changed = await queries.set_rate(conn, job_id=found, rate_per_second=rate)
        return await _finish(
            conn,
            found,
            request,
            action="rate",
            changed=changed,
            detail={"rate_per_second": rate},
        )

    return await transactions.run(state.pool, act)


ROUTES: tuple[ControllerRouterHandler, ...] = (
    previews.preview_replay,
    create_job,
    list_jobs,
    get_job,
    list_job_events,
    pause_job,
    resume_job,
    cancel_job,
    change_rate,
)


async def _move(
    job_id: UUID, action: str, request: Request[Any, Any, Any], state: State
) -> views.ReplayJob:
    from_states, made = _EDGES[action]

    async def act(conn: Conn) -> views.ReplayJob:
        if action == "resume":
            await _require_force(conn, job_id, request)
        moved = await queries.move(conn, job_id=job_id, state=made, from_states=from_states)
        return await _finish(conn, job_id, request, action=action, changed=moved, detail={})

    return await transactions.run(state.pool, act)


async def _create(
    conn: Conn, asked: bodies.AskedJob, *, actor: str, queued_max: int
) -> views.ReplayJob:
    assert asked.reason is not None  # a job must say why
    version_ids = None
    if asked.rule_versions is not None:
        rows = await versions.find(conn, asked.rule_versions, effects=asked.effects)
        version_ids = sorted(row.id for row in rows)
    job = queries.NewJob(
        id=uuid_utils.compat.uuid7(),
        filter=ranges.stored(asked.filter, now=await queries.read_clock(conn)),
        mode=asked.mode,
        effects=asked.effects,
        version_ids=version_ids,
        reason=asked.reason,
        requested_by=actor,
        rate_per_second=asked.rate_per_second,
        events_max=asked.events_max,
    )
    if not await queries.insert(conn, job=job, queued_max=queued_max):
        raise problems.Problem(
            "queue-full",
            f"{queued_max} bulk replays are not over: cancel one, or try later",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    await dead_letters.audit(
        conn,
        actor=actor,
        action="replay.start",
        target=f"replays/{job.id}",
        detail={
            name: value
            for name, value in msgspec.to_builtins(job).items()
            if name not in {"id", "requested_by"} and value is not None
        },
    )
    return views.view(await _get(conn, job.id))


async def _require_force(conn: Conn, job_id: UUID, request: Request[Any, Any, Any]) -> None:
    """Whoever lets a job send again what was sent needs the right to; effects never change."""
    if (await _get(conn, job_id)).effects == "force":
        access.require(request, "replay:force")


async def _finish(
    conn: Conn,
    job_id: UUID,
    request: Request[Any, Any, Any],
    *,
    action: str,
    changed: bool,
    detail: dict[str, Any],
) -> views.ReplayJob:
    """Note who did it with the counts as they stand, or say which state was in the way."""
    row = await _get(conn, job_id)
    if not changed:
        raise problems.Problem(
            "replay-state",
            f"the bulk replay is {row.state}: {action} does not fit",
            state=row.state,
        )
    await dead_letters.audit(
        conn,
        actor=access.actor(request),
        action=f"replay.{action}",
        target=f"replays/{job_id}",
        detail={"examined": row.examined, "replayed": row.replayed, **detail},
    )
    return views.view(row)


async def _get(conn: Conn, job_id: UUID) -> queries.JobRow:
    row = await queries.get_job(conn, job_id=job_id)
    if row is None:
        raise _no_job()
    return row


def _read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise _no_job()
    return found


def _no_job() -> problems.Problem:
    return problems.Problem("not-found", "there is no such bulk replay")
