"""What waits: due retries with their followers, and requests to redrive or discard a dead letter.

Only rows of our own partitions; each function is what one transaction does, opened by the caller.
"""

import time
from collections.abc import Sequence

import msgspec

from services.consumer import columns, dead_letters, failures, handler, plans, records
from services.consumer.queries import batch, waiting
from shared import faults

type Owned = Sequence[tuple[str, int]]


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """What one transaction did; rows 0 means that nothing was due."""

    rows: int
    fates: handler.Fates


def apply_due(
    conn: batch.Connection, *, owned: Owned, context: handler.Context, limit: int
) -> Handled:
    """Try the due first rows of keys again, and then what waits behind them."""
    rows = waiting.take_due(conn, owned=owned, limit=limit)
    fates = handler.Fates()
    if not rows:
        return Handled(rows=0, fates=fates)
    started = time.perf_counter()
    ready, count = _judge(conn, rows, context, fates)
    duration_ms = (time.perf_counter() - started) * 1000 / count
    handler.settle(conn, ready, context=context, fates=fates, duration_ms=duration_ms)
    handler.write_history(conn, fates, context=context, duration_ms=duration_ms)
    _update_rows(conn, fates)
    if faults.ENABLED:
        faults.hit("consumer.before_commit")
    return Handled(rows=count, fates=fates)


def _judge(
    conn: batch.Connection,
    rows: Sequence[waiting.Row],
    context: handler.Context,
    fates: handler.Fates,
) -> tuple[list[records.Event], int]:
    """Evaluate within the bounds of a batch, and say how many rows that were: what timed out comes
    back here, and the server ends a transaction that rests for too long. The other rows stay due.
    Rows are in key order, so what is cut off is behind what is not.
    """
    started = time.perf_counter()
    decoded = [_decode(row) for row in rows]
    readable = [event for event in decoded if isinstance(event, records.Event)]
    waiting_events = iter(context.instructed(conn, readable) or readable)
    rules = context.rules()
    ready: list[records.Event] = []
    executions = count = 0
    for found in decoded:
        count += 1
        if isinstance(found, records.Poison):
            fates.dead.append(_unreadable(found))
            continue
        event = plans.judged(next(waiting_events), rules)
        ready.append(event)
        executions += event.ruling.rows if event.ruling is not None else 0
        if executions >= rules.rows_max or time.perf_counter() - started >= rules.seconds_max:
            break
    return ready, count


def answer_request(conn: batch.Connection, *, owned: Owned, context: handler.Context) -> Handled:
    """Redrive or discard one dead letter, in the order of its key."""
    request = waiting.take_request(conn, owned=owned)
    fates = handler.Fates()
    if request is None:
        return Handled(rows=0, fates=fates)
    if request.state == "discard_requested":
        waiting.resolve(conn, request.id, state="discarded", tried=0)
        fates.resolved.append(("discarded", (request.id, None)))
        _let_key_go_on(conn, request)
        return Handled(rows=1, fates=fates)
    mended = _redrive(conn, request, context=context, fates=fates)
    state = "redriven" if mended else "open"
    waiting.resolve(conn, request.id, state=state, tried=1)
    fates.resolved.append((state, (request.id, None)))
    if mended:
        _let_key_go_on(conn, request)
    return Handled(rows=1, fates=fates)


def _redrive(
    conn: batch.Connection,
    request: waiting.Request,
    *,
    context: handler.Context,
    fates: handler.Fates,
) -> bool:
    """Try the record once more, now; true when its event is applied, by us or by another record."""
    if request.payload is not None and len(request.payload) < request.payload_bytes:
        return False
    decoded = records.decode(_requested_record(request), trigger="redrive")
    if isinstance(decoded, records.Poison):
        return False
    batch.reopen(conn, columns=columns.of_records([decoded]))
    envelope = decoded.envelope
    made = waiting.last_attempt(conn, event_id=envelope.event_id, replay=envelope.replay)
    started = time.perf_counter()
    decoded = msgspec.structs.replace(decoded, attempt_no=made + 1)
    [decoded] = context.instructed(conn, [decoded]) or [decoded]
    decoded = plans.judged(decoded, context.rules())
    handler.settle(conn, [decoded], context=context, fates=fates, duration_ms=0.0)
    duration_ms = (time.perf_counter() - started) * 1000
    handler.write_history(conn, fates, context=context, duration_ms=duration_ms)
    return not fates.dead


def _let_key_go_on(conn: batch.Connection, request: waiting.Request) -> None:
    """The record leaves its key; when it was the first of it, the others are due."""
    if request.kafka_key is None:
        return
    key = (request.topic, request.kafka_partition, request.kafka_key)
    if waiting.lock_head(conn, key) != request.kafka_offset:
        return
    waiting.remove(conn, [(request.topic, request.kafka_partition, request.kafka_offset)])
    waiting.release_key(conn, key)


def _update_rows(conn: batch.Connection, fates: handler.Fates) -> None:
    """Remove what is over, reschedule what failed, park what is held by its dead letter."""
    over = [event.record.place for event in fates.applied]
    over.extend(dropped.event.record.place for dropped in fates.dropped)
    over.extend(dead.record.place for dead in fates.dead if not dead.holds_key)
    if over:
        waiting.remove(conn, over)
    for failed in fates.failed:
        waiting.reschedule(
            conn,
            failed.event.record.place,
            attempt_no=failed.event.attempt_no,
            wait_seconds=failed.wait_seconds,
        )
    for dead in fates.dead:
        if dead.holds_key and dead.event is not None:
            waiting.park_key(conn, dead.event.key)


def _decode(row: waiting.Row) -> records.Event | records.Poison:
    record = records.Record(
        topic=row.topic,
        partition=row.kafka_partition,
        offset=row.kafka_offset,
        key=row.kafka_key.encode(),
        value=row.value,
        headers=dead_letters.headers_from_json(row.headers),
    )
    return records.decode(record, attempt_no=row.attempt_no + 1, trigger=row.trigger)


def _requested_record(request: waiting.Request) -> records.Record:
    return records.Record(
        topic=request.topic,
        partition=request.kafka_partition,
        offset=request.kafka_offset,
        key=None if request.kafka_key is None else request.kafka_key.encode(),
        value=request.payload,
        headers=dead_letters.headers_from_json(request.headers),
    )


def _unreadable(poison: records.Poison) -> handler.Dead:
    failure = failures.Failure(error_class=poison.error_class, message=poison.message)
    return handler.Dead(record=poison.record, event=None, failure=failure)
