"""Entries of what an event sent to the outside, and of what was given up on its way. Pure."""

from collections.abc import Iterable
from datetime import datetime

from services.api.queries import timeline_effects as queries
from services.api.timeline import entries

_OUTCOMES: dict[str, entries.Outcome] = {
    "pending": "waiting",
    "sending": "waiting",
    "confirmed": "ok",
    "failed": "failed",
    "unknown": "unknown",
    "skipped": "note",
}
_STATES = {
    "pending": "not sent yet",
    "sending": "under way",
    "confirmed": "confirmed",
    "failed": "failed",
    "unknown": "unknown: it may have arrived",
    "skipped": "skipped",
}
_RESOLUTIONS: dict[str, entries.Outcome] = {"redriven": "ok", "discarded": "note"}


def of_deliveries(rows: Iterable[queries.Delivery]) -> list[entries.Draft]:
    """The delivery, and what of it is under way, planned or closed without an attempt."""
    found: list[entries.Draft] = []
    for row in rows:
        found.append(_delivery(row))
        if row.sending_since is not None:
            title = f"Attempt {row.attempt_no} is under way at {row.leased_by}"
            found.append(_below(row, "delivery_sending", row.sending_since, "waiting", title))
        if row.next_attempt_at is not None:
            title = f"Attempt {row.attempt_no + 1} is planned"
            found.append(_below(row, "delivery_planned", row.next_attempt_at, "waiting", title))
        if row.finished_at is not None and row.reason is not None:
            words = "Skipped" if row.state == "skipped" else f"Resolved by a person as {row.state}"
            title = f"{words}: {row.reason}"
            outcome = _OUTCOMES[row.state]
            found.append(_below(row, "delivery_closed", row.finished_at, outcome, title))
    return found


def of_attempts(
    rows: Iterable[queries.DeliveryAttempt], deliveries: Iterable[queries.Delivery]
) -> list[entries.Draft]:
    by_id = {row.id: row for row in deliveries}
    return [
        entries.Draft(
            at=row.finished_at,
            kind="delivery_attempt",
            key=f"{delivery_key(row.delivery_id)}/{row.attempt_no}",
            parent=delivery_key(row.delivery_id),
            run=by_id[row.delivery_id].replay,
            outcome=_OUTCOMES[row.outcome],
            title=_attempt_title(row),
            duration_ms=row.total_ms
            if row.total_ms is not None
            else entries.milliseconds(row.started_at, row.finished_at),
            trace=by_id[row.delivery_id].traceparent,
            detail=entries.detail_of(row, "delivery_id", "finished_at", "total_ms"),
        )
        for row in rows
    ]


def of_letters(rows: Iterable[queries.Letter]) -> list[entries.Draft]:
    found: list[entries.Draft] = []
    for row in rows:
        run = row.replay or 0
        key = f"dead_letter/{row.id}"
        found.append(
            entries.Draft(
                at=row.created_at,
                kind="dead_letter",
                key=key,
                parent=entries.run_key(run)
                if row.delivery_id is None
                else delivery_key(row.delivery_id),
                run=run,
                outcome="failed",
                title=f"Dead letter of the {row.stage}, attempts {row.attempts}: "
                f"{row.error_class}, {row.state.replace('_', ' ')}",
                detail=entries.detail_of(
                    row, "replay", "created_at", "resolved_at", "resolution_reason"
                ),
            )
        )
        if row.resolved_at is not None:
            reason = "" if row.resolution_reason is None else f": {row.resolution_reason}"
            found.append(
                entries.Draft(
                    at=row.resolved_at,
                    kind="dead_letter_resolved",
                    key=f"{key}/resolved",
                    parent=key,
                    run=run,
                    outcome=_RESOLUTIONS.get(row.state, "note"),
                    title=f"The dead letter is {row.state.replace('_', ' ')}{reason}",
                    detail={"id": row.id, "state": row.state},
                )
            )
    return found


def delivery_key(delivery_id: object) -> str:
    return f"delivery/{delivery_id}"


def _delivery(row: queries.Delivery) -> entries.Draft:
    whom = row.target_name or row.destination
    whose = row.rule_name or row.rule_id
    forced = "" if row.replay_scope == 0 else ", forced by a replay"
    return entries.Draft(
        at=row.created_at,
        kind="delivery",
        key=delivery_key(row.id),
        parent=entries.run_key(row.replay),
        run=row.replay,
        outcome=_OUTCOMES[row.state],
        title=f"{row.kind.capitalize()} {row.action_key} of rule {whose} to {whom}{forced}: "
        f"{_STATES[row.state]}",
        duration_ms=None
        if row.finished_at is None
        else entries.milliseconds(row.created_at, row.finished_at),
        trace=row.traceparent,
        detail=entries.detail_of(row, "replay", "created_at", "leased_by", "sending_since"),
    )


def _below(
    row: queries.Delivery,
    kind: entries.Kind,
    at: datetime,
    outcome: entries.Outcome,
    title: str,
) -> entries.Draft:
    return entries.Draft(
        at=at,
        kind=kind,
        key=f"{kind}/{row.id}",
        parent=delivery_key(row.id),
        run=row.replay,
        outcome=outcome,
        title=title,
        trace=row.traceparent,
    )


def _attempt_title(row: queries.DeliveryAttempt) -> str:
    words = {
        "confirmed": f"Attempt {row.attempt_no} is confirmed",
        "failed": f"Attempt {row.attempt_no} failed: {row.error_class}",
        "unknown": f"Attempt {row.attempt_no} is unknown, it may have arrived: {row.error_class}",
    }[row.outcome]
    if row.status_code is not None:
        words += f", answered with {row.status_code}"
    if row.injected:
        words += " (a fault on purpose)"
    return words if row.late_answer is None else f"{words}; an answer came late"
