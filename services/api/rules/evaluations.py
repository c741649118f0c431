"""One condition on one event, told step by step: for people, not for throughput. Pure but for the
watch.
"""

import time
from typing import Any, cast

import msgspec

from services.api import problems
from services.api.queries import events
from services.api.rules import comparisons
from shared import rules
from shared.rules import actions, port


class EvaluationError(msgspec.Struct, frozen=True, kw_only=True, rename={"error_class": "class"}):
    """Why an evaluation failed, and at which node of the condition."""

    error_class: str
    message: str
    pointer: str | None


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What a condition says of an event and how it came about; actions are those of a match.

    matched is null when the evaluation failed. type_matches: does the rule look at events of this
    type at all? missing: variables and template names that the event does not have.
    """

    version: int | None
    outcome: port.Result
    matched: bool | None
    type_matches: bool | None
    error: EvaluationError | None
    why: str
    value: msgspec.Raw | None
    trace: list[port.Step]
    trace_cut_off: bool
    actions: list[actions.Rendered]
    missing: list[str]
    engine: str
    engine_version: str
    duration_us: float


def evaluate(
    condition: port.Condition,
    wanted: list[actions.Action],
    facts: port.Facts,
    *,
    limits: port.Limits,
    type_matches: bool | None,
    version: int | None = None,
) -> Evaluation:
    """Runs no action: it says what they would be."""
    assert facts.text  # decoded outside the watch, as for the first rule of an event
    began = time.perf_counter_ns()
    outcome = condition.evaluate(facts)
    duration_us = (time.perf_counter_ns() - began) / 1000
    trace = condition.trace(facts)
    rendered = (
        comparisons.render(wanted, facts, limits=limits) if outcome.result == "matched" else []
    )
    return Evaluation(
        version=version,
        outcome=outcome.result,
        matched=None if outcome.result == "failed" else outcome.result == "matched",
        type_matches=type_matches,
        error=error_of(outcome),
        why=trace.why,
        value=trace.value,
        trace=trace.steps,
        trace_cut_off=trace.cut_off,
        actions=rendered,
        missing=_missing(trace, rendered, facts.value),
        engine=condition.engine,
        engine_version=rules.engine_version(condition.engine),
        duration_us=round(duration_us, 1),
    )


def facts_of(event: events.EventRow) -> port.Facts:
    return port.Facts(
        event_id=event.id,
        event_type=event.type,
        source=event.source,
        subject=event.subject,
        data=bytes(event.data),
        external_id=event.external_id,
    )


def payload_expired() -> problems.Problem:
    return problems.Problem(
        "payload-expired", "the event's data has expired: nobody can say what a rule makes of it"
    )


def refused(error: port.Refused, prefix: str) -> problems.Problem:
    """A condition or action that is not taken, with all its flaws."""
    errors = [
        problems.Fault(pointer=prefix + flaw.pointer, detail=flaw.message) for flaw in error.flaws
    ]
    return problems.Problem("invalid-request", "it cannot be evaluated: see errors", errors=errors)


def error_of(outcome: port.Outcome) -> EvaluationError | None:
    if outcome.result != "failed":
        return None
    return EvaluationError(
        error_class=outcome.error_class or "EvaluationError",
        message=outcome.message or "",
        pointer=outcome.pointer,
    )


def _missing(trace: port.Trace, rendered: list[actions.Rendered], value: Any) -> list[str]:
    """In the order in which they were met. A loop's own variables are not the event's."""
    names: dict[str, None] = {}
    for step in trace.steps:
        path = _path_of(step) if step.round is None else None
        if path is not None and not _has(value, path):
            names[path] = None
    for action in rendered:
        names.update(dict.fromkeys(action.missing))
    return list(names)


def _path_of(step: port.Step) -> str | None:
    expression = msgspec.json.decode(step.expression)
    if not isinstance(expression, dict):
        return None
    argument = cast("dict[str, Any]", expression).get("var")
    if isinstance(argument, list) and argument:
        argument = cast("list[Any]", argument)[0]
    if isinstance(argument, bool) or not isinstance(argument, str | int):
        return None
    return str(argument)


def _has(value: Any, path: str) -> bool:
    for name in path.split(".") if path else []:
        if isinstance(value, dict) and name in value:
            value = cast("dict[str, Any]", value)[name]
        elif (
            isinstance(value, list)
            and name.isdecimal()
            and int(name) < len(cast("list[Any]", value))
        ):
            value = cast("list[Any]", value)[int(name)]
        else:
            return False
    return True
