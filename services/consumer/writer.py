"""The thread that owns the database connection: one transaction per batch, and what waits between.

An error of a transaction becomes a fate here; a bad record never gets this far (handler bisects).
"""

import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, assert_never

import msgspec

from services.consumer import (
    actions,
    failures,
    handler,
    notices,
    partitions,
    plans,
    records,
    replays,
    retries,
    rulebook,
    status,
)
from services.consumer.queries import batch, progress
from services.consumer.queries import deliveries as delivery_queries
from services.consumer.settings import ConsumerSettings
from shared import database, errors, faults, live, migrations, telemetry

AGES_PER_BATCH_MAX = 20
# The server ends a transaction that rests for 30 s (idle_in_transaction_session_timeout).
TRANSACTION_MS_MAX = 20_000

_log = telemetry.logger(__name__)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One planned batch; `ends` is the epoch and the next offset of each of its partitions."""

    plan: plans.Plan
    records: int
    ends: dict[partitions.Partition, tuple[int, int]]


class Fate(StrEnum):
    """What to do after an error of a whole transaction."""

    REPEAT = "repeat"  # the same batch again, after a moment
    RECONNECT = "reconnect"  # the server is away or the outcome unknown: connect, then again
    STOP = "stop"  # nobody's row is at fault: a person must look


def fate_of(error: Exception) -> Fate:
    """The one place that decides. An unknown outcome is repeated: the dedupe key knows it."""
    if isinstance(error, errors.InjectedFault):
        return Fate.REPEAT
    if not isinstance(error, database.Error):
        return Fate.STOP
    kind = database.kind_of(error)
    match kind:
        case database.ErrorKind.CONFLICT:
            return Fate.REPEAT
        case database.ErrorKind.CONNECTION:
            return Fate.RECONNECT
        case database.ErrorKind.DATA | database.ErrorKind.PROGRAM:
            return Fate.STOP
    assert_never(kind)


class Writer:
    """Jobs in, completions out, in order. Between jobs: due retries, requests, progress."""

    def __init__(
        self,
        *,
        settings: ConsumerSettings,
        consumer: str,
        owned: partitions.Partitions,
        state: status.Status,
        fails: Callable[[Any], failures.Failure | None] | None,
        announcer: live.Announcer,
    ) -> None:
        self.done: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self.progress: list[tuple[str, int, int, int]] = []
        self._inbox: queue.Queue[Job | None] = queue.Queue(settings.queue_batches_max)
        self._settings = settings
        self._consumer = consumer
        self._partitions = owned
        self._status = state
        self._announcer = announcer
        self._abandoned = threading.Event()
        self._conn: batch.Connection | None = None
        self._look_at = 0.0
        self._tries = 0
        self._rulebook = rulebook.Rulebook(
            limits=settings.rule_limits,
            overruns_max=settings.rule_overruns_max,
            consumer=consumer,
            announcer=announcer,
        )
        self._actions = actions.Runner(
            limits=settings.rule_limits, logs_max=settings.rule_logs_per_batch_max
        )
        self._context = handler.Context(
            consumer=consumer,
            rules=self._rules_within_transaction,
            instructed=self._instructed,
            limits=settings.rule_limits,
            schedule=settings.retry_schedule_seconds,
            wait_seconds_max=settings.retry_wait_seconds_max,
            fails=fails,
        )
        self._meters = _Meters()

    def rules(self) -> plans.Rules:
        """What to plan with now; the database thread replaces it when rules change."""
        settings = self._settings
        return plans.Rules(
            book=self._rulebook.book,
            named=self._rulebook.named,
            timeout_ms=min(settings.processing_timeout_ms, settings.max_poll_interval_ms * 4 // 5),
            seconds_max=settings.plan_seconds_max,
            rows_max=settings.rule_rows_per_batch_max,
        )

    def _rules_within_transaction(self) -> plans.Rules:
        """For what is tried again: it is judged under the locks of its rows, in the transaction."""
        rules = self.rules()
        bound_ms = min(rules.timeout_ms, TRANSACTION_MS_MAX)
        return msgspec.structs.replace(rules, timeout_ms=bound_ms)

    def submit(self, job: Job) -> None:
        """Never blocks: the Kafka thread has counted what is under way."""
        self._inbox.put_nowait(job)

    def finish(self) -> None:
        """Ask the thread to end. There is room in the queue, since nothing is under way."""
        self._inbox.put_nowait(None)

    def abandon(self) -> None:
        """End without waiting for a server that is away."""
        self._abandoned.set()

    def run(self) -> None:
        """The body of the thread."""
        while not self._abandoned.is_set():
            self._status.database_loop.beat()
            try:
                job = self._inbox.get(timeout=max(self._look_at - time.monotonic(), 0.001))
            except queue.Empty:
                self._look_after_waiting()
                continue
            if job is None:
                self._report_progress_once_more()
                break
            self._write(job)
            if time.monotonic() >= self._look_at:
                self._look_after_waiting()
        self._disconnect()

    def _write(self, job: Job) -> None:
        """All of a job, in one transaction, or in several when other rules make more rows of it."""
        pieces = [job.plan]
        while pieces and not self._abandoned.is_set():
            self._status.database_loop.beat()
            try:
                conn = self._connection()
                pieces[:1] = self._with_present_rules(conn, self._still_ours(job, pieces[0]))
                self._apply(conn, pieces[0], job.records)
            except Exception as error:  # noqa: BLE001 the fate function decides about every one
                self._recover(error)
                continue
            self._succeeded()
            del pieces[0]
        if not pieces:
            self.done.put(job)

    def _apply(self, conn: batch.Connection, planned: plans.Plan, count: int) -> None:
        if faults.ENABLED:
            faults.hit("consumer.before_begin")
        started = time.perf_counter()
        with conn.transaction():
            fates = handler.apply(conn, planned, self._context)
            if faults.ENABLED:
                faults.hit("consumer.before_commit")
        self._finish(conn, fates, seconds=time.perf_counter() - started, count=count)
        if faults.ENABLED:
            faults.hit("consumer.after_commit_before_offset")

    def _with_present_rules(self, conn: batch.Connection, planned: plans.Plan) -> list[plans.Plan]:
        """Asked before every transaction: the batch was consumed before, its events accepted before
        that, so a rule that was answered before an event was accepted counts for it, without a
        promise about how long news travels. Not inside: judging may take longer than the server
        lets a transaction rest.
        """
        self._refresh_rules(conn)
        events = self._instructed(conn, planned.events)
        if events is not None:
            planned = msgspec.structs.replace(planned, events=events)
        elif planned.book_version == self._rulebook.book.version:
            return [planned]
        again = plans.make_again(planned, self.rules(), beat=self._status.database_loop.beat)
        return plans.split(again, rows_max=self._settings.rule_rows_per_batch_max)

    def _instructed(
        self, conn: batch.Connection, events: Sequence[records.Event]
    ) -> list[records.Event] | None:
        """Replays are judged by what was asked of them, which the Kafka thread does not know."""
        return replays.instructed(conn, events, self._rulebook)

    def _refresh_rules(self, conn: batch.Connection) -> None:
        if not self._rulebook.is_current(conn):
            self._rulebook.refresh(conn)

    def _finish(
        self, conn: batch.Connection, fates: handler.Fates, *, seconds: float, count: int
    ) -> None:
        """After the commit: metrics, and what the rules' actions do outside the database."""
        self._meters.count(fates, seconds=seconds, records=count)
        notices.announce(self._announcer, fates)
        if fates.deliveries:
            _tell_dispatchers(conn)
        self._actions.run(conn, fates.applied)

    def _still_ours(self, job: Job, planned: plans.Plan) -> plans.Plan:
        """Drop the records of partitions that were taken away while the job waited."""
        lost = {
            partition
            for partition, (epoch, _) in job.ends.items()
            if not self._partitions.is_current(partition, epoch)
        }
        return plans.without(planned, lost) if lost else planned

    def _look_after_waiting(self) -> None:
        """Due retries, then requests, then progress; a batch that waits goes first."""
        self._look_at = time.monotonic() + self._settings.waiting_poll_seconds
        owned = sorted(self._partitions.owned)
        try:
            conn = self._connection()
            self._rulebook.look(conn)
            self._status.rules = self._rulebook.book.count
            self._status.rules_version = self._rulebook.book.version
            if owned:
                self._take_turns(conn, owned)
            self._report_progress(conn)
        except Exception as error:  # noqa: BLE001 the fate function decides about every one
            self._recover(error)
            return
        self._succeeded()

    def _report_progress(self, conn: batch.Connection) -> None:
        progress.report(
            conn,
            consumer_group=self._settings.consumer_group,
            consumer=self._consumer,
            rows=self.progress,
        )

    def _report_progress_once_more(self) -> None:
        """At the end, for whoever looks at the lag before another consumer reports; may fail."""
        try:
            self._report_progress(self._connection())
        except database.Error as error:
            _log.warning("last progress not reported", error=str(error).strip())

    def _take_turns(self, conn: batch.Connection, owned: retries.Owned) -> None:
        for _ in range(self._settings.requests_per_turn_max):
            self._status.database_loop.beat()
            started = time.perf_counter()
            self._refresh_rules(conn)
            with conn.transaction():
                due = retries.apply_due(
                    conn, owned=owned, context=self._context, limit=self._settings.batch_size_max
                )
            self._finish(conn, due.fates, seconds=time.perf_counter() - started, count=0)
            with conn.transaction():
                answered = retries.answer_request(conn, owned=owned, context=self._context)
            self._finish(conn, answered.fates, seconds=0.0, count=0)
            if due.rows + answered.rows == 0:
                return
            if not self._inbox.empty():
                break
        # More may be due: look again after the batch that waits.
        self._look_at = time.monotonic()

    def _recover(self, error: Exception) -> None:
        """Wait as the error asks, or raise it and end the process."""
        fate = fate_of(error)
        self._tries += 1
        match fate:
            case Fate.REPEAT:
                _log.warning("transaction repeated", error=str(error), tries=self._tries)
                longest = self._settings.conflict_wait_ms_max / 1000
                wait = min(0.01 * 2 ** min(self._tries, 10), longest)
            case Fate.RECONNECT:
                self._status.database_error = f"away ({type(error).__name__})"
                _log.warning("database away", error=str(error).strip(), tries=self._tries)
                self._disconnect()
                wait = min(0.05 * 2 ** min(self._tries, 10), self._settings.reconnect_seconds_max)
            case Fate.STOP:
                raise error
            case _:
                assert_never(fate)
        self._abandoned.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311 jitter, not a secret

    def _succeeded(self) -> None:
        self._tries = 0
        self._status.database_error = ""

    def _connection(self) -> batch.Connection:
        if self._conn is None or self._conn.closed:
            self._conn = connect(self._settings, consumer=self._consumer)
        return self._conn

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def connect(settings: ConsumerSettings, *, consumer: str) -> batch.Connection:
    """A connection of this service; it refuses another schema, also after a reconnect."""
    conn = database.connect(settings.database_dsn, application_name=consumer, autocommit=True)
    try:
        migrations.require_current(conn)
        batch.pin_plans(conn)
    except BaseException:
        conn.close()
        raise
    return conn


def _tell_dispatchers(conn: batch.Connection) -> None:
    """They would find the deliveries by themselves, a poll later."""
    try:
        delivery_queries.notify(conn)
    except database.Error as error:
        # The transaction is committed: a lost notification must not have it repeated.
        _log.warning("dispatchers not notified", error=str(error).strip())


class _Meters:
    """The metrics of committed transactions."""

    def __init__(self) -> None:
        self._applied = telemetry.counter("oncely.consumer.applied")
        self._dedupe_hits = telemetry.counter("oncely.dedupe.hits")
        self._dead_letters = telemetry.counter("oncely.dead_letters.added")
        self._batch_size = telemetry.histogram("oncely.consumer.batch.size")
        self._seconds = telemetry.histogram("oncely.consumer.commit.duration")
        self._age = telemetry.histogram("oncely.event.end_to_end.duration")
        self._evaluations = telemetry.counter("oncely.rules.evaluations")
        self._rules_seconds = telemetry.histogram("oncely.rules.duration")

    def count(self, fates: handler.Fates, *, seconds: float, records: int) -> None:
        if records:
            self._batch_size.record(records)
            self._seconds.record(seconds)
        if fates.applied:
            self._applied.add(len(fates.applied))
            self._count_rulings(fates.applied)
        for dropped in fates.dropped:
            self._dedupe_hits.add(1, {"verdict": dropped.verdict})
        if fates.dead:
            self._dead_letters.add(len(fates.dead), {"stage": "consumer"})
            for dead in fates.dead:
                _log.warning(
                    "dead letter",
                    error_class=dead.failure.error_class,
                    topic=dead.record.topic,
                    partition=dead.record.partition,
                    offset=dead.record.offset,
                )
        # A sample of a large batch: recording each of 500 costs more than one of its statements.
        step = -(-len(fates.ages) // AGES_PER_BATCH_MAX) or 1
        for age in fates.ages[::step]:
            self._age.record(age)

    def _count_rulings(self, applied: Sequence[records.Event]) -> None:
        """No label names a rule: there may be thousands."""
        counts: Counter[str] = Counter()
        for event in applied:
            if event.ruling is not None:
                counts["skipped"] += len(event.ruling.skipped)
                counts.update(execution.result for execution in event.ruling.executions)
        for result, count in counts.items():
            self._evaluations.add(count, {"result": result})
        rulings = [event.ruling for event in applied if event.ruling is not None]
        for ruling in rulings[:: -(-len(rulings) // AGES_PER_BATCH_MAX) or 1]:
            self._rules_seconds.record(ruling.duration_us / 1e6)
