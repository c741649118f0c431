"""GET /events/facets: what the events of a list are made of, so that a person can narrow it."""

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from services.api import database_pool, event_filters
from services.api.queries import attempts as attempt_queries
from services.api.queries import event_facets as queries
from services.api.queries import events as event_queries


class Facet(msgspec.Struct, frozen=True, kw_only=True):
    """The most frequent values among the newest events that match all filters but the facet's own,
    so that another value can be chosen; exact: none that matches was left out.
    """

    values: list[queries.Value]
    looked_at: int
    exact: bool


class Facets(msgspec.Struct, frozen=True, kw_only=True):
    """looked_at: events that match every filter, at most 5,000; exact: there are no more."""

    looked_at: int
    exact: bool
    status: Facet
    type: Facet
    source: Facet


@get(
    "/events/facets",
    tags=["events"],
    summary="What the newest events are made of: counts by status, type and source",
    dependencies={"filters": Provide(event_filters.read_filters)},
)
async def get_facets(filters: NamedDependency[event_queries.EventFilters], state: State) -> Facets:
    """The filters are those of GET /events. A facet has at most 20 values; a text (`q`) is looked
    for in the newest 20,000 events of the other filters.
    """
    async with database_pool.connection(state.pool) as conn:
        among = None
        if filters.rule_id is not None:
            among = await attempt_queries.list_events_of_rule(
                conn, rule_id=filters.rule_id, after=None, limit=queries.LOOKED_AT_MAX + 1
            )
        base = await queries.count(conn, filters=filters, among=among)
        found = {
            name: base
            if getattr(filters, name) is None
            else await queries.count(
                conn, filters=msgspec.structs.replace(filters, **{name: None}), among=among
            )
            for name in ("status", "type", "source")
        }
    return Facets(
        looked_at=base.matched,
        exact=base.exact,
        status=_facet(found["status"], found["status"].status),
        type=_facet(found["type"], found["type"].type),
        source=_facet(found["source"], found["source"].source),
    )


def _facet(counts: queries.Counts, values: list[queries.Value]) -> Facet:
    return Facet(values=values, looked_at=counts.matched, exact=counts.exact)
