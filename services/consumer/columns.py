"""Events as arrays, one per column: what the statements of queries unnest. Pure."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.consumer import dead_letters, effects, evaluation, failures, records
from shared import events

type Columns = dict[str, list[Any]]


def of_records(given: Sequence[records.Event]) -> Columns:
    """Identity, payload hash and place."""
    envelopes = [event.envelope for event in given]
    found = [event.record for event in given]
    return {
        "event_ids": [envelope.event_id for envelope in envelopes],
        "aggregate_ids": [envelope.aggregate_id for envelope in envelopes],
        "event_types": [envelope.event_type for envelope in envelopes],
        "sources": [envelope.source for envelope in envelopes],
        "replays": [envelope.replay for envelope in envelopes],
        "payload_hashes": [event.payload_hash for event in given],
        "topics": [record.topic for record in found],
        "partitions": [record.partition for record in found],
        "offsets": [record.offset for record in found],
    }


def of_attempts(given: Sequence[records.Event]) -> Columns:
    return of_places(given) | {"triggers": [event.trigger for event in given]}


def of_bookings(given: Sequence[records.Event]) -> Columns:
    """Raises DeadLetter for an event that cannot be booked."""
    pairs = [
        (event, booking)
        for event in given
        if (booking := effects.booking(event.effect)) is not None
    ]
    return {
        "order_ids": [booking.order_id for _, booking in pairs],
        "event_types": [event.envelope.event_type for event, _ in pairs],
        "replays": [event.envelope.replay for event, _ in pairs],
        "debits": [booking.debit for _, booking in pairs],
        "credits": [booking.credit for _, booking in pairs],
        "amounts": [booking.amount for _, booking in pairs],
        "currencies": [booking.currency for _, booking in pairs],
        "event_ids": [event.envelope.event_id for event, _ in pairs],
    }


def of_waiting(given: Sequence[tuple[records.Event, float | None, int]]) -> Columns:
    """Self-contained copies, with the wait (none: parked) and the attempts already made."""
    found = [event for event, _, _ in given]
    headers = [events.encode_headers(event.envelope) for event in found]
    texts = [msgspec.json.encode(dead_letters.headers_as_json(each)).decode() for each in headers]
    return {
        "topics": [event.record.topic for event in found],
        "partitions": [event.record.partition for event in found],
        "offsets": [event.record.offset for event in found],
        "keys": [event.kafka_key for event in found],
        "event_ids": [event.envelope.event_id for event in found],
        "replays": [event.envelope.replay for event in found],
        "values": [event.record.value for event in found],
        "headers": texts,
        "attempt_nos": [attempts for _, _, attempts in given],
        "triggers": ["retry" if attempts else "received" for _, _, attempts in given],
        # A whole number passes for a float with the type checker; Psycopg refuses a list of both.
        "waits": [None if wait is None else float(wait) for _, wait, _ in given],
    }


def of_executions(
    given: Sequence[records.Event], deduped: Collection[tuple[UUID, int]] = ()
) -> Columns:
    """A row for each rule version that applied or failed; deduped: whose deliveries were all there
    before.
    """
    repeated = "delivered before: every delivery of this rule was there already"
    pairs = [
        (event, execution)
        for event in given
        if event.ruling is not None
        for execution in event.ruling.executions
    ]
    again = [
        (event.envelope.event_id, execution.entry.version_id) in deduped
        and not execution.entry.shadow
        for event, execution in pairs
    ]
    return of_places([event for event, _ in pairs]) | {
        "version_ids": [execution.entry.version_id for _, execution in pairs],
        "results": [
            "deduped" if known else execution.result
            for (_, execution), known in zip(pairs, again, strict=True)
        ],
        "shadows": [execution.entry.shadow for _, execution in pairs],
        "error_classes": [execution.error_class for _, execution in pairs],
        "reasons": [
            repeated if known else execution.reason
            for (_, execution), known in zip(pairs, again, strict=True)
        ],
        "durations": [execution.duration_us for _, execution in pairs],
    }


def of_skips(given: Sequence[records.Event]) -> Columns:
    """A row for each event with versions that did not match; all of them in one array."""
    entries: list[evaluation.Entry] = []
    durations: list[float] = []
    skipping: list[records.Event] = []
    firsts: list[int] = []
    lasts: list[int] = []
    for event in given:
        found = event.ruling
        if found is None or not found.skipped:
            continue
        skipping.append(event)
        firsts.append(len(entries) + 1)  # arrays count from one
        entries.extend(found.skipped)
        durations.extend(found.skipped_us)
        lasts.append(len(entries))
    return of_places(skipping) | {
        "version_ids": [entry.version_id for entry in entries],
        "shadows": [entry.shadow for entry in entries],
        "durations": durations,
        "firsts": firsts,
        "lasts": lasts,
    }


def of_places(given: Sequence[records.Event]) -> Columns:
    """Which attempt a row belongs to."""
    return {
        "event_ids": [event.envelope.event_id for event in given],
        "replays": [event.envelope.replay for event in given],
        "attempt_nos": [event.attempt_no for event in given],
    }


def of_failures(given: Sequence[failures.Failure]) -> Columns:
    return {
        "error_classes": [failure.error_class for failure in given],
        "error_messages": [failure.message for failure in given],
        "error_stacks": [failure.stack for failure in given],
        "injected": [failure.injected for failure in given],
    }
