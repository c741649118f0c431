"""GET /invariants: whether the promises of the pipeline hold, counted in the tables now."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from services.api import database_pool, pages
from services.api.queries import invariants as queries
from shared import clock

FRESH_SECONDS = 2.0
WINDOW = timedelta(minutes=15)

type Verdict = Literal["info", "holds", "broken"]
type Key = Literal[
    "accepted",
    "unpublished",
    "parked",
    "discarded",
    "published",
    "in_flight",
    "waiting",
    "dead_lettered",
    "superseded",
    "applied",
    "duplicates_dropped",
    "applied_twice",
    "lost",
]


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """One number and what it means. Only a promise has a verdict: it holds, or it is broken."""

    key: Key
    count: int
    verdict: Verdict
    says: str


class Invariants(msgspec.Struct, frozen=True, kw_only=True):
    """Of the records accepted since `since`, newest first, at most 100,000; exact: all of them.
    Every accepted record is in one place: accepted = unpublished + parked + discarded + in_flight +
    waiting + dead_lettered + superseded + applied + lost.
    """

    at: datetime
    since: datetime
    oldest_at: datetime | None
    looked_at: int
    exact: bool
    holds: bool
    facts: list[Fact]
    dropped: list[queries.DroppedRow]
    lost_examples: list[queries.LostRow]


@get("/invariants", tags=["overview"], summary="Nothing lost, nothing applied twice: counted now")
async def get_invariants(
    request: Request[Any, Any, Any],
    state: State,
    since: Annotated[datetime | None, QueryParameter()] = None,
) -> Invariants:
    """Without `since`: the last 15 minutes, two seconds old at most. Lost is a record that the
    consumer has passed and that left no trace: neither applied, nor waiting, nor a dead letter, nor
    dropped with a reason.
    """
    looks: Looks = state.looks
    given = pages.with_offset(request, "since", since)
    return await looks.newest() if given is None else await looks.look(given)


class Looks:
    """One look at a time. The last quarter of an hour is counted once for all who ask within a few
    seconds: it is what every open console asks for.
    """

    def __init__(self, *, pool: database_pool.Pool) -> None:
        self._pool = pool
        self._looking = asyncio.Lock()
        self._newest: Invariants | None = None
        self._made_at = 0.0

    async def newest(self) -> Invariants:
        async with self._looking:
            now = time.monotonic()
            if self._newest is None or now - self._made_at > FRESH_SECONDS:
                self._newest = await _count(self._pool, clock.now() - WINDOW)
                self._made_at = time.monotonic()
            return self._newest

    async def look(self, since: datetime) -> Invariants:
        async with self._looking:
            return await _count(self._pool, since)


async def _count(pool: database_pool.Pool, begin: datetime) -> Invariants:
    async with database_pool.connection(pool) as conn:
        window = await queries.read_window(conn, since=begin)
        dropped = await queries.count_dropped(conn, since=begin)
    return Invariants(
        at=window.at,
        since=begin,
        oldest_at=window.oldest_at,
        looked_at=window.accepted,
        exact=not window.more,
        holds=window.lost == 0 and window.applied_twice == 0,
        facts=_facts(window, dropped=sum(row.count for row in dropped)),
        dropped=dropped,
        lost_examples=window.lost_examples,
    )


def _facts(window: queries.WindowRow, *, dropped: int) -> list[Fact]:
    facts = [
        _info("accepted", window.accepted, "committed with the request that brought them"),
        _info("unpublished", window.unpublished, "wait in the outbox for the relay"),
        _info("parked", window.parked, "the broker refused them; a person decides"),
        _info("discarded", window.discarded, "refused by the broker, and given up by a person"),
        _info("published", window.published, "acknowledged by the broker, with their place"),
        _info("in_flight", window.in_flight, "published, and not yet reached by the consumer"),
        _info("waiting", window.waiting, "failed and are tried again, or wait behind one"),
        _info("dead_lettered", window.dead_lettered, "given up; they can be redriven"),
        _info("superseded", window.superseded, "dropped with a reason, e.g. of a run before"),
        _info("applied", window.applied, "took effect, once, in one transaction"),
        _info("duplicates_dropped", dropped, "other copies that arrived and changed nothing"),
    ]
    facts.append(
        _promise(
            "applied_twice",
            window.applied_twice,
            good="no run of an event succeeded more than once",
            bad="runs of events succeeded more than once: effects may be doubled",
        )
    )
    facts.append(
        _promise(
            "lost",
            window.lost,
            good="whatever the consumer has passed left a trace",
            bad="records lie behind the committed offset without any trace: see lost_examples",
        )
    )
    return facts


def _info(key: Key, count: int, says: str) -> Fact:
    return Fact(key=key, count=count, verdict="info", says=says)


def _promise(key: Key, count: int, *, good: str, bad: str) -> Fact:
    return Fact(
        key=key,
        count=count,
        verdict="holds" if count == 0 else "broken",
        says=good if count == 0 else bad,
    )
