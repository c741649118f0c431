"""Runs after the first: what was asked of each, read where it stands and never from the record."""

from collections.abc import Sequence

import msgspec

from services.consumer import records, rulebook
from services.consumer.queries import batch
from services.consumer.queries import replays as queries


def instructed(
    conn: batch.Connection, given: Sequence[records.Event], book: rulebook.Rulebook
) -> list[records.Event] | None:
    """The events with their instructions, and the versions they name compiled; None when there was
    nothing to add. A run that nobody asked for stays without, and has no effect.
    """
    unread = [_key(event) for event in given if event.envelope.replay and not event.instruction]
    if not unread:
        return None
    found = queries.read(conn, unread)
    book.name(conn, {number for each in found.values() for number in each.version_ids or ()})
    return [
        event
        if event.instruction or _key(event) not in found
        else msgspec.structs.replace(event, instruction=found[_key(event)])
        for event in given
    ]


def _key(event: records.Event) -> queries.Key:
    return event.envelope.event_id, event.envelope.replay
