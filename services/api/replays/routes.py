"""Replays of one event: asked for, listed, told."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import (
    access,
    cloudevents,
    database_pool,
    idempotency,
    jobs,
    pages,
    problems,
    transactions,
)
from services.api.queries import dead_letters, replay_details
from services.api.queries import events as event_queries
from services.api.queries import replays as queries
from services.api.replays import bodies, comparison, runs, versions
from services.api.rules import changes as rule_changes
from shared import live

type Conn = database_pool.Conn

# Not a `type` statement: Litestar does not look into those.
Text = Annotated[str | None, QueryParameter(max_length=255)]

RUNS_MAX = 200
SAID_MAX = 10_000
DELIVERIES_MAX = 1000
_REPLAY_MAX = 2**31 - 1


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay that was accepted; GET its Location to see what came of it."""

    event_id: UUID
    replay: int
    mode: bodies.Mode
    effects: bodies.Effects
    status: Literal["pending"]
    status_before: str
    version_ids: list[int] | None
    receipt: int | None
    reason: str | None


class Replays(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of an event after its first, newest first. verdict is by versions and results."""

    replays: list[queries.RunRow]
    cut_off: bool


class ReplayDetail(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what was asked, what it did, and how it compares with the first run."""

    run: queries.RunRow
    event_status: str
    payload_expired_at: datetime | None
    deliveries_made: list[replay_details.DeliveryRow]
    deliveries_deduped: list[replay_details.DeliveryRow]
    comparison: comparison.Comparison


@post(
    "/events/{event_id:str}/replay",
    tags=["replays"],
    summary="Process an event once more",
    status_code=202,
    opt={"body": bodies.ReplayBody},
)
async def replay_event(  # noqa: PLR0917 each is a part of the request
    event_id: Annotated[str, PathParameter(max_length=255)],
    request: Request[Any, Any, Any],
    state: State,
    by: FromQuery[Literal["id", "external"]] = "id",
    source: Text = None,
    idempotency_key: idempotency.Header = None,
) -> Response[Replay]:
    """Without a body: by the rules as they are now, and nothing is sent a second time. Only a
    processed or failed event can be replayed. `?by=external&source=` as for GET /events/{id}.
    With effects force an Idempotency-Key keeps a retry from sending everything again.
    """
    pages.read_query(request.scope["query_string"], allowed=frozenset({"by", "source"}))
    given: Any = await rule_changes.read_body(request) if await request.body() else {}
    asked = bodies.read_one(given)
    if asked.effects == "force":
        access.require(request, "replay:force")
    text = pages.path_segment(request, 2) if by == "external" else event_id

    async def act(conn: Conn) -> tuple[jobs.Reply, list[live.Item]]:
        found = await _find_id(conn, text, by=by, source=source)
        if found is None:
            raise _no_event()
        scope = f"POST /events/{{event_id}}/replay {found}"
        key = idempotency.read_key(idempotency_key, scope=scope, request=asked)
        stored = await idempotency.find(conn, key)
        if stored is not None:
            return stored, []
        event = await _lock(conn, found, effects=asked.effects)
        shown, closed = await _begin(conn, event, asked, state, actor=access.actor(request))
        location = f"/events/{shown.event_id}/replays/{shown.replay}"
        reply = jobs.Reply(status=202, body=msgspec.json.encode(shown), location=location)
        return await idempotency.keep(conn, key, reply), closed

    unsure = asked.effects == "force" and idempotency_key is None
    with runs.told_where_to_look(f"/events/{text}/replays" if unsure else None):
        reply, closed = await transactions.run(state.pool, act)
    state.notify.wake()
    state.resources.announcer.announce("dead_letter", "discard_requested", closed)
    return idempotency.respond(reply)


@get("/events/{event_id:str}/replays", tags=["replays"], summary="An event's replays")
async def list_replays(event_id: FromPath[str], state: State) -> Replays:
    async with database_pool.connection(state.pool) as conn:
        event = await _get(conn, event_id)
        rows = await queries.list_runs(conn, event_id=event.id, limit=RUNS_MAX + 1)
    return Replays(replays=rows[:RUNS_MAX], cut_off=len(rows) > RUNS_MAX)


@get(
    "/events/{event_id:str}/replays/{replay:str}",
    tags=["replays"],
    summary="One replay, and how it compares with the first run",
)
async def get_replay(event_id: FromPath[str], replay: FromPath[str], state: State) -> ReplayDetail:
    """The comparison is computed from the history, which never changes."""
    async with database_pool.connection(state.pool) as conn:
        event = await _get(conn, event_id)
        number = int(replay) if replay.isdecimal() and replay.isascii() else 0
        run = None
        if 1 <= number <= _REPLAY_MAX:
            run = await queries.get_run(conn, event_id=event.id, replay=number)
        if run is None:
            raise problems.Problem("not-found", "the event has no such replay")
        said: list[replay_details.SaidRow] = []
        if run.first_replay is not None:
            said = await replay_details.list_said(
                conn, event_id=event.id, replays=[run.first_replay, number], limit=SAID_MAX + 1
            )
        deliveries = await replay_details.list_deliveries(
            conn, event_id=event.id, replay=number, limit=DELIVERIES_MAX
        )
    deduped = [row for row in deliveries if not row.made] if run.effects == "dedupe" else []
    return ReplayDetail(
        run=run,
        event_status=event.status,
        payload_expired_at=event.payload_expired_at,
        deliveries_made=[row for row in deliveries if row.made],
        deliveries_deduped=deduped,
        comparison=comparison.compare(
            run, said[:SAID_MAX], deliveries, cut_off=len(said) > SAID_MAX
        ),
    )


ROUTES: tuple[ControllerRouterHandler, ...] = (replay_event, list_replays, get_replay)


async def _lock(conn: Conn, event_id: UUID, *, effects: queries.Effects) -> queries.Locked:
    """The event under its row lock, processed or failed, with its payload."""
    rows = await queries.lock(conn, ids=[event_id])
    if not rows:
        raise _no_event()
    event = rows[0]
    if event.status not in runs.FINISHED:
        raise problems.Problem(
            "event-not-finished",
            f"the event is {event.status}: only a processed or failed one can be replayed",
            state=event.status,
            replay=event.replay,
        )
    if event.expired:
        raise problems.Problem(
            "payload-expired", "the event's data has expired: there is nothing to replay"
        )
    await _require_no_letter(conn, event.id, effects=effects)
    return event


async def _require_no_letter(conn: Conn, event_id: UUID, *, effects: str) -> None:
    """What a letter waits for is an effect, which a run without effects must not have; and what
    waits behind it would take effect before the run.
    """
    letters = await queries.find_letters(conn, ids=[event_id], effects=effects)
    letter_id = letters.get(event_id)
    if letter_id is not None:
        ways = "or replay with effects" if effects == "none" else "which keeps their order"
        why = "waits for somebody" if effects == "none" else "holds later events of its key"
        raise problems.Problem(
            "dead-letter-open",
            f"the dead letter {letter_id} {why}: POST /dead-letters/{letter_id}/redrive, {ways}, "
            "or discard it first",
            dead_letter_id=str(letter_id),
        )


def _no_event() -> problems.Problem:
    return problems.Problem("not-found", "there is no such event")


async def _find_id(conn: Conn, text: str, *, by: str, source: str | None) -> UUID | None:
    if not text.isprintable():
        return None
    if by == "external":
        row = await event_queries.get_event_by_external_id(
            conn, source=source or cloudevents.SOURCE_DEFAULT, external_id=text
        )
        return None if row is None else row.id
    if source is not None:
        raise problems.parameter("source", "goes with by=external only")
    return pages.read_uuid(text)


async def _begin(
    conn: Conn, event: queries.Locked, asked: bodies.Asked, state: State, *, actor: str
) -> tuple[Replay, list[live.Item]]:
    """The run, and the dead letters that it closes."""
    receipt = None if asked.receipt is None else await _receipt(conn, event, asked.receipt)
    version_ids = await _version_ids(conn, event, asked)
    begun = await runs.begin(
        conn,
        state.resources,
        [event],
        queries.Request(
            mode=asked.mode,
            effects=asked.effects,
            reason=asked.reason,
            requested_by=actor,
            receipt_id=asked.receipt,
        ),
        version_ids=None if version_ids is None else {event.id: version_ids},
        receipt=receipt,
    )
    shown = Replay(
        event_id=event.id,
        replay=begun.numbers[event.id],
        mode=asked.mode,
        effects=asked.effects,
        status="pending",
        status_before=event.status,
        version_ids=version_ids,
        receipt=asked.receipt,
        reason=asked.reason,
    )
    await dead_letters.audit(
        conn,
        actor=actor,
        action="event.replay",
        target=f"events/{event.id}",
        detail={
            name: value
            for name, value in msgspec.to_builtins(shown).items()
            if name not in {"event_id", "status"} and value is not None
        },
    )
    return shown, begun.closed


async def _receipt(conn: Conn, event: queries.Locked, receipt_id: int) -> queries.Receipt:
    row = await queries.get_receipt(conn, event_id=event.id, receipt_id=receipt_id)
    if row is None:
        raise problems.at(
            "/receipt", "the event has no such receipt: GET /events/{id}/receipts lists them"
        )
    if (row.event_type, row.subject) != (event.event_type, event.subject):
        raise problems.at(
            "/receipt",
            "has another type or subject than the event: send it as an event of its own",
        )
    return row


async def _version_ids(conn: Conn, event: queries.Locked, asked: bodies.Asked) -> list[int] | None:
    if asked.rule_versions is not None:
        rows = await versions.find(
            conn, asked.rule_versions, effects=asked.effects, event_type=event.event_type
        )
        return sorted(row.id for row in rows)
    if asked.mode == "current":
        return None
    found = await queries.find_originals(conn, ids=[event.id])
    if event.id not in found:
        raise problems.at(
            "/mode", "no run of the event was ever applied, so no versions are known: use current"
        )
    return found[event.id]


async def _get(conn: Conn, text: str) -> event_queries.EventRow:
    found = pages.read_uuid(text)
    row = None if found is None else await event_queries.get_event(conn, event_id=found)
    if row is None:
        raise _no_event()
    return row
