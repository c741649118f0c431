"""schemas/rules.schema.json: a rule as an editor can check and complete it while it is typed.

Made from the table of operators, by `python -m services.api openapi` beside the OpenAPI document.
What it cannot say (budget, depth, growth, templates) the api says when the rule is sent.
"""

from pathlib import Path
from typing import Any

import msgspec
from litestar import get
from litestar.types import ControllerRouterHandler

from services.api.rules import bodies
from shared.rules import allowed, port

FILE = Path(__file__).resolve().parents[3] / "schemas" / "rules.schema.json"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_VALUE = {"$ref": "#/$defs/value"}


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One operator: how many arguments it takes (no most: any number), and who has it."""

    name: str
    arguments_min: int
    arguments_max: int | None
    engines: list[port.EngineName]


class Operators(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a condition may be made of."""

    operators: list[OperatorRow]


@get("/rules/operators", tags=["rules"], summary="What a condition may be made of, for editors")
async def list_operators() -> Operators:
    return Operators(operators=operators())


@get("/rules/schema", tags=["rules"], summary="The JSON Schema of a rule, for editors")
async def get_schema() -> dict[str, Any]:
    return document()


ROUTES: tuple[ControllerRouterHandler, ...] = (list_operators, get_schema)


def operators() -> list[OperatorRow]:
    """In the order of the table; the classic ones, which both engines have, come first."""
    return [
        OperatorRow(
            name=name,
            arguments_min=operator.arguments_min,
            arguments_max=operator.arguments_max,
            engines=[engine for engine in port.ENGINES if name in allowed.OPERATORS[engine]],
        )
        for name, operator in allowed.OPERATORS[port.ENGINE_DEFAULT].items()
    ]


def document() -> dict[str, Any]:
    """The schema of what POST /rules takes."""
    [reference], components = msgspec.json.schema_components(
        [bodies.RuleBody], ref_template="#/$defs/{name}"
    )
    rule = components["RuleBody"]
    rule["properties"]["condition"] = {
        "description": "When the rule applies: an operator, or true for always.",
        "anyOf": [{"type": "boolean"}, {"$ref": "#/$defs/operator"}],
    }
    rule["additionalProperties"] = False
    scalar = {"type": ["null", "boolean", "number", "string"]}
    array = {"type": "array", "items": _VALUE}
    return {
        "$schema": _DIALECT,
        "title": "A rule of Oncely",
        **reference,
        "$defs": {
            **components,
            "operator": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1,
                "additionalProperties": False,
                "properties": {row.name: _arguments(row) for row in operators()},
            },
            "value": {"anyOf": [scalar, array, {"$ref": "#/$defs/operator"}]},
        },
    }


def encode() -> bytes:
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def _arguments(row: OperatorRow) -> dict[str, Any]:
    several: dict[str, Any] = {"type": "array", "items": _VALUE, "minItems": row.arguments_min}
    if row.arguments_max is not None:
        several["maxItems"] = row.arguments_max
    only = "" if len(row.engines) > 1 else f" Only {row.engines[0]} has it."
    described = {"description": f"`{row.name}`.{only}"}
    if row.arguments_min > 1:
        return several | described
    # `{"!": x}` is short for `{"!": [x]}`.
    single = {"type": ["null", "boolean", "number", "string"]}
    return described | {"anyOf": [several, single, {"$ref": "#/$defs/operator"}]}
