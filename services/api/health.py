"""/health/live, /health/ready and /metrics, on the port of REST."""

import asyncio
from collections.abc import Iterable
from typing import Any

from litestar import Response, get
from litestar.datastructures import State

from services.api import background, database_pool, problems
from services.api.queries import health as queries
from shared import faults, health, telemetry

_PING_SECONDS = 1.0


@get("/health/live", tags=["health"], summary="The process turns")
async def live() -> dict[str, bool]:
    return {"live": True}


@get("/health/ready", tags=["health"], summary="Writes and reads get through")
async def ready(state: State) -> Response[health.Readiness]:
    reasons: list[str] = []
    if not state.resources.coalescer.connected:
        reasons.append("no writer has a database connection")
    if not await _database_answers(state):
        reasons.append("the database does not answer or takes no writes")
    if not state.resources.types.fresh:
        reasons.append("the event types have not been read for ten seconds")
    reasons += reasons_of(state.background)
    detail: dict[str, Any] = {
        "writers_connected": state.resources.coalescer.connected,
        "faults_enabled": faults.ENABLED,
        **faults.health(),
    }
    answer = health.Readiness(ready=not reasons, reasons=reasons, detail=detail)
    return Response(answer, status_code=200 if answer.ready else 503)


@get("/metrics", include_in_schema=False)
async def read_metrics(state: State) -> Response[bytes]:
    state.request_metrics.flush()
    body, content_type = telemetry.render_metrics()
    return Response(body, media_type=content_type)


def reasons_of(parts: Iterable[background.Background]) -> list[str]:
    return [f"the task {part.name} died: see the log, restart" for part in parts if part.died]


async def _database_answers(state: State) -> bool:
    try:
        async with (
            asyncio.timeout(2 * _PING_SECONDS),
            database_pool.connection(state.pool, seconds=_PING_SECONDS) as conn,
        ):
            return await queries.takes_writes(conn)
    except (TimeoutError, problems.Problem):
        return False
