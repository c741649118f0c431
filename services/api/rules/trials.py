"""POST /rules/test: a condition on an event or a payload, with a trace; no side effect."""

import asyncio
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import Request, post
from litestar.datastructures import State
from litestar.types import ControllerRouterHandler

from services.api import access, database_pool, problems
from services.api.queries import backtests as version_queries
from services.api.queries import events as event_queries
from services.api.rules import changes, evaluations, trial_bodies
from shared import rules
from shared.rules import actions, patterns, port

type Conn = database_pool.Conn

EVENT_TYPE_DEFAULT = "test"
SOURCE_DEFAULT = "api"


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What the other engine says; refused: it does not take the condition at all."""

    engine: port.EngineName
    engine_version: str
    outcome: port.Result | Literal["refused"]
    agrees: bool
    error: evaluations.EvaluationError | None
    flaws: list[port.Flaw]
    duration_us: float | None


class RuleTest(evaluations.Evaluation, frozen=True, kw_only=True):
    """An evaluation of a condition; rule and event are null where the request brought its own."""

    rule_id: UUID | None
    event_id: UUID | None
    event_type: str
    compared_with: Compared | None


class _Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is tested, from the request or from a stored version."""

    condition: Any
    actions: list[actions.Action]
    engine: port.EngineName
    event_type: str | None
    rule_id: UUID | None = None
    version: int | None = None


@post(
    "/rules/test",
    tags=["rules"],
    summary="What a condition or a rule says of an event, node by node; does nothing",
    status_code=200,
    opt={"body": trial_bodies.RuleTestBody},
)
async def test_rule(request: Request[Any, Any, Any], state: State) -> RuleTest:
    """Send condition or rule_id, and event_id or event."""
    limits = state.resources.settings.rule_limits
    asked = trial_bodies.read(await changes.read_body(request), limits=limits)
    subject = _given_subject(asked)
    event = None
    if asked.event_id is not None:
        # Its trace can show any of the event's data.
        access.require(request, "events:read")
    if asked.rule_id is not None or asked.event_id is not None:
        async with database_pool.connection(state.pool) as conn:
            if asked.rule_id is not None:
                subject = await _stored_subject(conn, asked.rule_id, asked.version)
            if asked.event_id is not None:
                event = await _stored_event(conn, asked.event_id)
    facts = _given_facts(asked, subject) if event is None else evaluations.facts_of(event)
    # In a thread: a rule may use its whole budget, and nobody else shall wait for that.
    return await asyncio.to_thread(
        _test, subject, facts, limits, asked.event_id, both_engines=asked.both_engines
    )


ROUTES: tuple[ControllerRouterHandler, ...] = (test_rule,)


def _given_subject(asked: trial_bodies.Asked) -> _Subject:
    return _Subject(
        condition=asked.condition,
        actions=asked.actions,
        engine=asked.engine,
        event_type=asked.event_type,
    )


async def _stored_subject(conn: Conn, rule_id: UUID, version: int | None) -> _Subject:
    choices = ["number"] if version is not None else ["published", "newest"]
    for choice in choices:
        row = await version_queries.find_version(
            conn, rule_id=rule_id, choice=choice, version=version
        )
        if row is not None:
            return _Subject(
                condition=msgspec.json.decode(row.condition),
                actions=msgspec.json.decode(row.actions, type=list[actions.Action]),
                engine=cast("port.EngineName", row.engine),
                event_type=row.event_type,
                rule_id=row.rule_id,
                version=row.version,
            )
    if await version_queries.rule_exists(conn, rule_id=rule_id):
        raise problems.at("/version", "the rule has no such version")
    raise problems.at("/rule_id", "there is no such rule")


async def _stored_event(conn: Conn, event_id: UUID) -> event_queries.EventRow:
    event = await event_queries.get_event(conn, event_id=event_id)
    if event is None:
        raise problems.at("/event_id", "there is no such event")
    if await version_queries.has_expired(conn, event_id=event_id):
        raise evaluations.payload_expired()
    return event


def _given_facts(asked: trial_bodies.Asked, subject: _Subject) -> port.Facts:
    """An event that is made up here and stored nowhere; received now."""
    event = asked.event
    assert event is not None  # read() wants an event or the id of one
    event_type = event.type
    if event_type is None:
        exact = subject.event_type is not None and not subject.event_type.endswith("*")
        event_type = subject.event_type if exact and subject.event_type else EVENT_TYPE_DEFAULT
    event_id = uuid_utils.compat.uuid7()
    return port.Facts(
        event_id=event_id,
        event_type=event_type,
        source=event.source or SOURCE_DEFAULT,
        subject=event.subject,
        data=event.data,
        external_id=event.id or str(event_id),
    )


def _test(
    subject: _Subject,
    facts: port.Facts,
    limits: port.Limits,
    event_id: UUID | None,
    *,
    both_engines: bool,
) -> RuleTest:
    try:
        condition = rules.compile_condition(subject.condition, engine=subject.engine, limits=limits)
    except port.Refused as refused:
        raise evaluations.refused(refused, "/condition") from None
    evaluation = evaluations.evaluate(
        condition,
        subject.actions,
        facts,
        limits=limits,
        type_matches=None
        if subject.event_type is None
        else patterns.matches(subject.event_type, facts.event_type),
        version=subject.version,
    )
    return RuleTest(
        **msgspec.structs.asdict(evaluation),
        rule_id=subject.rule_id,
        event_id=event_id,
        event_type=facts.event_type,
        compared_with=_compare(subject, facts, limits, evaluation) if both_engines else None,
    )


def _compare(
    subject: _Subject,
    facts: port.Facts,
    limits: port.Limits,
    evaluation: evaluations.Evaluation,
) -> Compared:
    other: port.EngineName = "json-logic-qubit" if subject.engine == "datalogic" else "datalogic"
    version = rules.engine_version(other)
    try:
        condition = rules.compile_condition(subject.condition, engine=other, limits=limits)
    except port.Refused as refused:
        return Compared(
            engine=other,
            engine_version=version,
            outcome="refused",
            agrees=False,
            error=None,
            flaws=refused.flaws,
            duration_us=None,
        )
    theirs = evaluations.evaluate(condition, [], facts, limits=limits, type_matches=None)
    return Compared(
        engine=other,
        engine_version=version,
        outcome=theirs.outcome,
        agrees=theirs.outcome == evaluation.outcome,
        error=theirs.error,
        flaws=[],
        duration_us=theirs.duration_us,
    )
