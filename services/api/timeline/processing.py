"""Entries of acceptance and processing: outbox, log, attempts, rules, ledger. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from services.api.queries import attempts as attempt_queries
from services.api.queries import timeline as queries
from services.api.timeline import entries


def of_event(event: queries.EventFacts) -> entries.Draft:
    times = "" if event.received_count == 1 else f", received {event.received_count} times"
    detail: dict[str, Any] = {
        "source": event.source,
        "external_id": event.external_id,
        "type": event.event_type,
        "subject": event.subject,
        "traceparent": event.traceparent,
        "received_count": event.received_count,
    }
    if event.payload_expired_at is not None:
        detail["payload_expired_at"] = event.payload_expired_at
    return entries.Draft(
        at=event.received_at,
        kind="accepted",
        key=entries.run_key(0),
        parent=None,
        run=0,
        outcome="ok",
        title=f"Accepted {event.event_type}{times}",
        trace=event.traceparent,
        detail=detail,
    )


def of_receipts(rows: Iterable[queries.Receipt]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.first_seen_at,
            kind="receipt",
            key=f"receipt/{row.id}",
            parent=entries.run_key(0),
            run=0,
            outcome="failed",
            title=f"Refused {entries.times(row.seen_count)}: another payload under the same id",
            detail=entries.detail_of(row, "first_seen_at"),
        )
        for row in rows
    ]


def of_replays(rows: Iterable[queries.Replay]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.requested_at,
            kind="replay",
            key=entries.run_key(row.replay),
            parent=None,
            run=row.replay,
            outcome="note",
            title=f"Replay {row.replay} was asked for: {row.mode} rules, effects {row.effects}",
            detail=entries.detail_of(row, "replay", "requested_at"),
        )
        for row in rows
    ]


def of_outbox(rows: Iterable[queries.OutboxRecord]) -> list[entries.Draft]:
    found: list[entries.Draft] = []
    for row in rows:
        place = f"{row.topic}/{row.kafka_partition}/{row.kafka_offset}"
        steps: list[tuple[entries.Kind, datetime | None, entries.Outcome, str]] = [
            ("outbox", row.created_at, "ok", f"Written to the outbox for {row.topic}"),
            ("published", row.published_at, "ok", f"Published at {place}"),
            ("parked", row.parked_at, "failed", "Parked: the broker refuses the record"),
            ("discarded", row.discarded_at, "failed", "Discarded: it will not be published"),
        ]
        found += [
            entries.Draft(
                at=at,
                kind=kind,
                key=f"{kind}/{row.id}",
                parent=entries.run_key(row.replay),
                run=row.replay,
                outcome=outcome,
                title=title,
                duration_ms=entries.milliseconds(row.created_at, at)
                if kind == "published"
                else None,
                trace=row.traceparent,
                detail=_of_outbox_step(row, kind),
            )
            for kind, at, outcome, title in steps
            if at is not None
        ]
    return found


def of_runs(rows: Iterable[queries.Run]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.processed_at,
            kind="applied",
            key=f"applied/{row.replay}",
            parent=entries.run_key(row.replay),
            run=row.replay,
            outcome="ok",
            title=f"Applied, once, from {_place_of(row)}",
            detail=entries.detail_of(row, "replay", "processed_at"),
        )
        for row in rows
    ]


def of_attempts(rows: Iterable[attempt_queries.AttemptRow]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.finished_at,
            kind="attempt",
            key=entries.attempt_key(row.replay, row.attempt_no),
            parent=entries.run_key(row.replay),
            run=row.replay,
            outcome="ok" if row.status == "success" else "failed",
            title=_attempt_title(row),
            duration_ms=row.duration_ms,
            detail=entries.detail_of(row, "replay", "finished_at", "duration_ms", "error_stack"),
        )
        for row in rows
    ]


def of_rules(rows: Iterable[queries.RuleSaid]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.executed_at,
            kind="rule",
            key=f"rule/{row.replay}/{row.attempt_no}/{row.rule_id}/{row.version}",
            parent=entries.attempt_key(row.replay, row.attempt_no),
            run=row.replay,
            outcome=_rule_outcome(row),
            title=f"Rule {row.rule_name} v{row.version} {_rule_words(row)}",
            duration_ms=row.duration_us / 1000,
            detail=entries.detail_of(row, "replay", "attempt_no", "executed_at", "duration_us"),
        )
        for row in rows
    ]


def of_skips(
    rows: Iterable[queries.Skips], attempts: Iterable[attempt_queries.AttemptRow]
) -> list[entries.Draft]:
    """At the end of their attempts: a skip has no time of its own."""
    ends = {(row.replay, row.attempt_no): row.finished_at for row in attempts}
    return [
        entries.Draft(
            at=ends[row.replay, row.attempt_no],
            kind="rules_skipped",
            key=f"skips/{row.replay}/{row.attempt_no}",
            parent=entries.attempt_key(row.replay, row.attempt_no),
            run=row.replay,
            outcome="note",
            title=f"Rule versions that did not match: {row.versions}",
            duration_ms=row.duration_us / 1000,
            detail={"versions": row.versions},
        )
        for row in rows
        if (row.replay, row.attempt_no) in ends
    ]


def of_bookings(rows: Sequence[queries.Booking]) -> list[entries.Draft]:
    """One entry for both sides, and one for the order where no later event settled it again."""
    if not rows:
        return []
    row = rows[0]
    sides = [
        {
            "side": each.side,
            "account": each.account,
            "amount": each.amount,
            "currency": each.currency,
        }
        for each in rows
    ]
    words = ", ".join(f"{each.side} {each.account}" for each in rows)
    booked = entries.Draft(
        at=row.booked_at,
        kind="ledger",
        key="ledger",
        parent=entries.run_key(row.replay),
        run=row.replay,
        outcome="ok",
        title=f"Booked {row.amount} {row.currency} in minor units: {words}",
        detail={"entries": sides},
    )
    if row.settled_at is None or row.settled_at != row.booked_at:
        return [booked]
    settled = entries.Draft(
        at=row.settled_at,
        kind="settled",
        key="settled",
        parent=entries.run_key(row.replay),
        run=row.replay,
        outcome="ok",
        title="The order is settled",
    )
    return [booked, settled]


def of_dropped(rows: Iterable[queries.Dropped]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.dropped_at,
            kind="dropped",
            key=f"dropped/{row.topic}/{row.kafka_partition}/{row.kafka_offset}",
            parent=entries.run_key(row.replay),
            run=row.replay,
            outcome="note",
            title=f"Dropped without effect ({row.verdict}): the record at {_place_of(row)}",
            detail=entries.detail_of(row, "replay", "dropped_at"),
        )
        for row in rows
    ]


def of_waiting(rows: Iterable[queries.Waiting]) -> list[entries.Draft]:
    return [
        entries.Draft(
            at=row.waiting_since if row.behind_another or row.next_at is None else row.next_at,
            kind="waiting",
            key=f"waiting/{row.replay}/{index}",
            parent=entries.run_key(row.replay),
            run=row.replay,
            outcome="waiting",
            title=_waiting_title(row),
            detail=entries.detail_of(row, "replay"),
        )
        for index, row in enumerate(rows)
    ]


def _of_outbox_step(row: queries.OutboxRecord, kind: entries.Kind) -> dict[str, Any]:
    if kind == "outbox":
        return {"id": row.id, "topic": row.topic, "kafka_key": row.kafka_key}
    if kind == "published":
        return {
            "topic": row.topic,
            "kafka_partition": row.kafka_partition,
            "kafka_offset": row.kafka_offset,
            "attempts": row.attempts,
        }
    return {"attempts": row.attempts, "error": row.last_error}


def _attempt_title(row: attempt_queries.AttemptRow) -> str:
    if row.status == "success":
        return f"Attempt {row.attempt_no} ({row.trigger}) succeeded"
    injected = " (a fault on purpose)" if row.injected else ""
    return f"Attempt {row.attempt_no} ({row.trigger}) failed: {row.error_class}{injected}"


def _rule_outcome(row: queries.RuleSaid) -> entries.Outcome:
    if row.result == "failed":
        return "failed"
    return "note" if row.shadow or row.result == "deduped" else "ok"


def _rule_words(row: queries.RuleSaid) -> str:
    if row.result == "failed":
        return f"failed: {row.error_class}"
    if row.shadow:
        return "matched in shadow: it acts on nothing"
    if row.result == "deduped":
        return "applied; what it sends had been sent by an earlier run"
    return "applied"


def _waiting_title(row: queries.Waiting) -> str:
    if row.behind_another:
        return "Waits behind an earlier record of its key"
    if row.next_at is None:
        return "Waits for a redrive or a discard of its dead letter"
    return f"Attempt {row.attempt_no + 1} is planned"


def _place_of(row: queries.Run | queries.Dropped) -> str:
    return f"{row.topic}/{row.kafka_partition}/{row.kafka_offset}"
