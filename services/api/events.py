"""Events: ingestion as commands; get, list, numbers, attempts and receipts as reads."""

import asyncio
from datetime import datetime
from time import perf_counter
from typing import Annotated, Any, Literal

import msgspec
import uuid_utils.compat
from litestar import Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery, PathParameter, QueryParameter

from services.api import (
    calls,
    cloudevents,
    cursors,
    database_pool,
    event_filters,
    fresh,
    guards,
    jobs,
    pages,
    problems,
)
from services.api.data_schemas import catalogue
from services.api.queries import attempts as attempt_queries
from services.api.queries import events as queries
from services.api.rules import executions
from services.api.settings import ApiSettings
from shared import events, telemetry

_HISTORY_MAX = 1000
_TURN_SECONDS = 0.02  # how long a batch may be read before others have the event loop
_DATA = "/data"
_RULE_EVENTS_MAX = 2000


class AcceptedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event that was sent."""

    id: str
    external_id: str
    source: str
    type: str
    subject: str | None
    status: event_filters.Status
    duplicate: bool
    received_count: int
    received_at: datetime


class BatchItem(msgspec.Struct, frozen=True, kw_only=True):
    """The fate of one item: the status that it would have had alone, with its event or its
    problem.
    """

    index: int
    status: int
    event: msgspec.Raw | None = None
    problem: msgspec.Raw | None = None


class BatchResult(msgspec.Struct, frozen=True, kw_only=True):
    """One result per item, in the order of the items."""

    results: list[BatchItem]


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    events: list[queries.EventRow]
    next_cursor: str | None


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """The payloads that arrived under an event's id and were refused."""

    receipts: list[queries.ReceiptRow]


async def create_event(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    body, place = _read_one(call)
    event = _new_event(body, _traceparent(call), resources)
    problem = catalogue.problem_with(resources.types, body.type, event.payload, place)
    if problem is not None and not await _find_stored({0: event}, resources):
        raise problem
    result = await resources.coalescer.submit(jobs.IngestEvents(events=[event]))
    assert isinstance(result, jobs.Ingested)  # the only result of such a job
    outcome = result.outcomes[0]
    if isinstance(outcome, problems.Problem):
        raise outcome
    return calls.raw_answer(outcome.status, outcome.body, location=outcome.location)


async def create_events(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    """Never all or nothing: each item is accepted or refused by itself, the accepted ones in one
    commit.
    """
    fates = await _read_many(call, resources)
    accepted = [fate for fate in fates if isinstance(fate, jobs.NewEvent)]
    outcomes: list[jobs.Reply | problems.Problem] = []
    if accepted:
        result = await resources.coalescer.submit(jobs.IngestEvents(events=accepted))
        assert isinstance(result, jobs.Ingested)  # the only result of such a job
        outcomes = result.outcomes
    remaining = iter(outcomes)
    items = [
        _item(index, next(remaining) if isinstance(fate, jobs.NewEvent) else fate)
        for index, fate in enumerate(fates)
    ]
    return calls.json_answer(200, BatchResult(results=items))


@get(
    "/events/stats", tags=["events"], summary="Counts by state, and how far the pipeline is behind"
)
async def get_stats(state: State) -> queries.StatsRow:
    """One look at a time, for all who asked before it began."""
    stats: fresh.Fresh[queries.StatsRow] = state.stats
    return await stats.get()


async def count(pool: database_pool.Pool) -> queries.StatsRow:
    async with database_pool.connection(pool) as conn:
        return await queries.get_stats(conn)


@get("/events/{event_id:str}", tags=["events"], summary="One event, by our id or by the sender's")
async def get_event(
    event_id: Annotated[str, PathParameter(max_length=255)],
    request: Request[Any, Any, Any],
    state: State,
    by: FromQuery[Literal["id", "external"]] = "id",
    source: event_filters.Text = None,
) -> queries.EventRow:
    """`?by=external&source=` looks an event up by the sender's id; without source the default one
    is meant.
    """
    if by == "id" and source is not None:
        raise problems.parameter("source", "goes with by=external only")
    # The sender chose the id: a slash in it, an empty step or a space at its end belong to it.
    text = pages.path_segment(request, 2) if by == "external" else event_id
    async with database_pool.connection(state.pool) as conn:
        return await _find(conn, text, by=by, source=source)


@get(
    "/events",
    tags=["events"],
    summary="Events, newest first",
    dependencies={"asked": Provide(event_filters.read_filters)},
)
async def list_events(
    asked: NamedDependency[queries.EventFilters],
    state: State,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> EventPage:
    """`q` looks for a part of external id, type, subject or source; `rule_id` for events on which
    the rule acted or failed. With rule_id and another filter a page may be shorter than its limit:
    next_cursor says whether there is more.
    """
    place = pages.place(cursor, route="/events", filters=msgspec.to_builtins(asked))
    filters = msgspec.convert(place.filters, queries.EventFilters)
    async with database_pool.connection(state.pool) as conn:
        among = None
        looked_at = limit + 1 if set(place.filters) == {"rule_id"} else _RULE_EVENTS_MAX
        if filters.rule_id is not None:
            among = await attempt_queries.list_events_of_rule(
                conn, rule_id=filters.rule_id, after=place.after, limit=looked_at
            )
        rows = await queries.list_events(
            conn, filters=filters, after=place.after, limit=limit + 1, among=among
        )
    last = rows[limit - 1].id if len(rows) > limit else None
    if last is None and among is not None and len(among) == looked_at:
        last = among[-1]  # every one of them was looked at, and there may be more
    next_cursor = None
    if last is not None:
        next_cursor = cursors.encode(cursors.Cursor("/events", last, place.filters))
    shown = rows[:limit]
    return EventPage(events=shown, next_cursor=next_cursor)


@get("/events/{event_id:str}/attempts", tags=["events"], summary="How processing went, try by try")
async def list_attempts(event_id: FromPath[str], state: State) -> executions.Attempts:
    """With what each rule said in each attempt, and why."""
    settings: ApiSettings = state.resources.settings
    async with database_pool.connection(state.pool) as conn:
        event = await _find(conn, event_id, by="id", source=None)
        said = await executions.read(conn, event)
    return await executions.explain(said, settings.rule_limits)


@get("/events/{event_id:str}/receipts", tags=["events"], summary="Other payloads under this id")
async def list_receipts(event_id: FromPath[str], state: State) -> Receipts:
    async with database_pool.connection(state.pool) as conn:
        event = await _find(conn, event_id, by="id", source=None)
        rows = await queries.list_receipts(conn, event_id=event.id, limit=_HISTORY_MAX)
    return Receipts(receipts=rows)


COMMANDS = (
    calls.Command(
        method="POST",
        path="/events",
        run=create_event,
        summary="Accept an event, once per source and id",
        tag="events",
        body=cloudevents.EventBody,
        answers={201: AcceptedEvent, 200: AcceptedEvent},
        problems=("event-id-conflict", "source-reserved", "data-schema-violation"),
        media_types=("application/json", cloudevents.STRUCTURED),
    ),
    calls.Command(
        method="POST",
        path="/events/batch",
        run=create_events,
        summary="Accept up to 500 events, each with its own result",
        tag="events",
        body=list[cloudevents.EventBody],
        answers={200: BatchResult},
        media_types=("application/json", cloudevents.BATCHED),
        large_body=True,
    ),
)


def _read_one(call: calls.Call) -> tuple[cloudevents.EventBody, str]:
    """The event, and where its data stands in the body."""
    if call.header(b"content-type") and _media_type(call) == cloudevents.STRUCTURED:
        return cloudevents.from_structured(call.body), _DATA
    if b"ce-id" in call.headers or b"ce-specversion" in call.headers:
        return cloudevents.from_binary(call.headers, call.body), ""
    return cloudevents.from_json(call.body), _DATA


async def _read_many(
    call: calls.Call, resources: calls.Resources
) -> list[jobs.NewEvent | problems.Problem]:
    raw_items = guards.decode(call.body, list[msgspec.Raw])
    most = resources.settings.event_batch_items_max
    if not 1 <= len(raw_items) <= most:
        raise problems.at("", f"must hold 1 to {most} events, not {len(raw_items)}")
    read = (
        cloudevents.from_structured
        if _media_type(call) == cloudevents.BATCHED
        else cloudevents.from_json
    )
    traceparent = _traceparent(call)
    fates: list[jobs.NewEvent | problems.Problem] = []
    refused: dict[int, jobs.NewEvent] = {}
    turn_ends = perf_counter() + _TURN_SECONDS
    for index, raw in enumerate(raw_items):
        if perf_counter() > turn_ends:
            # Schemas make some batches expensive: others have their turn in between.
            await asyncio.sleep(0)
            turn_ends = perf_counter() + _TURN_SECONDS
        try:
            body = read(bytes(raw))
        except problems.Problem as problem:
            fates.append(problems.below(problem, f"/{index}"))
            continue
        event = _new_event(body, traceparent, resources)
        broken = catalogue.problem_with(resources.types, body.type, event.payload, _DATA)
        if broken is not None:
            refused[index] = event
        fates.append(event if broken is None else problems.below(broken, f"/{index}"))
    for index in await _find_stored(refused, resources):
        fates[index] = refused[index]
    return fates


async def _find_stored(refused: dict[int, jobs.NewEvent], resources: calls.Resources) -> list[int]:
    """Which events of those that break their schema are stored with this very data: their schema
    came later, so they are duplicates like any other.
    """
    if not refused:
        return []
    keys = [(event.source, event.external_id) for event in refused.values()]
    async with database_pool.connection(resources.pool) as conn:
        rows = await queries.find_by_external_id(conn, keys=keys)
    hashes = {(row.source, row.external_id): row.payload_hash for row in rows}
    return [
        index
        for index, event in refused.items()
        if hashes.get((event.source, event.external_id)) == event.payload_hash
    ]


def _new_event(
    body: cloudevents.EventBody, traceparent: str, resources: calls.Resources
) -> jobs.NewEvent:
    event_id = uuid_utils.compat.uuid7()
    data = bytes(body.data)
    settings = resources.types.find(body.type)
    return jobs.NewEvent(
        id=event_id,
        source=body.source,
        external_id=body.id,
        aggregate_id=str(event_id),
        aggregate_seq=1,
        event_type=body.type,
        subject=body.subject,
        payload=data,
        payload_hash=events.payload_hash(body.type, body.subject, data),
        occurred_at=body.time,
        traceparent=traceparent,
        topic=resources.settings.events_topic if settings is None else settings.topic,
    )


def _item(index: int, outcome: jobs.Reply | problems.Problem) -> BatchItem:
    if isinstance(outcome, problems.Problem):
        return BatchItem(index=index, status=outcome.status, problem=msgspec.Raw(outcome.body()))
    return BatchItem(index=index, status=outcome.status, event=msgspec.Raw(outcome.body))


async def _find(
    conn: database_pool.Conn, text: str, *, by: str, source: str | None
) -> queries.EventRow:
    if not text.isprintable():
        row = None
    elif by == "external":
        row = await queries.get_event_by_external_id(
            conn, source=source or cloudevents.SOURCE_DEFAULT, external_id=text
        )
    else:
        event_id = pages.read_uuid(text)
        row = None if event_id is None else await queries.get_event(conn, event_id=event_id)
    if row is None:
        raise problems.Problem("not-found", "there is no such event")
    return row


def _traceparent(call: calls.Call) -> str:
    return telemetry.traceparent_or_new(call.header(b"traceparent"))


def _media_type(call: calls.Call) -> str:
    return (call.header(b"content-type") or "").partition(";")[0].strip().lower()
