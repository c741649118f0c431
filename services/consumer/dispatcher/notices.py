"""What committed transactions of the dispatcher tell those who watch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.consumer.queries import recording, upkeep
from shared import live


def letters_of(columns: Mapping[str, Sequence[Any]]) -> list[live.Item]:
    """The dead letters of the columns that insert them."""
    return list(zip(columns["ids"], columns["event_types"], strict=True))


def announce_events(announcer: live.Announcer, finished: Iterable[recording.Finished]) -> None:
    for event_id, status, event_type in finished:
        announcer.announce("event", status, [(event_id, event_type)])


def announce_skipped(announcer: live.Announcer, rows: Iterable[upkeep.Skipped]) -> None:
    for row in rows:
        announcer.announce("delivery", row.state, [(row.id, row.event_type)])


def announce_answers(
    announcer: live.Announcer,
    requests: Iterable[upkeep.Request],
    redriven: Iterable[recording.Finished],
) -> None:
    """Dead letters that were answered, and the deliveries that are due again for it."""
    for one in requests:
        state = "redriven" if one.state == "redrive_requested" else "discarded"
        announcer.announce("dead_letter", state, [(one.id, None)])
    for delivery_id, state, event_type in redriven:
        announcer.announce("delivery", state, [(delivery_id, event_type)])
