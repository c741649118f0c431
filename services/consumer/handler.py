"""One batch: what its one transaction does, with bisect. What it does it with is in plans.

Whoever calls apply or settle has opened the transaction and commits it. What waits for its time is
in retries, how an error of the whole transaction ends in writer.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.consumer import (
    backoff,
    columns,
    consequences,
    dead_letters,
    failures,
    plans,
    records,
)
from services.consumer.queries import batch, waiting
from shared import database, errors, faults, live
from shared.rules import port

type DataErrors = database.Error | errors.DeadLetter


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt that failed and is scheduled again."""

    event: records.Event
    failure: failures.Failure
    wait_seconds: float


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """A record for the dead letters. Only what an api accepted can hold its key."""

    record: records.Record
    event: records.Event | None
    failure: failures.Failure
    accepted: bool = False
    holds_key: bool = False


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """A record whose event was applied, or waits, under another record or another delivery."""

    event: records.Event
    verdict: str


class Fates:
    """What became of each record of one transaction."""

    def __init__(self, *, blocked: set[records.Key] | None = None) -> None:
        self.blocked: set[records.Key] = blocked or set()
        self.applied: list[records.Event] = []
        self.failed: list[Failed] = []
        self.dead: list[Dead] = []
        self.dropped: list[Dropped] = []
        self.held: list[records.Event] = []
        self.ages: list[float] = []
        # For who watches: new deliveries and dead letters, letters that somebody answered, and the
        # status of applied events that are not just processed.
        self.deliveries: list[live.Item] = []
        self.skipped: list[live.Item] = []
        self.letters: list[live.Item] = []
        self.resolved: list[tuple[str, live.Item]] = []
        self.statuses: dict[UUID, str] = {}


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt needs to know beside its event."""

    consumer: str
    schedule: Sequence[float]
    wait_seconds_max: float
    rules: Callable[[], plans.Rules]
    instructed: Callable[
        [batch.Connection, Sequence[records.Event]], Sequence[records.Event] | None
    ]
    limits: port.Limits
    fails: Callable[[records.Event], failures.Failure | None] | None = None
    chance: Callable[[], float] = random.random


def apply(conn: batch.Connection, planned: plans.Plan, context: Context) -> Fates:
    """Write everything that one batch of fresh records causes."""
    waiting_keys = _waiting_keys(conn, planned.events)
    fates = settle(
        conn,
        planned.events,
        repeats=planned.repeats,
        context=context,
        fates=Fates(blocked=set(waiting_keys)),
        duration_ms=planned.record_ms,
    )
    fates.dead.extend(
        Dead(
            record=poison.record,
            event=None,
            failure=failures.Failure(error_class=poison.error_class, message=poison.message),
        )
        for poison in planned.poison
    )
    write_history(conn, fates, context=context, duration_ms=planned.record_ms)
    _keep_waiting(conn, fates, waiting_keys)
    return fates


def settle(
    conn: batch.Connection,
    ordered: Sequence[records.Event],
    *,
    repeats: Sequence[records.Event] = (),
    context: Context,
    fates: Fates,
    duration_ms: float,
) -> Fates:
    """Apply what can be applied and find out what became of the rest."""
    ready = _set_failing_aside(conn, ordered, context=context, fates=fates)
    leftovers = _apply_or_bisect(conn, ready, context=context, fates=fates, duration_ms=duration_ms)
    if leftovers or repeats:
        _explain(conn, [*leftovers, *repeats], fates)
    if faults.ENABLED:
        faults.hit("consumer.after_effects")
    return fates


def write_history(
    conn: batch.Connection, fates: Fates, *, context: Context, duration_ms: float
) -> None:
    """Failed attempts, states of what was not applied, verdicts and dead letters."""
    dead = [(d.event, d.failure) for d in fates.dead if d.event is not None and d.accepted]
    failed = [(f.event, f.failure) for f in fates.failed]
    if dead or failed:
        batch.add_failures(
            conn,
            columns=columns.of_attempts([event for event, _ in failed + dead])
            | columns.of_failures([failure for _, failure in failed + dead]),
            duration_ms=duration_ms,
            consumer=context.consumer,
        )
    if failed:
        ids = sorted(event.envelope.event_id for event, _ in failed)
        batch.mark_events(conn, event_ids=ids, status="processing", from_statuses=["pending"])
    if dead:
        ids = sorted(event.envelope.event_id for event, _ in dead)
        batch.mark_events(
            conn, event_ids=ids, status="failed", from_statuses=["pending", "processing"]
        )
    if fates.dropped:
        dropped = columns.of_records([dropped.event for dropped in fates.dropped])
        dropped["verdicts"] = [dropped.verdict for dropped in fates.dropped]
        batch.add_dropped(conn, columns=dropped, consumer=context.consumer)
    if fates.dead:
        rows = [_dead_letter_row(dead) for dead in fates.dead]
        batch.add_dead_letters(conn, rows=rows)
        fates.letters += [(row["id"], row["event_type"]) for row in rows]


def _waiting_keys(conn: batch.Connection, ordered: Sequence[records.Event]) -> set[records.Key]:
    keys = [event.key for event in ordered]
    return waiting.find_waiting_keys(conn, keys) if keys else set()


def _set_failing_aside(
    conn: batch.Connection,
    ordered: Sequence[records.Event],
    *,
    context: Context,
    fates: Fates,
) -> list[records.Event]:
    """Let fail what is to fail, and hold what follows it in its key."""
    if context.fails is None and not any(_timed_out(event) for event in ordered):
        return list(ordered)
    ready: list[records.Event] = []
    for event in ordered:
        failure = None if event.key in fates.blocked else _failure(event, context)
        if failure is not None and batch.find_open(conn, columns=columns.of_records([event])):
            _fail(conn, event, failure, context=context, fates=fates)
        else:
            ready.append(event)
    return ready


def _timed_out(event: records.Event) -> bool:
    return event.ruling is not None and event.ruling.timeout_ms is not None


def _failure(event: records.Event, context: Context) -> failures.Failure | None:
    if _timed_out(event) and event.ruling is not None:
        message = f"the rules took longer than the {event.ruling.timeout_ms} ms of this type"
        return failures.Failure(error_class="ProcessingTimeout", message=message)
    return None if context.fails is None else context.fails(event)


def _fail(
    conn: batch.Connection,
    event: records.Event,
    failure: failures.Failure,
    *,
    context: Context,
    fates: Fates,
) -> None:
    """A failure that time may mend: schedule it, or give up when its retries are used up."""
    kind = _event_type(conn, event)
    if event.attempt_no > kind.retry_limit or event.trigger == "redrive":
        _bury(event, failure, kind=kind, fates=fates)
        return
    wait_seconds = backoff.wait_seconds(
        event.attempt_no,
        schedule=context.schedule,
        seconds_max=context.wait_seconds_max,
        chance=context.chance(),
    )
    fates.blocked.add(event.key)
    fates.failed.append(Failed(event=event, failure=failure, wait_seconds=wait_seconds))


def _bury(
    event: records.Event, failure: failures.Failure, *, kind: batch.EventType, fates: Fates
) -> None:
    """A failure that no retry mends: its key waits for a person, or passes, by event type."""
    holds_key = kind.key_policy == "wait"
    if holds_key:
        fates.blocked.add(event.key)
    dead = Dead(
        record=event.record, event=event, failure=failure, accepted=True, holds_key=holds_key
    )
    fates.dead.append(dead)


def _apply_or_bisect(
    conn: batch.Connection,
    ordered: Sequence[records.Event],
    *,
    context: Context,
    fates: Fates,
    duration_ms: float,
) -> list[records.Event]:
    """Apply all, or find the guilty one by halves; returns what was neither applied nor guilty."""
    ready = ordered
    if fates.blocked:
        ready = [event for event in ordered if event.key not in fates.blocked]
        fates.held.extend(event for event in ordered if event.key in fates.blocked)
    if not ready:
        return []
    try:
        with conn.transaction():
            applied, made = _write(conn, ready, context=context, duration_ms=duration_ms)
    except (database.Error, errors.DeadLetter) as error:
        if isinstance(error, database.Error) and database.kind_of(error) != "data":
            raise
        if len(ready) == 1:
            return _blame(conn, ready[0], error, fates)
        middle = len(ready) // 2
        halves = (ready[:middle], ready[middle:])
        return [
            left
            for half in halves
            for left in _apply_or_bisect(
                conn, half, context=context, fates=fates, duration_ms=duration_ms
            )
        ]
    fates.ages.extend(age for *_, age in applied)
    fates.deliveries += made.pending
    fates.skipped += made.skipped
    fates.statuses |= made.statuses
    fresh, others = _split(ready, applied)
    fates.applied.extend(fresh)
    return others


def _blame(
    conn: batch.Connection, event: records.Event, error: DataErrors, fates: Fates
) -> list[records.Event]:
    """One record remains and it fails. If no api accepted it, it is a leftover like any other."""
    if not batch.find_open(conn, columns=columns.of_records([event])):
        return [event]
    _bury(event, failures.of(error), kind=_event_type(conn, event), fates=fates)
    return []


def _write(
    conn: batch.Connection,
    ready: Sequence[records.Event],
    *,
    context: Context,
    duration_ms: float,
) -> tuple[list[batch.Applied], consequences.Written]:
    """The places that were applied, and what followed from them."""
    asked = columns.of_records(ready)
    received = all(event.trigger == "received" and event.attempt_no == 1 for event in ready)
    if received:
        applied = batch.apply(
            conn, columns=asked, duration_ms=duration_ms, consumer=context.consumer
        )
    else:
        applied = batch.apply_again(conn, columns=asked, consumer=context.consumer)
    if faults.ENABLED:
        faults.hit("consumer.after_dedupe_insert")
    fresh, _ = _split(ready, applied)
    if fresh and not received:
        batch.add_successes(
            conn,
            columns=columns.of_attempts(fresh),
            duration_ms=duration_ms,
            consumer=context.consumer,
        )
    return applied, consequences.write(conn, fresh, limits=context.limits)


def _split(
    ready: Sequence[records.Event], applied: Sequence[batch.Applied]
) -> tuple[Sequence[records.Event], list[records.Event]]:
    """The events that were applied, and the others."""
    if len(applied) == len(ready):
        return ready, []
    places = {(topic, partition, offset) for topic, partition, offset, _ in applied}
    fresh = [event for event in ready if event.record.place in places]
    return fresh, [event for event in ready if event.record.place not in places]


def _explain(conn: batch.Connection, leftovers: Sequence[records.Event], fates: Fates) -> None:
    """Tell duplicates, redeliveries and conflicts from what nobody accepted."""
    reasons = batch.explain_leftovers(conn, columns=columns.of_records(leftovers))
    for event, reason in zip(leftovers, reasons, strict=True):
        if reason in dead_letters.MESSAGES:
            failure = failures.Failure(error_class=reason, message=dead_letters.MESSAGES[reason])
            fates.dead.append(Dead(record=event.record, event=event, failure=failure))
        else:
            fates.dropped.append(Dropped(event=event, verdict=reason))


def _keep_waiting(conn: batch.Connection, fates: Fates, waiting_keys: set[records.Key]) -> None:
    """Store what is tried again later, and whatever follows it in its key."""
    rows: list[tuple[records.Event, float | None, int]] = [
        (failed.event, failed.wait_seconds, failed.event.attempt_no) for failed in fates.failed
    ]
    rows.extend((d.event, None, d.event.attempt_no) for d in fates.dead if d.event and d.holds_key)
    if fates.held:
        parked = {dead.event.key for dead in fates.dead if dead.event and dead.holds_key}
        if held_keys := sorted({event.key for event in fates.held} & waiting_keys):
            parked |= waiting.lock_parked_heads(conn, held_keys)
        rows.extend((event, None if event.key in parked else 0.0, 0) for event in fates.held)
    if rows:
        waiting.add(conn, columns=columns.of_waiting(rows))


def _event_type(conn: batch.Connection, event: records.Event) -> batch.EventType:
    name = event.envelope.event_type
    return batch.read_event_types(conn, {name}).get(name) or batch.EventType()


def _dead_letter_row(dead: Dead) -> dict[str, Any]:
    return dead_letters.row(
        dead.record,
        event=dead.event,
        error_class=dead.failure.error_class,
        message=dead.failure.message,
    )
