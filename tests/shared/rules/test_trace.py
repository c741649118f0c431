"""How an outcome came about: steps that are true, bounded, and a sentence that says why."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from shared import rules
from shared.rules import explain, port, tracing
from tests.shared.rules import generated, hostile, samples

FRAUD = {"and": [{">": [{"var": "amount"}, 10000]}, {"==": [{"var": "country"}, "BR"]}]}


def _trace(condition: Any, data: Any, engine: port.EngineName = "datalogic") -> port.Trace:
    return samples.compiled(condition, engine).trace(samples.facts(data))


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize(
    ("condition", "data", "why"),
    [
        (FRAUD, {"amount": 10001, "country": "US"}, 'country == "BR" is false: country is "US"'),
        (FRAUD, {"country": "BR"}, "amount > 10000 is false: amount is missing"),
        (
            FRAUD,
            {"amount": 10001, "country": "BR"},
            '(amount > 10000) and (country == "BR") is true: amount is 10001, country is "BR"',
        ),
        (
            {"or": [{"==": [{"var": "a"}, 1]}, {"in": [{"var": "b"}, ["x", "y"]]}]},
            {"a": 2, "b": "y"},
            'b in ["x","y"] is true: b is "y"',
        ),
        (
            {"<": [{"+": ["x", {"var": "n"}]}, 3]},
            {"n": 1},
            '"x" + n fails: ',
        ),
        ({"!": {"var": "paid"}}, {"paid": True}, "!(paid) is false: paid is true"),
        (
            {"<": [{"var": "event.received_at"}, "2025"]},
            {},
            'event.received_at < "2025" is true: event.received_at is "2024-11-15T04:19:50.400Z"',
        ),
        (True, {}, "the condition is true for every event"),
    ],
)
def test_why_names_what_decided_with_its_values(
    condition: Any, data: Any, why: str, engine: port.EngineName
) -> None:
    assert _trace(condition, data, engine).why.startswith(why)


@pytest.mark.parametrize("engine", port.ENGINES)
def test_steps_stand_innermost_first_with_rounds_and_pointers(engine: port.EngineName) -> None:
    condition = {"some": [{"var": "xs"}, {">": [{"var": ""}, 1]}]}

    trace = _trace(condition, {"xs": [1, 2, 3]}, engine)

    told = [(s.pointer, s.round, json.loads(bytes(s.value or b"null"))) for s in trace.steps]
    assert told == [
        ("/some/0", None, [1, 2, 3]),
        ("/some/1/>/0", 0, 1),
        ("/some/1", 0, False),
        ("/some/1/>/0", 1, 2),
        ("/some/1", 1, True),
        ("", None, True),
    ]


@pytest.mark.parametrize("engine", port.ENGINES)
def test_what_is_not_evaluated_has_no_step(engine: port.EngineName) -> None:
    condition = {"if": [{"var": "a"}, {"or": [{"var": "b"}, {"var": "c"}]}, {"var": "d"}]}

    trace = _trace(condition, {"a": 1, "b": 2}, engine)

    assert [s.pointer for s in trace.steps] == ["/if/0", "/if/1/or/0", "/if/1", ""]


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize("name", hostile.BOUNDED)
def test_traces_of_hostile_rules_are_bounded(name: str, engine: port.EngineName) -> None:
    condition = hostile.BOUNDED[name]
    if samples.refused(condition, engine):
        return

    for data in ("one huge element", "numbers"):
        trace = samples.compiled(condition, engine).trace(samples.facts(hostile.data(data)))

        assert len(trace.steps) <= tracing.STEPS_MAX
        assert len(msgspec.json.encode(trace)) < 3 * 1024 * 1024
        assert 0 < len(trace.why) <= explain.WHY_CHARACTERS_MAX


@settings(max_examples=200, derandomize=True, deadline=None)
@given(rule=generated.RULES)
def test_the_last_step_is_the_outcome(rule: Any) -> None:
    for engine in port.ENGINES:
        if rules.check(rule, engine=engine, limits=samples.LIMITS):
            continue
        trace = _trace(rule, generated.DATA, engine)

        if trace.outcome.result == "failed":
            assert trace.value is None or trace.cut_off
        elif not trace.cut_off:
            assert trace.value is not None
            matched = bool(msgspec.json.decode(trace.value))
            assert matched == (trace.outcome.result == "matched")
