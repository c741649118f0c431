"""Looks at the pipeline's counters every few seconds, for rates and for the last quarter of an
hour. What it keeps is bounded, in this process, and gone with it: `since` says when it began.
"""

import asyncio
from collections import deque
from datetime import datetime
from typing import override

import msgspec

from services.api import background, database_pool, problems
from services.api.queries import overview as queries
from shared import telemetry

SAMPLE_SECONDS = 2.5
SAMPLES_A_POINT = 2
POINTS_MAX = 180  # of five seconds each: a quarter of an hour
RATE_SECONDS = 10.0
_MINUTE_SECONDS = 60.0
_SAMPLES_KEPT = 30  # somewhat more than a minute
_LOOK_SECONDS = 2.0
_log = telemetry.logger(__name__)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Totals at one moment; pending is an estimate by ids where exact is false."""

    at: datetime
    accepted: int
    published: int
    applied: int
    confirmed: int
    pending: int
    exact: bool
    lag: int


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Per second over the last ten seconds; null before there are two samples."""

    accepted: float | None = None
    published: float | None = None
    applied: float | None = None
    confirmed: float | None = None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Five seconds: what happened per second, and what waited at their end."""

    at: datetime
    accepted: float
    published: float
    applied: float
    confirmed: float
    outbox_pending: int
    lag: int


class Pulse(background.Background):
    """Owns the task that samples."""

    def __init__(self, *, pool: database_pool.Pool) -> None:
        super().__init__(name="pulse")
        self._pool = pool
        self._samples: deque[Sample] = deque(maxlen=_SAMPLES_KEPT)
        self._points: deque[Point] = deque(maxlen=POINTS_MAX)
        self._point_from: Sample | None = None
        self._taken = 0
        self._since: datetime | None = None

    @property
    def since(self) -> datetime | None:
        return self._since

    @override
    async def run(self) -> None:
        while True:
            try:
                async with database_pool.connection(self._pool, seconds=_LOOK_SECONDS) as conn:
                    row = await queries.sample(conn)
            except problems.Problem as error:
                _log.warning("pulse missed", reason=error.slug)
            else:
                self.add(sample_of(row))
            await asyncio.sleep(SAMPLE_SECONDS)

    def add(self, sample: Sample) -> None:
        self._since = self._since or sample.at
        self._samples.append(sample)
        if self._taken % SAMPLES_A_POINT == 0:
            if self._point_from is not None:
                self._points.append(_point(self._point_from, sample))
            self._point_from = sample
        self._taken += 1

    def rates(self) -> Rates:
        if not self._samples:
            return Rates()
        last = self._samples[-1]
        window = [s for s in self._samples if (last.at - s.at).total_seconds() <= RATE_SECONDS + 1]
        return rates_between(window[0], last)

    def confirmed_last_minute(self) -> int | None:
        """Null before the pulse has looked for a minute."""
        if not self._samples:
            return None
        last = self._samples[-1]
        older = [s for s in self._samples if (last.at - s.at).total_seconds() >= _MINUTE_SECONDS]
        return max(0, last.confirmed - older[-1].confirmed) if older else None

    def series(self) -> list[Point]:
        """Oldest first; a point never changes once it is there."""
        return list(self._points)


def sample_of(row: queries.SampleRow) -> Sample:
    """Ids of the outbox have no gaps but for what was rolled back, so beyond the bound of the count
    the span of the waiting ids tells how many there are.
    """
    exact = row.pending <= queries.COUNTED_MAX
    pending = row.pending
    if not exact and row.oldest_pending_id is not None:
        pending = max(pending, row.newest_id - row.oldest_pending_id + 1)
    return Sample(
        at=row.at,
        accepted=row.newest_id,
        published=max(0, row.newest_id - pending - row.parked),
        applied=row.committed,
        confirmed=row.confirmed,
        pending=pending,
        exact=exact,
        lag=row.lag,
    )


def rates_between(first: Sample, last: Sample) -> Rates:
    seconds = (last.at - first.at).total_seconds()
    if seconds <= 0:
        return Rates()
    return Rates(
        accepted=_rate(first.accepted, last.accepted, seconds),
        published=_rate(first.published, last.published, seconds),
        applied=_rate(first.applied, last.applied, seconds),
        confirmed=_rate(first.confirmed, last.confirmed, seconds),
    )


def _point(before: Sample, after: Sample) -> Point:
    rates = rates_between(before, after)
    return Point(
        at=after.at,
        accepted=rates.accepted or 0.0,
        published=rates.published or 0.0,
        applied=rates.applied or 0.0,
        confirmed=rates.confirmed or 0.0,
        outbox_pending=after.pending,
        lag=after.lag,
    )


def _rate(before: int, after: int, seconds: float) -> float:
    """A counter that was made anew goes back; nothing flows backwards."""
    return round(max(0, after - before) / seconds, 2)
