"""A backtest as clients see it: how far it is, how fast, and what a reader should know. Pure."""

from datetime import datetime
from typing import cast
from uuid import UUID

import msgspec

from services.api.queries import backtests as queries
from shared import rules
from shared.rules import port

PROGRESS_DIGITS = 4


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """A job and what it found so far. examined = both + neither + gained + lost + not_compared +
    not_reconstructed; changed is a part of both.

    gained: the candidate matches and the other version does not; lost: the reverse; changed: both
    match and would act differently. An event on which a version fails is not compared, and counts
    as that version's error. not_reconstructed: its payload has expired.
    """

    id: UUID
    rule_id: UUID
    version: int
    against: int | None
    received_after: datetime | None
    received_before: datetime
    events_max: int
    state: str
    cancel_requested: bool
    progress: float
    total: int | None
    examined: int
    both: int
    neither: int
    gained: int
    lost: int
    changed: int
    not_compared: int
    candidate_errors: int
    baseline_errors: int
    not_reconstructed: int
    events_per_second: float | None
    eta_seconds: float | None
    error: str | None
    notes: list[str]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def view(row: queries.BacktestRow) -> Backtest:
    rate = row.examined / row.seconds if row.seconds else None
    left = None if row.total is None else max(row.total - row.examined, 0)
    over = row.state not in {"queued", "running"}
    compared = row.both_matched + row.neither_matched + row.gained + row.lost
    return Backtest(
        id=row.id,
        rule_id=row.rule_id,
        version=row.version,
        against=row.against,
        received_after=row.received_after,
        received_before=row.received_before,
        events_max=row.events_max,
        state=row.state,
        cancel_requested=row.cancel_requested,
        progress=_progress(row),
        total=row.total,
        examined=row.examined,
        both=row.both_matched,
        neither=row.neither_matched,
        gained=row.gained,
        lost=row.lost,
        changed=row.changed,
        not_compared=row.examined - row.not_reconstructed - compared,
        candidate_errors=row.candidate_errors,
        baseline_errors=row.baseline_errors,
        not_reconstructed=row.not_reconstructed,
        events_per_second=None if rate is None else round(rate, 1),
        eta_seconds=None if over or not rate or left is None else round(left / rate, 1),
        error=row.error,
        notes=_notes(row),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )


def _progress(row: queries.BacktestRow) -> float:
    if row.state == "done":
        return 1.0
    # Rounded down: 1 is for what is done.
    part = row.examined / row.total if row.total else 0.0
    return int(min(part, 1.0) * 10**PROGRESS_DIGITS) / 10**PROGRESS_DIGITS


def _notes(row: queries.BacktestRow) -> list[str]:
    notes: list[str] = []
    for (engine, checked_by), version in zip(row.engines, (row.version, row.against), strict=False):
        runs = rules.engine_version(cast("port.EngineName", engine))
        if runs != checked_by:
            notes.append(
                f"version {version} was checked by {engine} {checked_by}; {runs} evaluates it"
            )
    if row.against is None:
        notes.append("compared with nothing: whatever the version matches is gained")
    if row.total is not None and row.total == row.events_max:
        notes.append(f"only the newest {row.events_max} events are looked at (events_max)")
    if row.not_reconstructed:
        notes.append("the payloads of some events have expired: nobody can say what would match")
    return notes
