"""The ledger: deliveries newest first, one with its request and attempts, and its numbers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter

from services.api import cursors, database_pool, pages, problems
from services.api.queries import deliveries as queries

type DeliveryState = Literal["pending", "sending", "confirmed", "failed", "unknown", "skipped"]
type DeliveryKind = Literal["webhook", "email"]

_LIST = "/deliveries"


class DeliveryPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    deliveries: list[queries.DeliveryRow]
    next_cursor: str | None


class SentRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sent, the same at each attempt. A target adds its headers, whose values are not
    shown, and each attempt its webhook-timestamp and webhook-signature.
    """

    method: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    target_header_names: list[str] = []
    to: list[str] | str | None = None
    subject: str | None = None
    body: Any = None


class Links(msgspec.Struct, frozen=True, kw_only=True):
    """Where more is to be read."""

    event: str
    rule: str
    version: str
    target: str | None
    repeats: str | None
    dead_letter: str | None


class Delivery(queries.DeliveryRow, frozen=True, kw_only=True):
    """A delivery with its request (null: none was made, or retention emptied it) and attempts."""

    rule_name: str
    target_name: str | None
    request: SentRequest | None
    payload_expired: bool
    attempts: list[queries.AttemptRow]
    dead_letter_state: str | None
    links: Links


class DeliveryStats(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger in numbers. confirmed_estimate comes from the table's statistics. destinations:
    the fifty that have waited longest.
    """

    states: list[queries.StateCount]
    confirmed_estimate: int | None
    oldest_due_age_seconds: float | None
    destinations: list[queries.Backlog]


@get("/deliveries", tags=["deliveries"], summary="Deliveries, newest first")
async def list_deliveries(  # noqa: PLR0917 each is a filter
    request: Request[Any, Any, Any],
    state: State,
    delivery_state: Annotated[DeliveryState | None, QueryParameter(name="state")] = None,
    kind: FromQuery[DeliveryKind | None] = None,
    event_id: FromQuery[UUID | None] = None,
    rule_id: FromQuery[UUID | None] = None,
    target_id: FromQuery[UUID | None] = None,
    destination: Annotated[str | None, QueryParameter(min_length=1, max_length=300)] = None,
    created_after: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> DeliveryPage:
    """`destination` is target/{id}, the origin of a URL (https://example.com:443) or email."""
    asked = queries.DeliveryFilters(
        state=delivery_state,
        kind=kind,
        event_id=event_id,
        rule_id=rule_id,
        target_id=target_id,
        destination=destination,
        created_after=pages.with_offset(request, "created_after", created_after),
        created_before=pages.with_offset(request, "created_before", created_before),
    )
    place = pages.place(cursor, route=_LIST, filters=msgspec.to_builtins(asked))
    filters = msgspec.convert(place.filters, queries.DeliveryFilters)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_deliveries(
            conn, filters=filters, after=place.after, limit=limit + 1
        )
    shown = rows[:limit]
    next_cursor = None
    if len(rows) > limit:
        next_cursor = cursors.encode(cursors.Cursor(_LIST, shown[-1].id, place.filters))
    return DeliveryPage(deliveries=shown, next_cursor=next_cursor)


@get("/deliveries/stats", tags=["deliveries"], summary="How much waits, where, and for how long")
async def get_stats(state: State) -> DeliveryStats:
    """Counts end at 50,000 of a state and 1,000 of a destination; capped says that more is
    there.
    """
    async with database_pool.connection(state.pool) as conn:
        states = await queries.count_states(conn)
        total = await queries.estimate_total(conn)
        backlogs = await queries.list_backlogs(conn)
    rest = sum(each.count for each in states)
    ages = [each.oldest_due_age_seconds for each in backlogs]
    return DeliveryStats(
        states=states,
        confirmed_estimate=None if total is None else max(0, total - rest),
        oldest_due_age_seconds=max((age for age in ages if age is not None), default=None),
        destinations=backlogs,
    )


@get(
    "/deliveries/{delivery_id:str}",
    tags=["deliveries"],
    summary="One delivery: what is sent, and what each attempt taught",
)
async def get_delivery(delivery_id: FromPath[str], state: State) -> Delivery:
    """The newest 200 attempts are shown."""
    async with database_pool.connection(state.pool) as conn:
        return await view(conn, read_id(delivery_id))


async def view(conn: database_pool.Conn, delivery_id: UUID) -> Delivery:
    row = await queries.get_delivery(conn, delivery_id=delivery_id)
    around = await queries.get_surroundings(conn, delivery_id=delivery_id)
    if row is None or around is None:
        raise no_delivery()
    return Delivery(
        **msgspec.structs.asdict(row),
        rule_name=around.rule_name,
        target_name=around.target_name,
        request=_request(around),
        payload_expired=around.request is None and around.payload_expired_at is not None,
        attempts=await queries.list_attempts(conn, delivery_id=delivery_id),
        dead_letter_state=around.dead_letter_state,
        links=_links(row, around),
    )


def read_id(text: str) -> UUID:
    found = pages.read_uuid(text)
    if found is None:
        raise no_delivery()
    return found


def no_delivery() -> problems.Problem:
    return problems.Problem("not-found", "there is no such delivery")


def _request(around: queries.Surroundings) -> SentRequest | None:
    if around.request is None:
        return None
    kept = msgspec.json.decode(around.request, type=SentRequest)
    if kept.method is None:
        return kept
    return msgspec.structs.replace(
        kept, url=kept.url or around.target_url, target_header_names=around.target_header_names
    )


def _links(row: queries.DeliveryRow, around: queries.Surroundings) -> Links:
    letter = around.dead_letter_id
    return Links(
        event=f"/events/{row.event_id}",
        rule=f"/rules/{row.rule_id}",
        version=f"/rules/{row.rule_id}/versions/{row.rule_version}",
        target=None if row.target_id is None else f"/targets/{row.target_id}",
        repeats=None if row.repeats_id is None else f"/deliveries/{row.repeats_id}",
        dead_letter=None if letter is None else f"/dead-letters/{letter}",
    )
