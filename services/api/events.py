"""Events: ingestion as commands; get, list, numbers, attempts and receipts as reads."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import uuid_utils.compat
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, PathParameter, QueryParameter

from services.api import calls, cloudevents, cursors, database_pool, guards, jobs, pages, problems
from services.api.queries import events as queries
from shared import events, telemetry

type Status = Literal["pending", "processing", "processed", "failed"]
# Not a `type` statement: Litestar does not look into those.
Text = Annotated[str | None, QueryParameter(max_length=255)]

_HISTORY_MAX = 1000


class AcceptedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event that was sent."""

    id: str
    external_id: str
    source: str
    type: str
    subject: str | None
    status: Status
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


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """Every attempt at processing an event, oldest first."""

    attempts: list[queries.AttemptRow]


class Receipts(msgspec.Struct, frozen=True, kw_only=True):
    """The payloads that arrived under an event's id and were refused."""

    receipts: list[queries.ReceiptRow]


async def create_event(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    body = _read_one(call)
    event = _new_event(body, _traceparent(call), resources.settings.events_topic)
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
    fates = _read_many(call, resources)
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
    async with database_pool.connection(state.pool) as conn:
        return await queries.get_stats(conn)


@get("/events/{event_id:str}", tags=["events"], summary="One event, by our id or by the sender's")
async def get_event(
    event_id: Annotated[str, PathParameter(max_length=255)],
    request: Request[Any, Any, Any],
    state: State,
    by: FromQuery[Literal["id", "external"]] = "id",
    source: Text = None,
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


@get("/events", tags=["events"], summary="Events, newest first")
async def list_events(  # noqa: PLR0917 each is a filter
    request: Request[Any, Any, Any],
    state: State,
    status: FromQuery[Status | None] = None,
    event_type: Annotated[str | None, QueryParameter(name="type", max_length=200)] = None,
    source: Text = None,
    subject: Text = None,
    external_id: Text = None,
    q: Annotated[str | None, QueryParameter(min_length=2, max_length=100)] = None,
    received_after: FromQuery[datetime | None] = None,
    received_before: FromQuery[datetime | None] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> EventPage:
    """`q` looks for a part of external id, type, subject or source."""
    asked = queries.EventFilters(
        status=status,
        type=event_type,
        source=source,
        subject=subject,
        external_id=external_id,
        q=q,
        received_after=_with_offset(request, "received_after", received_after),
        received_before=_with_offset(request, "received_before", received_before),
    )
    place = pages.place(cursor, route="/events", filters=msgspec.to_builtins(asked))
    filters = msgspec.convert(place.filters, queries.EventFilters)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_events(conn, filters=filters, after=place.after, limit=limit + 1)
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor("/events", shown[-1].id, place.filters))
        if len(rows) > limit
        else None
    )
    return EventPage(events=shown, next_cursor=next_cursor)


@get("/events/{event_id:str}/attempts", tags=["events"], summary="How processing went, try by try")
async def list_attempts(event_id: FromPath[str], state: State) -> Attempts:
    async with database_pool.connection(state.pool) as conn:
        event = await _find(conn, event_id, by="id", source=None)
        rows = await queries.list_attempts(conn, event_id=event.id, limit=_HISTORY_MAX)
    return Attempts(attempts=rows)


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
        problems=("event-id-conflict", "source-reserved"),
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


def _read_one(call: calls.Call) -> cloudevents.EventBody:
    if call.header(b"content-type") and _media_type(call) == cloudevents.STRUCTURED:
        return cloudevents.from_structured(call.body)
    if b"ce-id" in call.headers or b"ce-specversion" in call.headers:
        return cloudevents.from_binary(call.headers, call.body)
    return cloudevents.from_json(call.body)


def _read_many(
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
    for index, raw in enumerate(raw_items):
        try:
            fates.append(_new_event(read(bytes(raw)), traceparent, resources.settings.events_topic))
        except problems.Problem as problem:
            fates.append(problems.below(problem, f"/{index}"))
    return fates


def _new_event(body: cloudevents.EventBody, traceparent: str, topic: str) -> jobs.NewEvent:
    event_id = uuid_utils.compat.uuid7()
    data = bytes(body.data)
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
        topic=topic,
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


def _with_offset(
    request: Request[Any, Any, Any], name: str, moment: datetime | None
) -> datetime | None:
    if moment is None:
        return None
    # A bare number would be read as seconds since 1970, which nobody means.
    is_date = "-" in request.query_params.get(name, "")[1:]
    if moment.tzinfo is None or not is_date:
        raise problems.parameter(name, "must say its offset from UTC, e.g. 2026-11-22T10:00:00Z")
    return moment


def _traceparent(call: calls.Call) -> str:
    return telemetry.traceparent_or_new(call.header(b"traceparent"))


def _media_type(call: calls.Call) -> str:
    return (call.header(b"content-type") or "").partition(";")[0].strip().lower()
