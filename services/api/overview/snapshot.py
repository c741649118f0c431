"""One look at the database for everybody who asks within a second."""

import time
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from services.api import database_pool, fresh, uuid7
from services.api.overview import liveness, pulse
from services.api.queries import overview as queries
from services.api.queries import presence

FRESH_SECONDS = 1.0
SLOW_FRESH_SECONDS = 5.0
_SMALL_LEDGER = 20_000
_DAY = timedelta(hours=24)

type FirstStep = Literal[
    "api_up",
    "relay_up",
    "consumer_up",
    "dispatcher_up",
    "event_accepted",
    "event_processed",
    "rule_made",
    "rule_fired",
]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A place that records pass. total: of all time, replays included; null where unknown; exact:
    it was counted. per_second: over the last ten seconds, null at first.
    """

    total: int | None
    exact: bool
    per_second: float | None


class Outbox(msgspec.Struct, frozen=True, kw_only=True):
    """What is accepted and not published; not exact: pending is estimated by ids."""

    pending: int
    exact: bool
    parked: int
    oldest_age_seconds: float


class DeliveryCounts(msgspec.Struct, frozen=True, kw_only=True):
    """capped: the states of which there are more than is said."""

    pending: int
    sending: int
    failed: int
    unknown: int
    confirmed_last_minute: int | None
    capped: list[str]


class DeadLetterCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Open ones; capped: there are more, and only the oldest are counted."""

    relay: int = 0
    consumer: int = 0
    delivery: int = 0
    capped: bool = False


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """The way of an event in numbers. The totals of accepted, published and applied are read off
    and not counted. accepted: the newest id of the outbox; ids of requests that were rolled back
    are among them. published: the same without what waits and what is parked. applied: how many
    records the consumers have passed, so the sum of the committed offsets: also copies that changed
    nothing and dead letters, and no record of a topic that was made anew. confirmed: counted while
    there are few deliveries, then what an estimate of all leaves over.
    """

    accepted: Stage
    published: Stage
    applied: Stage
    confirmed: Stage
    outbox: Outbox
    lag: int
    deliveries: DeliveryCounts
    dead_letters: DeadLetterCounts
    failed_last_24h: int


class ChecklistItem(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the first-run checklist."""

    key: FirstStep
    done: bool


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The last quarter of an hour as this api saw it; since: when it began to look."""

    since: datetime | None
    step_seconds: float
    points: list[pulse.Point]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything the first screen shows, as of `at`."""

    at: datetime
    pipeline: Pipeline
    partitions: list[queries.PartitionRow]
    services: list[liveness.Service]
    database: liveness.DatabaseState
    broker: liveness.BrokerState
    latency: queries.LatencyRow
    checklist: list[ChecklistItem]
    faults: list[queries.FaultRow]
    series: Series


class _Slow(msgspec.Struct, frozen=True, kw_only=True):
    """What costs more and changes less."""

    latency: queries.LatencyRow
    failed_last_24h: int


class Snapshots:
    """Makes one, at most once a second."""

    def __init__(
        self,
        *,
        pool: database_pool.Pool,
        pulse_: pulse.Pulse,
        instance: str,
        faults_enabled: bool,
        started_at: datetime,
    ) -> None:
        self._pool = pool
        self._pulse = pulse_
        self._instance = instance
        self._faults_enabled = faults_enabled
        self._started_at = started_at
        self._newest = fresh.Fresh(self._make, seconds=FRESH_SECONDS)
        self._slow: _Slow | None = None
        self._slow_at = 0.0
        self._firsts: queries.FirstsRow | None = None

    async def get(self) -> Overview:
        return await self._newest.get()

    async def _make(self) -> Overview:
        async with database_pool.connection(self._pool) as conn:
            sample = await queries.sample(conn)
            if self._slow is None or time.monotonic() - self._slow_at > SLOW_FRESH_SECONDS:
                self._slow = await _read_slow(conn, sample)
                self._slow_at = time.monotonic()
            # Whoever takes a first step looks at once whether it counted; later nobody does.
            if self._firsts is None or not all(msgspec.structs.astuple(self._firsts)):
                self._firsts = await queries.read_firsts(conn)
            rows = await presence.list_instances(conn)
            deliveries = await queries.count_deliveries(conn)
            confirmed = await _confirmed(conn, deliveries)
            letters = await queries.count_letters(conn)
            partitions = await queries.list_partitions(conn)
            faults = await queries.list_faults(conn) if self._faults_enabled else []
        found = liveness.group(
            rows, own_name=self._instance, started_at=self._started_at, now=sample.at
        )
        return Overview(
            at=sample.at,
            pipeline=self._pipeline(sample, deliveries, confirmed, letters, self._slow),
            partitions=partitions,
            services=found,
            database=liveness.DatabaseState(
                state="up", takes_writes=sample.takes_writes, version=sample.version
            ),
            broker=liveness.broker(rows),
            latency=self._slow.latency,
            checklist=_checklist(found, self._firsts),
            faults=faults,
            series=Series(
                since=self._pulse.since,
                step_seconds=pulse.SAMPLE_SECONDS * pulse.SAMPLES_A_POINT,
                points=self._pulse.series(),
            ),
        )

    def _pipeline(
        self,
        row: queries.SampleRow,
        deliveries: queries.DeliveryCountsRow,
        confirmed: Stage,
        letters: list[queries.LetterCount],
        slow: _Slow,
    ) -> Pipeline:
        sample = pulse.sample_of(row)
        rates = self._pulse.rates()
        by_stage = {each.stage: each.count for each in letters}
        return Pipeline(
            accepted=Stage(total=sample.accepted, exact=False, per_second=rates.accepted),
            published=Stage(total=sample.published, exact=False, per_second=rates.published),
            applied=Stage(total=sample.applied, exact=False, per_second=rates.applied),
            confirmed=msgspec.structs.replace(confirmed, per_second=rates.confirmed),
            outbox=Outbox(
                pending=sample.pending,
                exact=sample.exact,
                parked=row.parked,
                oldest_age_seconds=round(row.oldest_age_seconds, 3),
            ),
            lag=sample.lag,
            deliveries=_capped(deliveries, self._pulse.confirmed_last_minute()),
            dead_letters=DeadLetterCounts(
                **by_stage, capped=sum(by_stage.values()) >= queries.LETTERS_COUNTED_MAX
            ),
            failed_last_24h=slow.failed_last_24h,
        )


async def _read_slow(conn: database_pool.Conn, sample: queries.SampleRow) -> _Slow:
    waiting = sample.oldest_pending_at
    before = None if waiting is None else uuid7.first_of(waiting)
    return _Slow(
        latency=await queries.measure_latency(conn, before=before),
        failed_last_24h=await queries.count_failed(conn, since=sample.at - _DAY),
    )


async def _confirmed(conn: database_pool.Conn, row: queries.DeliveryCountsRow) -> Stage:
    """Counted while the ledger is small; later what the planner's number leaves over."""
    made = row.made_estimate
    if made is None or made < _SMALL_LEDGER:
        total = await queries.count_confirmed(conn)
        return Stage(total=total, exact=total < queries.COUNTED_MAX, per_second=None)
    others = row.pending + row.sending + row.failed + row.unknown
    return Stage(total=max(0, made - others), exact=False, per_second=None)


def _capped(row: queries.DeliveryCountsRow, confirmed_last_minute: int | None) -> DeliveryCounts:
    most = queries.DELIVERIES_COUNTED_MAX
    counts = {
        "pending": row.pending,
        "sending": row.sending,
        "failed": row.failed,
        "unknown": row.unknown,
    }
    return DeliveryCounts(
        **{state: min(count, most) for state, count in counts.items()},
        confirmed_last_minute=confirmed_last_minute,
        capped=[state for state, count in counts.items() if count > most],
    )


def _checklist(found: list[liveness.Service], firsts: queries.FirstsRow) -> list[ChecklistItem]:
    up = {each.service: each.state == "up" for each in found}
    return [
        ChecklistItem(key="api_up", done=up["api"]),
        ChecklistItem(key="relay_up", done=up["relay"]),
        ChecklistItem(key="consumer_up", done=up["consumer"]),
        ChecklistItem(key="dispatcher_up", done=up["dispatcher"]),
        ChecklistItem(key="event_accepted", done=firsts.event_accepted),
        ChecklistItem(key="event_processed", done=firsts.event_processed),
        ChecklistItem(key="rule_made", done=firsts.rule_made),
        ChecklistItem(key="rule_fired", done=firsts.rule_fired),
    ]
