"""schemas/events describes what the api writes: every payload of an order's life validates."""

import json
import re
from pathlib import Path
from typing import Any, cast

import pytest

from tests.api import samples
from tests.fixtures import client, stack

FOLDER = Path(__file__).resolve().parents[2] / "schemas" / "events"
TYPES = ("order.created", "order.paid", "order.cancelled", "order.refunded")
KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "array": (list,),
    "object": (dict,),
}
KNOWN = {
    "$schema", "$id", "title", "description", "type", "required", "properties", "minLength",
    "additionalProperties", "maxLength", "pattern", "minimum", "maximum", "maxItems", "items",
    "const", "format",
}  # fmt: skip


def _faults(schema: dict[str, Any], value: Any, place: str = "") -> list[str]:
    """Validate the part of JSON Schema that our files use; a keyword outside it fails the test."""
    assert set(schema) <= KNOWN
    if "const" in schema:
        return [] if value == schema["const"] else [f"{place} is not {schema['const']!r}"]
    if not isinstance(value, KINDS[schema["type"]]) or isinstance(value, bool):
        return [f"{place} is not {schema['type']}"]
    return [*_limits(schema, value, place), *_parts(schema, value, place)]


def _limits(schema: dict[str, Any], value: Any, place: str) -> list[str]:
    if schema["type"] == "object":
        return []
    size: int = value if schema["type"] == "integer" else len(value)
    found = [
        f"{place} {name}" for name in ("minLength", "minimum") if size < schema.get(name, size)
    ]
    for name in ("maxLength", "maximum", "maxItems"):
        found += [f"{place} {name}"] if size > schema.get(name, size) else []
    if "pattern" in schema and not re.search(schema["pattern"], str(value)):
        found.append(f"{place} pattern")
    return found


def _parts(schema: dict[str, Any], value: Any, place: str) -> list[str]:
    found = [f"{place}/{name} missing" for name in schema.get("required", []) if name not in value]
    for name, child in schema.get("properties", {}).items():
        found += _faults(child, value[name], f"{place}/{name}") if name in value else []
    if "items" in schema:
        items = cast("list[Any]", value)
        found += [fault for item in items for fault in _faults(schema["items"], item, f"{place}/-")]
    return found


@pytest.fixture
def schemas() -> dict[str, dict[str, Any]]:
    return {name: json.loads((FOLDER / f"{name}.v1.json").read_text()) for name in TYPES}


def test_every_order_event_has_its_schema_and_validates(
    system: stack.System, schemas: dict[str, dict[str, Any]]
) -> None:
    api = system.start("api").url
    for commands in (["pay", "refund"], ["cancel"]):
        order_id = samples.create_order(api, items=[{"sku": "a"}])
        for command in commands:
            assert client.call(api, "POST", f"/orders/{order_id}/{command}").status == 200
    rows = system.database.rows(
        "select event_type, aggregate_seq, payload, kafka_key from outbox order by id"
    )
    assert {row[0] for row in rows} == set(TYPES)
    for event_type, seq, payload, key in rows:
        value = json.loads(bytes(payload))
        assert _faults(schemas[event_type], value) == []
        assert (value["version"], value["order_id"]) == (seq, key)


@pytest.mark.parametrize("name", TYPES)
def test_a_wrong_payload_does_not_validate(schemas: dict[str, dict[str, Any]], name: str) -> None:
    assert _faults(schemas[name], {"order_id": 1, "amount": 0, "status": "lost"})
