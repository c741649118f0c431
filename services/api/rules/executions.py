"""What processing did to an event, try by try, with what each rule said and why.

Reasons are not stored for each of a thousand rules that did not match: a version never changes, so
the same evaluation with a trace tells them again. It is bounded in number and in time.
"""

import asyncio
from time import perf_counter
from typing import Annotated, Literal, cast
from uuid import UUID

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, QueryParameter

from services.api import cursors, database_pool, problems
from services.api.queries import attempts as queries
from services.api.queries import events as event_queries
from services.api.queries import rules as rule_queries
from services.api.rules import changes
from shared import rules
from shared.rules import port

# Not `type` statements: Litestar does not look into those.
ActionOutcome = Literal[
    "pending",
    "sending",
    "confirmed",
    "failed",
    "unknown",
    "skipped",
    "deduped",
    "done",
    "shadow",
    "not_made",
]
Result = Literal["applied", "failed", "deduped"]

ATTEMPTS_MAX = 1000
EXECUTIONS_MAX = 2000
EXPLAINED_MAX = 50
DELIVERIES_MAX = 10_000
EXPLAIN_SECONDS = 0.25
_NOT_EXPLAINED = (
    f"not told here: at most {EXPLAINED_MAX} versions are explained in one answer; "
    "POST /rules/test explains any"
)
_LIST = "/rules/executions"
_DELIVERED = frozenset({"call_webhook", "send_email"})


class ActionResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one action. Of a webhook or mail it is the state of the run's delivery;
    deduped: an earlier run had made it, and delivery_id is that one.
    """

    key: str
    type: str
    outcome: ActionOutcome
    why: str | None = None
    delivery_id: UUID | None = None


class RuleExecution(msgspec.Struct, frozen=True, kw_only=True):
    """What one version of a rule said in one attempt. A version in shadow acts on nothing."""

    rule_id: UUID
    rule_name: str
    version: int
    shadow: bool
    engine: str
    result: str
    error_class: str | None
    reason: str | None
    reason_note: str | None
    duration_us: float
    actions: list[ActionResult]


class Attempt(queries.AttemptRow, frozen=True, kw_only=True):
    """One attempt at processing an event, with its rules in the order of their creation."""

    rule_executions: list[RuleExecution]


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """Every attempt at processing an event, oldest first."""

    attempts: list[Attempt]
    rule_executions_cut_off: bool


class RuleExecutions(msgspec.Struct, frozen=True, kw_only=True):
    """One page of what a rule said where it applied or failed, newest event first."""

    executions: list[queries.RuleExecutionRow]
    next_cursor: str | None


class Acts(msgspec.Struct, frozen=True, kw_only=True):
    """What an event sent, by rule, action and run; the run's own comes before one of scope 0."""

    made: dict[tuple[UUID, str, int], queries.DeliveryRow]
    first: dict[tuple[UUID, str], queries.DeliveryRow]
    effects: dict[int, str]


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored about an event's attempts, before anybody explains it."""

    event: event_queries.EventRow
    attempts: list[queries.AttemptRow]
    rows: list[queries.ExecutionRow]
    chosen: list[queries.ExecutionRow]
    conditions: dict[int, bytes]
    acts: Acts


async def read(conn: database_pool.Conn, event: event_queries.EventRow) -> Said:
    attempts = await queries.list_attempts(conn, event_id=event.id, limit=ATTEMPTS_MAX)
    rows = await queries.list_executions(conn, event_id=event.id, limit=EXECUTIONS_MAX + 1)
    told = {row.version_id: row for row in rows[:EXECUTIONS_MAX] if row.result != "failed"}
    # What acted comes first: it is what people ask about.
    chosen = sorted(told.values(), key=lambda row: row.result == "skipped")[:EXPLAINED_MAX]
    conditions = await queries.read_conditions(conn, version_ids=[row.version_id for row in chosen])
    return Said(
        event=event,
        attempts=attempts,
        rows=rows,
        chosen=chosen,
        conditions=conditions,
        acts=await _read_acts(conn, event.id),
    )


async def explain(said: Said, limits: port.Limits) -> Attempts:
    """Add the reasons. Needs no connection: it may take as long as EXPLAIN_SECONDS."""
    reasons = await asyncio.to_thread(_explain, said.event, said.chosen, said.conditions, limits)
    by_attempt: dict[tuple[int, int], list[RuleExecution]] = {}
    for row in said.rows[:EXECUTIONS_MAX]:
        found = by_attempt.setdefault((row.replay, row.attempt_no), [])
        found.append(_execution(row, reasons.get(row.version_id), said.acts))
    return Attempts(
        attempts=[
            Attempt(
                **msgspec.structs.asdict(attempt),
                rule_executions=by_attempt.get((attempt.replay, attempt.attempt_no), []),
            )
            for attempt in said.attempts
        ],
        rule_executions_cut_off=len(said.rows) > EXECUTIONS_MAX,
    )


@get(
    "/rules/{rule_id:str}/executions",
    tags=["rules"],
    summary="Where a rule applied or failed, newest event first",
)
async def list_rule_executions(  # noqa: PLR0917 each is a filter
    rule_id: FromPath[str],
    state: State,
    version: Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1)] = None,
    result: Annotated[Result | None, QueryParameter()] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> RuleExecutions:
    found = changes.read_id(rule_id)
    asked = {"rule_id": str(found)}
    asked |= {} if version is None else {"version": str(version)}
    asked |= {} if result is None else {"result": result}
    filters, after = _read_cursor(cursor, asked)
    async with database_pool.connection(state.pool) as conn:
        if await rule_queries.get_rule(conn, rule_id=found) is None:
            raise changes.no_rule()
        rows = await queries.list_rule_executions(
            conn,
            rule_id=found,
            version=int(filters["version"]) if "version" in filters else None,
            result=filters.get("result"),
            after=after,
            limit=limit + 1,
        )
    shown = rows[:limit]
    next_cursor = _write_cursor(shown[-1], filters) if len(rows) > limit else None
    return RuleExecutions(executions=shown, next_cursor=next_cursor)


class _Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why a version said what it said, and what speaks against trusting that fully."""

    result: port.Result | None
    text: str | None
    note: str | None = None


def _explain(
    event: event_queries.EventRow,
    rows: list[queries.ExecutionRow],
    conditions: dict[int, bytes],
    limits: port.Limits,
) -> dict[int, _Reason]:
    """Evaluate versions again, with a trace, until the time is up."""
    if event.payload_expired_at is not None:
        note = "the event's data has expired: the reason cannot be told again"
        return {row.version_id: _Reason(result=None, text=None, note=note) for row in rows}
    facts = port.Facts(
        event_id=event.id,
        event_type=event.type,
        source=event.source,
        subject=event.subject,
        data=bytes(event.data),
        external_id=event.external_id,
    )
    found: dict[int, _Reason] = {}
    deadline = perf_counter() + EXPLAIN_SECONDS
    for row in rows:
        if perf_counter() > deadline:
            break
        found[row.version_id] = _reason(row, conditions[row.version_id], facts, limits)
    return found


def _reason(
    row: queries.ExecutionRow, condition: bytes, facts: port.Facts, limits: port.Limits
) -> _Reason:
    engine = cast("port.EngineName", row.engine)  # the schema's check knows no other
    present = rules.engine_version(engine)
    note = None
    if present != row.engine_version:
        note = f"saved with {engine} {row.engine_version}, explained with {present}"
    try:
        compiled = rules.compile_condition(
            msgspec.json.decode(condition), engine=engine, limits=limits
        )
    except port.Refused as refused:
        return _Reason(result=None, text=None, note=f"no longer taken: {refused}"[:500])
    trace = compiled.trace(facts)
    return _Reason(result=trace.outcome.result, text=trace.why, note=note)


async def _read_acts(conn: database_pool.Conn, event_id: UUID) -> Acts:
    rows = await queries.list_deliveries(conn, event_id=event_id, limit=DELIVERIES_MAX)
    return Acts(
        made={(row.rule_id, row.action_key, row.replay): row for row in rows},
        first={(row.rule_id, row.action_key): row for row in rows if row.replay_scope == 0},
        effects=await queries.read_effects(conn, event_id=event_id, limit=ATTEMPTS_MAX),
    )


def _execution(row: queries.ExecutionRow, reason: _Reason | None, acts: Acts) -> RuleExecution:
    text, note = row.reason, None
    if row.result != "failed":
        text, note = _told(row, reason)
    return RuleExecution(
        rule_id=row.rule_id,
        rule_name=row.rule_name,
        version=row.version,
        shadow=row.shadow,
        engine=row.engine,
        result=row.result,
        error_class=row.error_class,
        reason=text,
        reason_note=note,
        duration_us=row.duration_us,
        actions=[_action(row, action, acts) for action in row.actions],
    )


def _told(row: queries.ExecutionRow, reason: _Reason | None) -> tuple[str | None, str | None]:
    if reason is None:
        return row.reason or _NOT_EXPLAINED, None
    expected = "not_matched" if row.result == "skipped" else "matched"
    if reason.result in {None, expected}:
        return row.reason or reason.text, reason.note
    note = f"evaluated again it is {reason.result}: limits or engine have changed since"
    return row.reason, note


def _action(row: queries.ExecutionRow, action: queries.ActionName, acts: Acts) -> ActionResult:
    """What became of an action in the run of this row."""
    if row.shadow:
        return _result(action, "shadow", "a version in shadow acts on nothing")
    effects = acts.effects.get(row.replay, "force" if row.replay == 0 else "dedupe")
    if effects == "none":
        return _result(action, "not_made", "the replay was to have no effects")
    if action.type in _DELIVERED:
        return _delivered(row, action, acts)
    if effects == "dedupe":
        return _result(action, "deduped", "a replay does this again with effects force only")
    return _result(action, "done")


def _delivered(row: queries.ExecutionRow, action: queries.ActionName, acts: Acts) -> ActionResult:
    made = acts.made.get((row.rule_id, action.key, row.replay))
    if made is not None:
        outcome = cast("ActionOutcome", made.state)  # the schema's check knows no other
        error = None if made.state == "confirmed" else made.last_error
        return _result(action, outcome, made.reason or error, made.id)
    first = acts.first.get((row.rule_id, action.key))
    if first is not None:
        told = f"made by {_run(first.replay)}, which is {first.state}"
        return _result(action, "deduped", told, first.id)
    return _result(action, "not_made", "no delivery of it is stored")


def _result(
    action: queries.ActionName,
    outcome: ActionOutcome,
    why: str | None = None,
    delivery_id: UUID | None = None,
) -> ActionResult:
    return ActionResult(
        key=action.key, type=action.type, outcome=outcome, why=why, delivery_id=delivery_id
    )


def _run(replay: int) -> str:
    return "the first run" if replay == 0 else f"replay {replay}"


def _read_cursor(
    text: str | None, asked: dict[str, str]
) -> tuple[dict[str, str], queries.Place | None]:
    """A cursor's place is an event; which of its rows is kept beside the filters."""
    if text is None:
        return asked, None
    cursor = cursors.decode(text, route=_LIST, filters=asked)
    filters = dict(cursor.filters)
    try:
        replay, attempt_no, version = map(int, filters.pop("at").split("."))
        int(filters.get("version", 1))
    except (KeyError, ValueError):
        raise problems.parameter("cursor", "is not a cursor that this list gave out") from None
    return filters, queries.Place(
        event_id=cursor.after, replay=replay, attempt_no=attempt_no, version=version
    )


def _write_cursor(last: queries.RuleExecutionRow, filters: dict[str, str]) -> str:
    at = f"{last.replay}.{last.attempt_no}.{last.version}"
    return cursors.encode(cursors.Cursor(_LIST, last.event_id, {**filters, "at": at}))
