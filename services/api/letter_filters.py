"""The filters of GET /dead-letters as a dependency, for whatever lists or counts dead letters."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request
from litestar.params import FromQuery, QueryParameter

from services.api import pages, problems
from services.api.queries import dead_letters as queries

UNTYPED_ALONE = "cannot be given together with event_type: leave one of them out"

_UNTYPED = QueryParameter(
    description="true: those without an event type; false: those that have one. Not with event_type"
)


async def read_filters(  # noqa: PLR0917 each is a filter
    request: Request[Any, Any, Any],
    stage: FromQuery[queries.Stage | None] = None,
    event_type: Annotated[str | None, QueryParameter(max_length=200)] = None,
    untyped: Annotated[bool | None, _UNTYPED] = None,
    topic: Annotated[str | None, QueryParameter(max_length=255)] = None,
    error_class: Annotated[str | None, QueryParameter(max_length=200)] = None,
    event_id: FromQuery[UUID | None] = None,
    delivery_id: FromQuery[UUID | None] = None,
    destination: Annotated[str | None, QueryParameter(max_length=2100)] = None,
    created_after: FromQuery[datetime | None] = None,
    created_before: FromQuery[datetime | None] = None,
) -> queries.DeadLetterFilters:
    """All but the state, which only a list takes."""
    if untyped is not None and event_type is not None:
        raise problems.parameter("untyped", UNTYPED_ALONE)
    return queries.DeadLetterFilters(
        stage=stage,
        event_type=event_type,
        untyped=untyped,
        topic=topic,
        error_class=error_class,
        event_id=event_id,
        delivery_id=delivery_id,
        destination=destination,
        created_after=pages.with_offset(request, "created_after", created_after),
        created_before=pages.with_offset(request, "created_before", created_before),
    )


def texts(filters: queries.DeadLetterFilters) -> dict[str, str]:
    """As a cursor keeps them."""
    return {
        name: value if isinstance(value, str) else str(value).lower()
        for name, value in msgspec.to_builtins(filters).items()
    }
