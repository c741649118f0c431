"""GET /events/{id}/timeline: one event's history, joined from what is stored."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromQuery, PathParameter, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import cloudevents, database_pool, pages, problems
from services.api.queries import attempts as attempt_queries
from services.api.queries import timeline as queries
from services.api.queries import timeline_effects as effect_queries
from services.api.timeline import effects, entries, processing
from shared import events

ENTRIES_MAX = 1000
# One more than may be shown tells that there are more.
_ROWS_MAX = ENTRIES_MAX + 1


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of an event, in the order of time; cut_off: only the first entries."""

    event_id: UUID
    trace_id: str | None
    type: str
    status: str
    received_at: datetime
    entries: list[entries.Entry]
    cut_off: bool


@get("/events/{event_id:str}/timeline", tags=["events"], summary="Everything that happened to it")
async def get_timeline(
    event_id: Annotated[str, PathParameter(max_length=255)],
    request: Request[Any, Any, Any],
    state: State,
    by: FromQuery[Literal["id", "external"]] = "id",
    source: Annotated[str | None, QueryParameter(max_length=255)] = None,
) -> Timeline:
    """From acceptance over outbox, log and rules to each attempt at each delivery, in one list.

    Each entry names the entry that it belongs to (`parent`); what is planned comes last, with
    outcome `waiting`. At most 1,000 entries; `cut_off` says that there are more.
    """
    if by == "id" and source is not None:
        raise problems.parameter("source", "goes with by=external only")
    # The sender chose the id: a slash in it, an empty step or a space at its end belong to it.
    text = pages.path_segment(request, 2) if by == "external" else event_id
    async with database_pool.connection(state.pool) as conn, conn.transaction():
        await queries.begin_snapshot(conn)
        event = await _find(conn, text, by=by, source=source)
        drafts, traces = await _gather(conn, event)
    return Timeline(
        event_id=event.id,
        trace_id=entries.trace_id(event.traceparent),
        type=event.event_type,
        status=event.status,
        received_at=event.received_at,
        entries=entries.arrange(drafts, traces=traces, most=ENTRIES_MAX),
        cut_off=len(drafts) > ENTRIES_MAX,
    )


ROUTES: tuple[ControllerRouterHandler, ...] = (get_timeline,)


async def _find(
    conn: database_pool.Conn, text: str, *, by: str, source: str | None
) -> queries.EventFacts:
    row = None
    event_id = pages.read_uuid(text)
    if by == "external" and text.isprintable():
        row = await queries.find_event_by_external_id(
            conn, source=source or cloudevents.SOURCE_DEFAULT, external_id=text
        )
    elif by == "id" and event_id is not None:
        row = await queries.find_event(conn, event_id=event_id)
    if row is None:
        raise problems.Problem("not-found", "there is no such event")
    return row


async def _gather(
    conn: database_pool.Conn, event: queries.EventFacts
) -> tuple[list[entries.Draft], dict[int, str]]:
    """Every entry, and the traceparent of each run."""
    drafts, traces = await _processing(conn, event)
    return [*drafts, *await _effects(conn, event)], traces


async def _processing(
    conn: database_pool.Conn, event: queries.EventFacts
) -> tuple[list[entries.Draft], dict[int, str]]:
    replays = await queries.list_replays(conn, event_id=event.id, limit=_ROWS_MAX)
    records = await queries.list_outbox_records(
        conn,
        event_id=event.id,
        moments=[event.received_at, *(replay.requested_at for replay in replays)],
        limit=_ROWS_MAX,
    )
    attempts = await attempt_queries.list_attempts(conn, event_id=event.id, limit=_ROWS_MAX)
    skips = await queries.list_skips(conn, event_id=event.id, limit=_ROWS_MAX)
    bookings = []
    if event.source == events.ORDER_SOURCE:
        bookings = await queries.list_bookings(conn, event=event, order_id=UUID(event.aggregate_id))
    drafts = [
        processing.of_event(event),
        *processing.of_receipts(
            await queries.list_receipts(conn, event_id=event.id, limit=_ROWS_MAX)
        ),
        *processing.of_replays(replays),
        *processing.of_outbox(records),
        *processing.of_runs(await queries.list_runs(conn, event=event, limit=_ROWS_MAX)),
        *processing.of_attempts(attempts),
        *processing.of_rules(await queries.list_rules(conn, event_id=event.id, limit=_ROWS_MAX)),
        *processing.of_skips(skips, attempts),
        *processing.of_bookings(bookings),
        *processing.of_dropped(
            await queries.list_dropped(conn, event_id=event.id, limit=_ROWS_MAX)
        ),
        *processing.of_waiting(await queries.list_waiting(conn, event=event, limit=_ROWS_MAX)),
    ]
    traces = {record.replay: record.traceparent for record in records}
    return drafts, {0: event.traceparent, **traces}


async def _effects(conn: database_pool.Conn, event: queries.EventFacts) -> list[entries.Draft]:
    deliveries = await effect_queries.list_deliveries(conn, event_id=event.id, limit=_ROWS_MAX)
    attempts = await effect_queries.list_delivery_attempts(
        conn, delivery_ids=[row.id for row in deliveries], limit=_ROWS_MAX
    )
    return [
        *effects.of_deliveries(deliveries),
        *effects.of_attempts(attempts, deliveries),
        *effects.of_letters(
            await effect_queries.list_letters(conn, event_id=event.id, limit=_ROWS_MAX)
        ),
    ]
