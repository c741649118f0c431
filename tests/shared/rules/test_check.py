"""What a condition may be: everything else is refused when it is saved, with a pointer."""

import time
from typing import Any

import pytest

from shared import rules
from shared.rules import allowed, port
from tests.shared.rules import hostile, samples

SECONDS_MAX = 0.25


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize("name", hostile.REFUSED)
def test_hostile_rules_are_refused_in_milliseconds(name: str, engine: port.EngineName) -> None:
    condition = hostile.REFUSED[name]
    started = time.perf_counter()

    flaws = samples.refused(condition, engine)

    assert time.perf_counter() - started < SECONDS_MAX
    assert 0 < len(flaws) <= allowed.FLAWS_MAX
    with pytest.raises(port.Refused) as refused:
        rules.compile_condition(condition, engine=engine, limits=samples.LIMITS)
    assert refused.value.flaws == flaws


def test_all_flaws_are_told_each_at_its_node() -> None:
    operands: list[Any] = [
        {"method": ["a"]},
        {">": [1]},
        {"a/b~c": [{"now": []}]},
        {"==": [{"var": True}, 2**60]},
        {"fliter": [1, 2]},
        {"a": 1, "b": 2},
    ]

    flaws = samples.refused({"and": operands})

    assert [flaw.pointer for flaw in flaws] == [
        "/and/0",
        "/and/1",
        "/and/2",
        "/and/3/==/0",
        "/and/3/==/1",
        "/and/4",
        "/and/5",
    ]
    assert "`method` is not an operator of rules" in flaws[0].message
    assert "allowed: var missing" in flaws[0].message
    assert "did you mean `filter`?" in flaws[5].message


def test_pointers_escape_the_names_of_operators() -> None:
    [flaw] = samples.refused({"/": [{"!": {"var": None}}, 2]})

    assert flaw.pointer == "/~1/0/!"


def test_there_is_no_clock_and_the_message_says_what_to_use() -> None:
    [flaw] = samples.refused({"<": [{"now": []}, 1]})

    assert "event.received_at" in flaw.message


def test_operators_of_one_engine_are_refused_by_the_other_by_name() -> None:
    condition = {"starts_with": [{"var": "iban"}, "DE"]}

    assert samples.refused(condition, "datalogic") == []
    [flaw] = samples.refused(condition, "json-logic-qubit")
    assert "only the engine datalogic has it" in flaw.message


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize(("condition", "result"), [(True, "matched"), (False, "not_matched")])
def test_true_and_false_are_conditions(
    condition: bool, result: str, engine: port.EngineName
) -> None:
    assert samples.evaluated(condition, {}, engine).result == result


def test_limits_are_those_that_were_given() -> None:
    small = port.Limits(bytes_max=64, depth_max=2, nodes_max=4)

    def flaws(condition: Any) -> list[port.Flaw]:
        return rules.check(condition, engine="datalogic", limits=small)

    assert flaws({"==": [{"var": "a"}, 1]})[0].message == "is nested deeper than 2 levels"
    assert flaws({"==": ["a", 1]}) == []
    assert "more than 4 nodes" in flaws({"and": [True] * 4})[0].message
    assert "at most 64" in flaws({"==": ["a", "b" * 60]})[0].message


def test_the_largest_settings_are_not_a_way_to_recurse_too_deep() -> None:
    largest = port.Limits(bytes_max=1024 * 1024, depth_max=64, nodes_max=10_000)
    deep = hostile.nested(62, "!", {"var": "a"})

    for engine in port.ENGINES:
        assert rules.check(deep, engine=engine, limits=largest) == []
        condition = rules.compile_condition(deep, engine=engine, limits=largest)
        assert condition.evaluate(samples.facts({"a": 1})).result == "matched"
        assert condition.trace(samples.facts({"a": 1})).outcome.result == "matched"


@pytest.mark.parametrize("engine", port.ENGINES)
def test_the_version_of_an_engine_is_that_of_its_package(engine: port.EngineName) -> None:
    assert rules.engine_version(engine) == {
        "datalogic": "5.9.0",
        "json-logic-qubit": "0.9.1",
    }.get(engine)
