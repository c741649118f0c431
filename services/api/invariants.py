"""GET /invariants: whether the promises of the pipeline hold, counted in the tables now."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get
from litestar.datastructures import State
from litestar.params import QueryParameter

from services.api import database_pool, fresh, pages
from services.api.queries import invariants as queries

FRESH_SECONDS = 2.0
WINDOW_SECONDS = 900.0
# The others of a look's `dropped` are told with their reason; these two are copies.
_COPIES = ("duplicate", "redelivered")

type Verdict = Literal["info", "holds", "broken", "unknown"]
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
    """One number and what it means. Only a promise has a verdict: it holds, it is broken, or it is
    not known, because none of the records has come so far.
    """

    key: Key
    count: int
    verdict: Verdict
    says: str


class Invariants(msgspec.Struct, frozen=True, kw_only=True):
    """Of the records accepted since `since`, newest first, at most 100,000; exact: all of them.
    Every accepted record is in one place: accepted = unpublished + parked + discarded + in_flight +
    waiting + dead_lettered + superseded + applied + lost. holds: null where it is not known.
    """

    at: datetime
    since: datetime
    oldest_at: datetime | None
    looked_at: int
    exact: bool
    holds: bool | None
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
    """The last quarter of an hour is counted once for all who ask within a few seconds: it is what
    every open console asks for. Looks at other windows wait for each other and not for that one.
    """

    def __init__(self, *, pool: database_pool.Pool) -> None:
        self._pool = pool
        self._looking = asyncio.Lock()
        self._newest = fresh.Fresh(self._quarter, seconds=FRESH_SECONDS)

    async def newest(self) -> Invariants:
        return await self._newest.get()

    async def look(self, since: datetime) -> Invariants:
        async with self._looking:
            return await _count(self._pool, since)

    async def _quarter(self) -> Invariants:
        return await _count(self._pool, None)


async def _count(pool: database_pool.Pool, since: datetime | None) -> Invariants:
    async with database_pool.connection(pool) as conn:
        if since is None:
            since = await queries.begin(conn, seconds=WINDOW_SECONDS)
        window = await queries.read_window(conn, since=since)
        dropped = await queries.count_dropped(conn, since=since)
    facts = _facts(window, dropped)
    return Invariants(
        at=window.at,
        since=since,
        oldest_at=window.oldest_at,
        looked_at=window.accepted,
        exact=not window.more,
        holds=_holds(facts),
        facts=facts,
        dropped=dropped,
        lost_examples=window.lost_examples,
    )


def _holds(facts: list[Fact]) -> bool | None:
    verdicts = {fact.verdict for fact in facts}
    if "broken" in verdicts:
        return False
    return None if "unknown" in verdicts else True


def _facts(window: queries.WindowRow, dropped: list[queries.DroppedRow]) -> list[Fact]:
    settled = window.applied + window.superseded + window.waiting + window.dead_lettered
    passed = settled + window.lost > 0
    return [
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
        _copies(dropped),
        _promise(
            "applied_twice",
            window.applied_twice,
            passed=passed,
            good="no run is in the dedupe table twice or has two successes, and no delivery was"
            " confirmed by two attempts",
            bad="runs that are in the dedupe table twice or have two successes, or deliveries that"
            " two attempts confirmed: effects are doubled",
        ),
        _promise(
            "lost",
            window.lost,
            passed=passed,
            good="whatever the consumer has passed left a trace",
            bad="records lie behind the committed offset without any trace: see lost_examples",
        ),
    ]


def _copies(dropped: list[queries.DroppedRow]) -> Fact:
    says = "other copies that arrived and changed nothing"
    if not all(row.exact for row in dropped):
        says += f"; at least, for only the newest {queries.DROPPED_MAX:,} of a partition count"
    copies = sum(row.count for row in dropped if row.verdict in _COPIES)
    return _info("duplicates_dropped", copies, says)


def _info(key: Key, count: int, says: str) -> Fact:
    return Fact(key=key, count=count, verdict="info", says=says)


def _promise(key: Key, count: int, *, passed: bool, good: str, bad: str) -> Fact:
    if count > 0:
        return Fact(key=key, count=count, verdict="broken", says=bad)
    if passed:
        return Fact(key=key, count=count, verdict="holds", says=good)
    says = "not known: the consumer has passed none of the records that were looked at"
    return Fact(key=key, count=count, verdict="unknown", says=says)
