"""What a committed transaction of the consumer tells those who watch."""

from collections.abc import Sequence

from services.consumer import handler, records
from shared import live


def announce(announcer: live.Announcer, fates: handler.Fates) -> None:
    """Call it after the commit."""
    _announce_events(announcer, fates)
    announcer.announce("delivery", "pending", fates.deliveries)
    announcer.announce("delivery", "skipped", fates.skipped)
    announcer.announce("dead_letter", "open", fates.letters)
    announcer.announce_each("dead_letter", fates.resolved)


def _announce_events(announcer: live.Announcer, fates: handler.Fates) -> None:
    others = fates.statuses
    plain = [event for event in fates.applied if event.envelope.event_id not in others]
    announcer.announce("event", "processed", _items(plain))
    announcer.announce("event", "processing", _items([one.event for one in fates.failed]))
    dead = [one.event for one in fates.dead if one.event is not None and one.accepted]
    announcer.announce("event", "failed", _items(dead))
    if others:
        applied = [event for event in fates.applied if event.envelope.event_id in others]
        statuses = [others[event.envelope.event_id] for event in applied]
        announcer.announce_each("event", zip(statuses, _items(applied), strict=True))


def _items(events: Sequence[records.Event]) -> list[live.Item]:
    return [(event.envelope.event_id, event.envelope.event_type) for event in events]
