"""A bulk replay as clients see it: how far it is, and how fast. Pure."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.api.queries import replay_jobs as queries
from services.api.replays import bodies

# Not a `type` statement: Litestar does not look into those.
JobState = Literal["queued", "running", "paused", "done", "cancelled", "failed"]

_PROGRESS_DIGITS = 4


class ReplayJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job and what it did so far. examined = replayed + skipped_open (pending or processing at
    their turn; with effects none also those with an open dead letter) + skipped_expired (retention
    had emptied them) + skipped_unapplied (mode original, and no run was ever applied). total is
    null where nobody could count it in time. A paused job with an error met it; resume goes on.
    """

    id: UUID
    state: JobState
    filter: dict[str, Any]
    mode: bodies.Mode
    effects: bodies.Effects
    version_ids: list[int] | None
    reason: str
    requested_by: str
    rate_per_second: int
    events_max: int
    progress: float | None
    total: int | None
    examined: int
    replayed: int
    skipped_open: int
    skipped_expired: int
    skipped_unapplied: int
    events_per_second: float | None
    eta_seconds: float | None
    error: str | None
    notes: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def view(row: queries.JobRow) -> ReplayJob:
    return ReplayJob(
        id=row.id,
        state=msgspec.convert(row.state, JobState),
        filter=row.filter,
        mode=row.mode,
        effects=row.effects,
        version_ids=row.version_ids,
        reason=row.reason,
        requested_by=row.requested_by,
        rate_per_second=row.rate_per_second,
        events_max=row.events_max,
        progress=_progress(row),
        total=row.total,
        examined=row.examined,
        replayed=row.replayed,
        skipped_open=row.skipped_open,
        skipped_expired=row.skipped_expired,
        skipped_unapplied=row.skipped_unapplied,
        events_per_second=round(row.examined / row.seconds, 1) if row.seconds else None,
        eta_seconds=_eta_seconds(row),
        error=row.error,
        notes=_notes(row),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress(row: queries.JobRow) -> float | None:
    if row.state == "done":
        return 1.0
    if row.total is None:
        return None if row.started_at else 0.0
    # Rounded down: 1 is for what is done.
    part = row.examined / row.total if row.total else 0.0
    return int(min(part, 1.0) * 10**_PROGRESS_DIGITS) / 10**_PROGRESS_DIGITS


def _eta_seconds(row: queries.JobRow) -> float | None:
    """By the rate that was asked for, or by the rate that it has if that is slower."""
    if row.state not in {"queued", "running"} or row.total is None:
        return None
    rate = float(row.rate_per_second)
    if row.seconds and row.examined:
        rate = min(rate, row.examined / row.seconds)
    return round(max(row.total - row.examined, 0) / rate, 1)


def _notes(row: queries.JobRow) -> list[str]:
    notes: list[str] = []
    if row.total is not None and row.total == row.events_max:
        notes.append(f"only the oldest {row.events_max} events are replayed (events_max)")
    if row.skipped_open:
        notes.append("events that were pending or processing at their turn were left alone")
        if row.effects == "none":
            notes.append("so were those with an open dead letter, which effects none cannot close")
    if row.skipped_expired:
        notes.append("the payloads of some events have expired: they cannot be replayed")
    if row.skipped_unapplied:
        notes.append("some events were never applied: no versions of a first run are known")
    return notes
