"""A job's filter between the form that is stored and the one that is asked with. Pure."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from services.api import uuid7
from services.api.queries import replay_jobs as queries
from services.api.replays import bodies

type Range = queries.Range


def stored(asked: bodies.FilterBody, *, now: datetime) -> queries.Filter:
    """The filter with an absolute end: what arrives after this moment is not touched."""
    before = now if asked.received_before is None else min(asked.received_before, now)
    return msgspec.convert(
        {**msgspec.structs.asdict(asked), "received_before": before}, queries.Filter
    )


def of(found: queries.Filter) -> queries.Range:
    after = found.received_after
    return queries.Range(
        filter=found,
        lowest=UUID(int=0) if after is None else uuid7.first_of(after),
        end=uuid7.first_of(found.received_before),
    )


def of_json(text: dict[str, Any]) -> queries.Range:
    """A filter as its job's row holds it."""
    return of(msgspec.convert(text, queries.Filter))
