"""What a person does to a delivery: send it again, or say how an unknown one ended."""

from datetime import datetime
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler

from services.api import database_pool, guards, problems, transactions
from services.api.deliveries import reads
from services.api.queries import delivery_changes as queries
from services.api.queries import rule_changes as rule_queries
from services.api.rules import changes as rule_changes
from shared import database, live

type Conn = database_pool.Conn
type Author = rule_changes.Author
type Outcome = Literal["confirmed", "failed"]
type Told = list[tuple[live.Kind, str, live.Item]]
"""What an act has changed, beside its answer."""

REASON_CHARACTERS_MAX = 1000
OUTCOMES: tuple[Outcome, ...] = ("confirmed", "failed")
# A dedupe run finds the row that was skipped and makes no other: only force sends.
_FORCE = (
    'POST /events/{event_id}/replay {{"effects": "force", "reason": "..."}} sends all of the '
    "event's deliveries once more"
)
_FAULTS_MAX = 100

type Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS_MAX)]


class RetryBody(msgspec.Struct, frozen=True, kw_only=True):
    """May be empty."""

    reason: Reason | None = None


class ResolveBody(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended, and how one knows."""

    outcome: Outcome
    reason: Reason


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """It is due and will be sent under the same id; dead_letter_id: the one that this redrives."""

    id: UUID
    state: str
    next_attempt_at: datetime
    dead_letter_id: UUID | None


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What is settled; dead_letter_id: the one that this discards."""

    id: UUID
    state: Outcome
    reason: str
    finished_at: datetime
    dead_letter_id: UUID | None


@post(
    "/deliveries/{delivery_id:str}/retry",
    status_code=202,
    tags=["deliveries"],
    summary="Send a delivery again, under the same id and with a schedule of its own",
    opt={"body": RetryBody},
)
async def retry_delivery(
    delivery_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> Retried:
    """From failed, unknown and skipped; one that is pending is sent now instead of later. The
    receiver sees the same webhook-id and can tell that it had it.
    """
    by = rule_changes.author(request)
    found = reads.read_id(delivery_id)
    reason = _read_retry(await request.body())

    async def act(conn: Conn) -> tuple[Retried, Told]:
        return await _retry(conn, found, by, reason=reason)

    retried, told = await transactions.run(state.pool, act, channel=database.DELIVERIES_CHANNEL)
    _announce(state, told)
    return retried


async def _retry(
    conn: Conn, delivery_id: UUID, by: Author, *, reason: str | None
) -> tuple[Retried, Told]:
    """In the caller's transaction, which tells the dispatchers when it is committed. A dispatcher
    that redrives this delivery's dead letter locks the letter first: then one of us starts anew.
    """
    held = await _lock(conn, delivery_id)
    _require_sendable(held)
    await queries.lock_event(conn, event_id=held.event_id)
    due_at = await queries.send_again(conn, delivery_id=delivery_id)
    letter_id = await queries.close_letter(
        conn, delivery_id=delivery_id, state="redriven", reason=reason
    )
    status = None
    if held.state != "pending":
        status = await queries.reopen_event(conn, event_id=held.event_id)
    detail = {"from": held.state, "attempts": held.attempt_no, "reason": reason}
    await _audit(conn, delivery_id, by, action="delivery.retry", detail=detail)
    retried = Retried(
        id=delivery_id, state="pending", next_attempt_at=due_at, dead_letter_id=letter_id
    )
    return retried, _told(held, "pending", status, (letter_id, "redriven"))


@post(
    "/deliveries/{delivery_id:str}/resolve",
    status_code=200,
    tags=["deliveries"],
    summary="Say how an unknown delivery ended, when the receiver knows",
    opt={"body": ResolveBody},
)
async def resolve_delivery(
    delivery_id: FromPath[str], request: Request[Any, Any, Any], state: State
) -> Resolved:
    by = rule_changes.author(request)
    found = reads.read_id(delivery_id)
    asked = _read_resolve(await rule_changes.read_body(request))

    async def act(conn: Conn) -> tuple[Resolved, Told]:
        return await _resolve(conn, found, by, asked)

    resolved, told = await transactions.run(state.pool, act, channel=database.DELIVERIES_CHANNEL)
    _announce(state, told)
    return resolved


async def _resolve(
    conn: Conn, delivery_id: UUID, by: Author, asked: ResolveBody
) -> tuple[Resolved, Told]:
    held = await _lock(conn, delivery_id)
    if held.state != "unknown":
        raise _wrong_state(held, "only an unknown delivery can be resolved")
    await queries.lock_event(conn, event_id=held.event_id)
    finished_at = await queries.resolve(
        conn, delivery_id=delivery_id, state=asked.outcome, reason=asked.reason
    )
    letter_id = await queries.close_letter(
        conn,
        delivery_id=delivery_id,
        state="discarded",
        reason=f"resolved as {asked.outcome}: {asked.reason}",
    )
    status = await queries.finish_event(conn, event_id=held.event_id)
    detail = {"outcome": asked.outcome, "reason": asked.reason}
    await _audit(conn, delivery_id, by, action="delivery.resolve", detail=detail)
    resolved = Resolved(
        id=delivery_id,
        state=asked.outcome,
        reason=asked.reason,
        finished_at=finished_at,
        dead_letter_id=letter_id,
    )
    return resolved, _told(held, asked.outcome, status, (letter_id, "discarded"))


ROUTES: tuple[ControllerRouterHandler, ...] = (
    reads.list_deliveries,
    reads.get_stats,
    reads.get_delivery,
    retry_delivery,
    resolve_delivery,
)


def _told(
    held: queries.Held, state: str, event_status: str | None, letter: tuple[UUID | None, str]
) -> Told:
    told: Told = [("delivery", state, (held.id, held.event_type))]
    letter_id, letter_state = letter
    if letter_id is not None:
        told.append(("dead_letter", letter_state, (letter_id, held.event_type)))
    if event_status is not None:
        told.append(("event", event_status, (held.event_id, held.event_type)))
    return told


def _announce(state: State, told: Told) -> None:
    """After the commit."""
    for kind, status, item in told:
        state.resources.announcer.announce(kind, status, [item])


async def _lock(conn: Conn, delivery_id: UUID) -> queries.Held:
    held = await queries.lock_delivery(conn, delivery_id=delivery_id)
    if held is None:
        raise reads.no_delivery()
    return held


def _require_sendable(held: queries.Held) -> None:
    """Raise what says why this cannot be sent, and what to do instead."""
    if held.state == "sending":
        raise _wrong_state(held, "an attempt is under way: wait for what it teaches")
    if held.state == "confirmed":
        raise _wrong_state(held, f"the receiver has it; {_force(held)}")
    if held.target_archived:
        raise _no_target(held, f"is archived: let the rule name another, then {_force(held)}")
    if held.target_disabled:
        raise _no_target(held, f"is disabled: POST /targets/{held.target_id}/enable, then retry")
    if not held.has_request and held.payload_expired:
        raise problems.Problem(
            "payload-expired", "what it sent was removed by the retention of its event's type"
        )
    if not held.has_request:
        why = held.reason or "what it was to send is not stored"
        raise _wrong_state(
            held, f"it has nothing to send ({why}): mend the rule, then {_force(held)}"
        )
    if held.names_no_address:
        raise _wrong_state(
            held, f"its target was never found ({held.reason}): make it, then {_force(held)}"
        )


def _force(held: queries.Held) -> str:
    return _FORCE.format(event_id=held.event_id)


def _wrong_state(held: queries.Held, why: str) -> problems.Problem:
    return problems.Problem(
        "delivery-state", f"the delivery is {held.state}: {why}", state=held.state
    )


def _no_target(held: queries.Held, what: str) -> problems.Problem:
    return problems.Problem(
        "target-disabled", f"the target {held.target_name} {what}", target_id=str(held.target_id)
    )


def _read_retry(body: bytes) -> str | None:
    if not body:
        return None
    given, errors = _members(msgspec.json.decode(body), ("reason",))
    reason = given.get("reason")
    if reason is not None:
        errors += _flaws_of_reason(reason)
    _raise_if_wrong(errors)
    return reason


def _read_resolve(body: Any) -> ResolveBody:
    given, errors = _members(body, ("outcome", "reason"))
    if given.get("outcome") not in OUTCOMES:
        detail = f"must be one of {', '.join(OUTCOMES)}"
        errors.append(problems.Fault(pointer="/outcome", detail=detail))
    errors += _flaws_of_reason(given.get("reason"))
    _raise_if_wrong(errors)
    return ResolveBody(outcome=given["outcome"], reason=given["reason"])


def _members(body: Any, known: tuple[str, ...]) -> tuple[dict[str, Any], list[problems.Fault]]:
    if not isinstance(body, dict):
        raise problems.at("", "must be an object")
    members = cast("dict[str, Any]", body)
    detail = f"is not known here; known: {', '.join(known)}"
    return members, [
        problems.Fault(pointer=f"/{guards.escape(name[:200])}", detail=detail)
        for name in members
        if name not in known
    ]


def _raise_if_wrong(errors: list[problems.Fault]) -> None:
    if errors:
        raise problems.Problem(
            "invalid-request", "nothing was changed: see errors", errors=errors[:_FAULTS_MAX]
        )


def _flaws_of_reason(value: Any) -> list[problems.Fault]:
    detail = _flaw_of_reason(value)
    return [] if detail is None else [problems.Fault(pointer="/reason", detail=detail)]


def _flaw_of_reason(value: Any) -> str | None:
    if not isinstance(value, str) or not 1 <= len(value) <= REASON_CHARACTERS_MAX:
        return f"must be a text of 1 to {REASON_CHARACTERS_MAX} characters"
    if not value.isprintable() or value != value.strip():
        return "may hold printable characters only, and no space at either end"
    return None


async def _audit(
    conn: Conn, delivery_id: UUID, by: Author, *, action: str, detail: dict[str, Any]
) -> None:
    await rule_queries.audit(
        conn, actor=by.actor, action=action, target=f"deliveries/{delivery_id}", detail=detail
    )
