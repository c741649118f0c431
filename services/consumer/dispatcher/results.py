"""What is recorded of an attempt, as one array per column. Pure but for the ids of dead letters."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat

from services.consumer.dispatcher import outgoing, schedule
from services.consumer.queries import dispatch, upkeep

MESSAGE_CHARS_MAX = 1000
HEAD_BYTES_MAX = 16_384
LEASE_EXPIRED = "LeaseExpired"  # RECORD knows it by this name
HIDDEN = "[hidden]"
_ABSENT = math.nan


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that is over, and what becomes of its delivery."""

    id: UUID
    attempt_no: int
    event_id: UUID
    event_type: str
    replay: int
    kind: str
    destination: str
    target_id: UUID | None
    leased_by: str
    started_at: datetime
    url: str | None
    answer: outgoing.Answer
    fate: schedule.Fate
    injected: bool = False


def of_claimed(
    row: dispatch.Claimed,
    *,
    me: str,
    url: str | None,
    answer: outgoing.Answer,
    fate: schedule.Fate,
    injected: bool = False,
) -> Result:
    return Result(
        id=row.id,
        attempt_no=row.attempt_no,
        event_id=row.event_id,
        event_type=row.event_type,
        replay=row.replay,
        kind=row.kind,
        destination=row.destination,
        target_id=row.target_id,
        leased_by=me,
        started_at=row.sending_since,
        url=url,
        answer=answer,
        fate=fate,
        injected=injected,
    )


def of_expired(row: upkeep.Expired, *, fate: schedule.Fate) -> Result:
    """Whoever sent it has not said what came of it, and will be fenced when it does."""
    answer = outgoing.Answer(
        outcome="unknown",
        error_class=LEASE_EXPIRED,
        error_message=f"{row.leased_by} did not record this attempt before its lease ended",
    )
    return Result(
        id=row.id,
        attempt_no=row.attempt_no,
        event_id=row.event_id,
        event_type=row.event_type,
        replay=row.replay,
        kind="",
        destination=row.destination,
        target_id=None,
        leased_by=row.leased_by,
        started_at=row.sending_since,
        url=None,
        answer=answer,
        fate=fate,
    )


def columns(found: Sequence[Result]) -> dict[str, list[Any]]:
    """The parameters of RECORD, in the order of the ids: rows are locked in it."""
    rows = sorted(found, key=lambda one: one.id)
    answers = [one.answer for one in rows]
    took = [answer.phases for answer in answers]
    return {
        "ids": [one.id for one in rows],
        "attempt_nos": [one.attempt_no for one in rows],
        "leased_bys": [one.leased_by for one in rows],
        "states": [one.fate.state for one in rows],
        "wait_seconds": [_number(one.fate.wait_seconds) for one in rows],
        "outcomes": [answer.outcome for answer in answers],
        "status_codes": [answer.status_code or 0 for answer in answers],
        "error_classes": [_text(answer.error_class, MESSAGE_CHARS_MAX) for answer in answers],
        "error_messages": [_text(answer.error_message, MESSAGE_CHARS_MAX) for answer in answers],
        "urls": [one.url for one in rows],
        "addresses": [answer.address for answer in answers],
        "dns_ms": [_number(phases.dns_ms) for phases in took],
        "connect_ms": [_number(phases.connect_ms) for phases in took],
        "tls_ms": [_number(phases.tls_ms) for phases in took],
        "first_byte_ms": [_number(phases.first_byte_ms) for phases in took],
        "total_ms": [_number(phases.total_ms) for phases in took],
        "response_heads": [_text(answer.response_head, HEAD_BYTES_MAX) for answer in answers],
        "response_bodies": [_text(answer.response_body, HEAD_BYTES_MAX) for answer in answers],
        "late_answers": [_late_answer(one) for one in rows],
        "injected": [one.injected for one in rows],
        "started_ats": [one.started_at for one in rows],
    }


def dead_letter_columns(found: Iterable[Result]) -> dict[str, list[Any]]:
    rows = list(found)
    return {
        "ids": [uuid_utils.compat.uuid7() for _ in rows],
        "event_ids": [one.event_id for one in rows],
        "replays": [one.replay for one in rows],
        "event_types": [one.event_type for one in rows],
        "error_classes": [_text(one.answer.error_class, MESSAGE_CHARS_MAX) for one in rows],
        "error_messages": [
            _text(one.answer.error_message or "", MESSAGE_CHARS_MAX) for one in rows
        ],
        "attempts": [one.attempt_no for one in rows],
        "delivery_ids": [one.id for one in rows],
    }


def masked(answer: outgoing.Answer, hidden: Sequence[str]) -> outgoing.Answer:
    """Without the texts to hide: many receivers repeat the headers that they were sent."""
    shown = {
        name: text
        for name in ("error_message", "response_head", "response_body")
        if (text := getattr(answer, name)) is not None
    }
    covered = {name: _covered(text, hidden) for name, text in shown.items()}
    return answer if covered == shown else msgspec.structs.replace(answer, **covered)


def dead_letters_of_unknown(rows: Sequence[upkeep.Skipped]) -> dict[str, list[Any]]:
    """Deliveries that are not sent any more although one of their attempts may have arrived."""
    return {
        "ids": [uuid_utils.compat.uuid7() for _ in rows],
        "event_ids": [row.event_id for row in rows],
        "replays": [row.replay for row in rows],
        "event_types": [row.event_type for row in rows],
        "error_classes": ["OutcomeUnknown" for _ in rows],
        "error_messages": [f"an attempt may have arrived, and {row.reason}" for row in rows],
        "attempts": [row.attempt_no for row in rows],
        "delivery_ids": [row.id for row in rows],
    }


def without_texts(one: Result) -> Result:
    """The bare result, when Postgres refuses something that the receiver sent."""
    bare = msgspec.structs.replace(
        one.answer,
        error_message=None,
        response_head=None,
        response_body=None,
        address=None,
    )
    return msgspec.structs.replace(one, answer=bare, url=None)


def _covered(text: str, hidden: Sequence[str]) -> str:
    for value in hidden:
        text = text.replace(value, HIDDEN)
    return text


def _late_answer(one: Result) -> str | None:
    """What to say where the lease was over. Finding a lease expired is no answer."""
    answer = one.answer
    if answer.error_class == LEASE_EXPIRED:
        return None
    detail = answer.status_code or answer.error_class
    return f"{answer.outcome}: {detail}" if detail else answer.outcome


def _number(value: float | None) -> float:
    """A float even of a whole number, which passes for one with the type checker: Psycopg refuses
    a list of both.
    """
    return _ABSENT if value is None else float(value)


def _text(value: str | None, size_max: int) -> str | None:
    """As Postgres takes it: no NUL, no lone surrogate, and no more bytes than its column holds."""
    if value is None or (value.isascii() and len(value) <= size_max and "\0" not in value):
        return value
    data = value.replace("\0", "\\0").encode(errors="replace")
    return data[:size_max].decode(errors="ignore")
