"""What follows from events that were applied a moment ago, in the same transaction: bookings,
deliveries, the events' status, and what each rule said.
"""

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

import msgspec

from services.consumer import columns, deliveries, records
from services.consumer.queries import batch, ledger
from services.consumer.queries import replays as replay_queries
from services.consumer.queries import rules as rule_queries
from shared import live
from shared.rules import port


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What followed: new deliveries, and the status of each event that is not just processed."""

    pending: Sequence[live.Item]
    skipped: Sequence[live.Item]
    statuses: Mapping[UUID, str]


def write(
    conn: batch.Connection, fresh: Sequence[records.Event], *, limits: port.Limits
) -> Written:
    """The caller holds the events' dedupe rows, uncommitted."""
    _book(conn, fresh)
    made = deliveries.make(conn, fresh, limits=limits)
    statuses = _settle_events(conn, fresh, made)
    _write_executions(conn, fresh, deduped=made.deduped)
    return Written(pending=made.pending, skipped=made.skipped, statuses=statuses)


def _settle_events(
    conn: batch.Connection, fresh: Sequence[records.Event], made: deliveries.Made
) -> dict[UUID, str]:
    """An event with open deliveries is processing; after a later run, those of all runs count."""
    again = [event for event in fresh if event.envelope.replay]
    first = made.open_events - {event.envelope.event_id for event in again}
    statuses = dict.fromkeys(first, "processing")
    if first:
        batch.mark_events(
            conn, event_ids=sorted(first), status="processing", from_statuses=["processed"]
        )
    if again:
        keys = [(event.envelope.event_id, event.envelope.replay) for event in again]
        statuses |= dict.fromkeys((event_id for event_id, _ in keys), "processing")
        statuses |= replay_queries.settle_runs(conn, keys)
    return statuses


def _book(conn: batch.Connection, fresh: Sequence[records.Event]) -> None:
    """The built-in effects: in the first run exactly once, in a later one only if none was before
    and it is to have effects at all.
    """
    booked = [event for event in fresh if event.effect is not None and event.effects != "none"]
    first = [event for event in booked if event.envelope.replay == 0]
    if first:
        ledger.book(conn, columns=columns.of_bookings(first))
    if len(first) < len(booked):
        again = [event for event in booked if event.envelope.replay]
        ledger.book_again(conn, columns=columns.of_bookings(again))


def _write_executions(
    conn: batch.Connection,
    fresh: Sequence[records.Event],
    *,
    deduped: Collection[tuple[UUID, int]],
) -> None:
    """What the rules said of the events that were applied here, and of no others."""
    judged = [event for event in fresh if event.ruling is not None]
    if not judged:
        return
    executions = columns.of_executions(judged, deduped)
    if executions["event_ids"]:
        rule_queries.add_executions(conn, columns=executions)
    skips = columns.of_skips(judged)
    if skips["event_ids"]:
        rule_queries.add_skips(conn, columns=skips)
