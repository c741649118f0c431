"""The filters of GET /events as a dependency, for whatever lists, counts or exports events."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request
from litestar.params import FromQuery, QueryParameter

from services.api import pages
from services.api.queries import events as queries

# What a text that is looked for may be long.
SEARCH_CHARACTERS_MIN = 2
SEARCH_CHARACTERS_MAX = 100

type Status = Literal["pending", "processing", "processed", "failed"]
# Not a `type` statement: Litestar does not look into those.
Text = Annotated[str | None, QueryParameter(max_length=255)]
Search = Annotated[
    str | None,
    QueryParameter(min_length=SEARCH_CHARACTERS_MIN, max_length=SEARCH_CHARACTERS_MAX),
]


async def read_filters(  # noqa: PLR0917 each is a filter
    request: Request[Any, Any, Any],
    status: FromQuery[Status | None] = None,
    event_type: Annotated[str | None, QueryParameter(name="type", max_length=200)] = None,
    source: Text = None,
    subject: Text = None,
    external_id: Text = None,
    q: Search = None,
    received_after: FromQuery[datetime | None] = None,
    received_before: FromQuery[datetime | None] = None,
    rule_id: FromQuery[UUID | None] = None,
) -> queries.EventFilters:
    return queries.EventFilters(
        status=status,
        type=event_type,
        source=source,
        subject=subject,
        external_id=external_id,
        q=q,
        received_after=pages.with_offset(request, "received_after", received_after),
        received_before=pages.with_offset(request, "received_before", received_before),
        rule_id=rule_id,
    )
