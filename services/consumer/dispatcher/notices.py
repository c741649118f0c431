"""What committed transactions of the dispatcher tell those who watch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from services.consumer.queries import recording, upkeep
from shared import live


def letters_of(columns: Mapping[str, Sequence[Any]]) -> list[live.Item]:
    """The dead letters of the columns that insert them."""
    return list(zip(columns["ids"], columns["event_types"], strict=True))


def announce_events(announcer: live.Announcer, finished: Iterable[recording.Finished]) -> None:
    announcer.announce_each("event", ((one[1], (one[0], one[2])) for one in finished))


def announce_skipped(announcer: live.Announcer, rows: Iterable[upkeep.Skipped]) -> None:
    announcer.announce_each("delivery", ((row.state, (row.id, row.event_type)) for row in rows))


def announce_answers(
    announcer: live.Announcer, requests: Iterable[upkeep.Request], redriven: upkeep.Redriven
) -> None:
    """Dead letters that were answered, and what is due or processing again for it."""
    announcer.announce_each(
        "dead_letter", ((_ANSWERED.get(one.state, "discarded"), (one.id, None)) for one in requests)
    )
    announcer.announce_each("delivery", ((one[1], (one[0], one[2])) for one in redriven.deliveries))
    announce_events(announcer, redriven.events)


def announce_targets(announcer: live.Announcer, names: Iterable[str]) -> None:
    """Destinations of which something was learned: breaker, failures, pause. Only targets have a
    page of their own.
    """
    ids = [UUID(name.removeprefix(_TARGET)) for name in names if name.startswith(_TARGET)]
    announcer.announce("target", "changed", [(one, None) for one in ids])


_ANSWERED = {"redrive_requested": "redriven"}
_TARGET = "target/"
