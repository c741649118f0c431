"""What an evaluation says: matched, not matched, or failed with the node that failed."""

import json
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.rules import port
from tests.shared.rules import samples

FRAUD = {"and": [{">": [{"var": "amount"}, 10000]}, {"==": [{"var": "country"}, "BR"]}]}
EVENT = {
    "id": str(samples.EVENT_ID),
    "type": "payment.completed",
    "source": "api",
    "subject": "order-1",
    "received_at": "2024-11-15T04:19:50.400Z",
}
MEMBERS = st.dictionaries(
    st.sampled_from(["a", "event", "events", "ev\u00e9nt", ""]),
    st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.lists(st.integers(), max_size=2),
)


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize(
    ("data", "outcome"),
    [
        ({"amount": 10001, "country": "BR"}, port.MATCHED),
        ({"amount": 10000, "country": "BR"}, port.NOT_MATCHED),
        ({"amount": 10001, "country": "US"}, port.NOT_MATCHED),
        ({"country": "BR"}, port.NOT_MATCHED),
        ({}, port.NOT_MATCHED),
        ([1, 2], port.NOT_MATCHED),
    ],
)
def test_a_condition_reads_the_members_of_data(
    data: Any, outcome: port.Outcome, engine: port.EngineName
) -> None:
    assert samples.evaluated(FRAUD, data, engine) is outcome


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize(
    ("condition", "error_class", "pointer"),
    [
        ({"<": [{"+": ["x", {"var": "n"}]}, 3]}, "NotANumber", "/</0"),
        ({"or": [False, {"!": {"*": ["x", 1]}}]}, "NotANumber", "/or/1/!"),
        ({"==": [{"substr": [{"var": "s"}, {"-": ["a"]}]}, "b"]}, "NotANumber", "/==/0/substr/1"),
    ],
)
def test_an_error_is_a_third_outcome_with_its_node(
    condition: Any, error_class: str, pointer: str, engine: port.EngineName
) -> None:
    outcome = samples.evaluated(condition, {"n": 1, "s": "abc"}, engine)

    assert (outcome.result, outcome.error_class, outcome.pointer) == (
        "failed",
        error_class,
        pointer,
    )
    assert 0 < len(str(outcome.message)) <= port.MESSAGE_CHARACTERS_MAX


@pytest.mark.parametrize("engine", port.ENGINES)
def test_division_by_zero_fails(engine: port.EngineName) -> None:
    for number in (1, 1.5):
        outcome = samples.evaluated({"/": [number, {"var": "zero"}]}, {"zero": 0}, engine)

        assert outcome.result == "failed"


@pytest.mark.parametrize("engine", port.ENGINES)
@pytest.mark.parametrize(
    "data",
    [b"", b"{", b'{"a":1', b'{"a":}', b'{,"a":1}', b"{}{}", b"\xff", b'{"a":"\xff"}', b"nul"],
)
def test_data_that_is_not_json_fails_and_raises_nothing(
    data: bytes, engine: port.EngineName
) -> None:
    for condition in (True, {"==": [{"var": "a"}, 1]}):
        outcome = samples.compiled(condition, engine).evaluate(samples.facts(data))

        assert (outcome.result, outcome.error_class) == ("failed", "MalformedData")
        assert samples.compiled(condition, engine).trace(samples.facts(data)).outcome == outcome


@pytest.mark.parametrize("engine", port.ENGINES)
def test_text_operators_read_arrays_as_cat_does(engine: port.EngineName) -> None:
    if engine == "datalogic":
        for condition in (
            {"starts_with": [{"var": "xs"}, "12"]},
            {"==": [{"upper": {"var": "nothing"}}, ""]},
            {"==": [{"substr": [{"var": "n"}, 1, 2]}, "23"]},
            {"==": [{"trim": " a "}, "a"]},
        ):
            assert samples.evaluated(condition, {"xs": [1, 2], "n": 1234}) is port.MATCHED


def test_the_event_is_put_before_the_members_of_data() -> None:
    assert json.loads(samples.facts({"a": 1}).text) == {"event": EVENT, "a": 1}
    assert json.loads(samples.facts(b" \n{ } ").text) == {"event": EVENT}


@given(MEMBERS | st.none() | st.integers() | st.lists(st.integers(), max_size=3) | st.text())
def test_facts_hold_the_data_whole_or_by_member(data: Any) -> None:
    facts = samples.facts(msgspec.json.encode(data))

    members = cast(dict[str, Any], data if isinstance(data, dict) else {"event": None})
    expected: dict[str, Any] = {"event": EVENT, **members}
    if "event" in members:
        expected = {"event": {**EVENT, "data": data}}
    assert facts.value == expected
    assert json.loads(facts.text) == expected


def test_an_escaped_member_event_is_a_clash_too() -> None:
    value = samples.facts(b'{"\\u0065vent":{"type":"forged"},"a":1}').value

    assert value["event"]["type"] == "payment.completed"
    assert value["event"]["data"] == {"event": {"type": "forged"}, "a": 1}


def test_the_moment_of_an_event_is_that_of_its_id() -> None:
    condition = {"<": [{"var": "event.received_at"}, "2024-12-01"]}

    for engine in port.ENGINES:
        assert samples.evaluated(condition, {}, engine) is port.MATCHED
