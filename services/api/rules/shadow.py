"""GET /rules/{id}/shadow: what a version in shadow did on live events, beside the published one."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.types import ControllerRouterHandler

from services.api import database_pool, problems, uuid7
from services.api.queries import backtests as version_queries
from services.api.queries import shadow as queries
from services.api.rules import changes
from shared.rules import patterns

EVENTS_MAX = 100_000
EXAMPLES_MAX = 20
TYPES_MAX = 10_000


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """The newest attempts in which the version was evaluated in shadow: looked_at = both + neither
    + only_shadow + only_live + not_compared. An attempt in which either failed is not compared.

    only_shadow: it would have acted and the published version did not; only_live: the reverse.
    cut_off: only the newest events_max events of the rule's types were looked at.
    """

    rule_id: UUID
    version: int
    state: str
    since: datetime
    looked_at: int
    both: int
    neither: int
    only_shadow: int
    only_live: int
    not_compared: int
    shadow_errors: int
    live_errors: int
    examples: queries.Examples
    events: int
    events_max: int
    cut_off: bool


@get(
    "/rules/{rule_id:str}/shadow",
    tags=["rules"],
    summary="The version in shadow beside the published one, on the same live events",
)
async def get_shadow(
    rule_id: FromPath[str],
    request: Request[Any, Any, Any],
    state: State,
    since: FromQuery[datetime | None] = None,
    events_max: Annotated[int, QueryParameter(ge=1, le=EVENTS_MAX)] = EVENTS_MAX,
) -> Shadow:
    """Counts attempts on events that were received since (default: since it went into shadow)."""
    found = changes.read_id(rule_id)
    # A bare number would be read as seconds since 1970, which nobody means.
    is_date = "-" in request.query_params.get("since", "")[1:]
    if since is not None and (since.tzinfo is None or not is_date):
        raise problems.parameter("since", "must say its offset from UTC, e.g. 2026-11-22T10:00:00Z")
    async with database_pool.connection(state.pool) as conn:
        row = await version_queries.find_version(conn, rule_id=found, choice="shadow")
        if row is None or row.shadowed_at is None:
            if not await version_queries.rule_exists(conn, rule_id=found):
                raise changes.no_rule()
            raise problems.Problem("not-found", "no version of this rule was ever in shadow")
        types = [row.event_type]
        if row.event_type.endswith("*"):
            present = await queries.list_types(conn, types_max=TYPES_MAX)
            types = [name for name in present if patterns.matches(row.event_type, name)]
        begin = since or row.shadowed_at
        counts = await queries.compare(
            conn,
            rule_id=found,
            version_id=row.id,
            types=types,
            first=uuid7.first_of(begin),
            events_max=events_max,
            examples_max=EXAMPLES_MAX,
        )
    return Shadow(
        rule_id=found,
        version=row.version,
        state=row.state,
        since=begin,
        events_max=events_max,
        cut_off=counts.events >= events_max,
        not_compared=counts.looked_at
        - (counts.both + counts.neither + counts.only_shadow + counts.only_live),
        **msgspec.structs.asdict(counts),
    )


ROUTES: tuple[ControllerRouterHandler, ...] = (get_shadow,)
