"""How events get their next run, in the caller's transaction: one by request, pages by a job."""

import asyncio
import contextlib
from collections.abc import Generator, Sequence
from uuid import UUID

from services.api import calls, database_pool, problems
from services.api.queries import replays as queries
from shared import events

type Conn = database_pool.Conn

FINISHED = frozenset({"processed", "failed"})


@contextlib.contextmanager
def told_where_to_look(place: str | None) -> Generator[None]:
    """Who may have sent everything again, and has no key to ask with, hears where he can see it."""
    try:
        yield
    except problems.Problem as problem:
        if place is None or problem.slug != "outcome-unknown":
            raise
        raise problems.Problem(
            problem.slug,
            "the connection was lost while the commit was under way, and what is forced is sent "
            f"again by every replay: look at GET {place} first, and send an Idempotency-Key",
            retry_after_seconds=problem.retry_after_seconds,
        ) from problem


async def begin(
    conn: Conn,
    resources: calls.Resources,
    locked: Sequence[queries.Locked],
    request: queries.Request,
    *,
    version_ids: dict[UUID, list[int]] | None,
    receipt: queries.Receipt | None = None,
) -> queries.Begun:
    """Give events, whose rows are locked and finished, their next run."""
    # In a thread: a page of large events takes longer than others may wait for the event loop.
    runs = await asyncio.to_thread(_runs, resources, locked, version_ids, receipt)
    return await queries.begin(conn, runs=runs, request=request)


def _runs(
    resources: calls.Resources,
    locked: Sequence[queries.Locked],
    version_ids: dict[UUID, list[int]] | None,
    receipt: queries.Receipt | None,
) -> list[queries.Run]:
    return [
        queries.Run(
            event_id=event.id,
            topic=_topic(resources, event),
            shard=events.shard_of(event.subject or event.aggregate_id),
            payload=None if receipt is None else receipt.payload.encode(),
            payload_hash=_hash(event, receipt),
            version_ids=None if version_ids is None else version_ids[event.id],
        )
        for event in locked
    ]


def _topic(resources: calls.Resources, event: queries.Locked) -> str:
    """Where the event would go if it were accepted now."""
    if event.source == events.ORDER_SOURCE:
        return resources.settings.orders_topic
    kind = resources.types.find(event.event_type)
    return resources.settings.events_topic if kind is None else kind.topic


def _hash(event: queries.Locked, receipt: queries.Receipt | None) -> bytes | None:
    """The hash of what is going to run, unless it is the event's. jsonb keeps a number's value and
    not its form (1e2 is 100), which the hash tells apart.
    """
    payload = event.payload if receipt is None else receipt.payload
    assert payload is not None  # the event is finished and its payload is kept
    found = events.payload_hash(event.event_type, event.subject, payload.encode())
    return None if receipt is None and found == event.payload_hash else found
