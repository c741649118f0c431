"""schemas/rules.schema.json is what the code makes, and an editor that follows it is right."""

from typing import Any

import jsonschema_rs
import pytest

from services.api.rules import schema
from shared import rules
from shared.rules import allowed, port

GOOD: list[Any] = [
    True,
    {">=": [{"var": "amount"}, 1000]},
    {"and": [{">": [{"var": "amount"}, 10_000]}, {"==": [{"var": "country"}, "BR"]}]},
    {"!": {"var": "blocked"}},
    {"some": [{"var": "items"}, {">": [{"var": "quantity"}, 1]}]},
]
BAD: list[Any] = [
    {"method": ["a", "upper"]},
    {"and": [{"log": 1}]},
    {"==": [1]},
    {"var": "a", "==": [1, 2]},
    {"<": [1, 2, 3, 4]},
    "always",
]


def _is_taken(condition: Any) -> bool:
    body = {
        "name": "n",
        "event_type": "t",
        "condition": condition,
        "action": {"type": "noop"},
    }
    return jsonschema_rs.validator_for(schema.document()).is_valid(body)


def test_written_schema_is_the_generated_one() -> None:
    assert schema.FILE.read_bytes() == schema.encode()


@pytest.mark.parametrize("condition", GOOD)
def test_what_the_api_takes_the_schema_takes(condition: Any) -> None:
    assert rules.check(condition, engine="datalogic", limits=port.Limits()) == []
    assert _is_taken(condition)


@pytest.mark.parametrize("condition", BAD)
def test_what_the_schema_refuses_the_api_refuses(condition: Any) -> None:
    assert not _is_taken(condition)
    assert rules.check(condition, engine="datalogic", limits=port.Limits()) != []


def test_every_operator_of_the_table_is_listed_with_its_engines() -> None:
    listed = {row.name: row.engines for row in schema.operators()}

    for engine in port.ENGINES:
        assert {name for name, engines in listed.items() if engine in engines} == set(
            allowed.OPERATORS[engine]
        )
