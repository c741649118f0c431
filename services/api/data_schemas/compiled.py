"""JSON Schema of an event type's data: what is taken at save, and the check of an event. Pure.

The engine is jsonschema-rs: linear regular expressions, no network. walk bounds the rest.
`format` is asserted (people who write date-time mean it); a format that is not known says nothing.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, cast

import jsonschema_rs
import msgspec

from services.api import guards, problems
from services.api.data_schemas import walk as schema_walk

BYTES_MAX = 65_536
ERRORS_MAX = 20

_UNITS_MAX = 4_000_000  # 100 ms of the event loop, for the worst data that was found
_COPIED_BYTES_MAX = 4_000_000  # 50 ms: the engine copies the value that an error is about
_ERRORS_MADE_MAX = 30_000  # 100 ms: it makes all errors before it gives the first
_TEXT_CHARACTERS_MAX = 300
_POINTER_CHARACTERS_MAX = 1000
_PATTERN_BYTES_MAX = 512 * 1024  # compiled; {1000}{1000} is refused at once
_CACHE_BYTES_MAX = 1024 * 1024
_NAMED_ONLY = "the value"  # stands in messages for what was sent

_DRAFT_DEFAULT = "https://json-schema.org/draft/2020-12/schema"
_DRAFTS: dict[str, Any] = {
    _DRAFT_DEFAULT: jsonschema_rs.Draft202012Validator,
    "https://json-schema.org/draft/2019-09/schema": jsonschema_rs.Draft201909Validator,
    "http://json-schema.org/draft-07/schema": jsonschema_rs.Draft7Validator,
    "http://json-schema.org/draft-06/schema": jsonschema_rs.Draft6Validator,
    "http://json-schema.org/draft-04/schema": jsonschema_rs.Draft4Validator,
}
_PATTERNS = jsonschema_rs.RegexOptions(
    size_limit=_PATTERN_BYTES_MAX, dfa_size_limit=_CACHE_BYTES_MAX
)
_UNEXPECTED = ("additionalProperties", "unevaluatedProperties")
_decode = msgspec.json.Decoder().decode


class DataSchema:
    """A compiled schema that `check` takes; may be asked about any data."""

    def __init__(self, schema: Any) -> None:
        walk = schema_walk.Walk(schema)
        if walk.flaws:
            message = f"not a schema that is taken: {walk.flaws[0].pointer} {walk.flaws[0].detail}"
            raise ValueError(message)
        self._cost = walk.cost
        self._validator = _compile(schema)

    def faults(self, data: bytes, place: str) -> list[problems.Fault]:
        """What is wrong with an event's data (JSON that the guards let through), place before each
        pointer. Bounded in time: data that is too large for its schema is refused unseen.
        """
        cost, size = self._cost, len(data)
        if not self._affordable(data):
            return [_fault(place, "is too large to be checked against its type's schema")]
        value = _decode(data)
        if self._validator.is_valid(value):
            return []
        errors = cost.once + cost.each * _count_values(data)
        if cost.copies * size > _COPIED_BYTES_MAX or errors > _ERRORS_MADE_MAX:
            return [_fault(place, "breaks its type's schema; it is too large to say where")]
        found = _explain(self._validator.iter_errors(value), place)
        return list(itertools.islice(found, ERRORS_MAX))

    def _affordable(self, data: bytes) -> bool:
        cost, size = self._cost, len(data)
        # No value is without a byte of its own: they are counted only if that is not enough.
        if cost.once + (cost.each + cost.scans) * size <= _UNITS_MAX:
            return True
        return cost.once + cost.each * _count_values(data) + cost.scans * size <= _UNITS_MAX


def check(schema: Any) -> list[problems.Fault]:
    """Everything that is wrong with a schema (a decoded JSON value); pointers begin at it."""
    if len(msgspec.json.encode(schema)) > BYTES_MAX:
        return [_fault("", f"may have {BYTES_MAX} bytes")]
    if not isinstance(schema, (dict, bool)):
        return [_fault("", "must be a JSON Schema: an object, true or false")]
    draft = _draft_of(schema)
    if draft is None:
        return [_fault("/$schema", f"is not known here; known: {', '.join(_DRAFTS)}")]
    walk = schema_walk.Walk(schema)
    if any(flaw.pointer == "" for flaw in walk.flaws):
        return walk.flaws[:ERRORS_MAX]  # too large to look at it closer
    flaws = [*walk.flaws, *_meta_flaws(schema, draft), *_pattern_flaws(walk.patterns)]
    if not flaws:
        try:
            _compile(schema)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
            flaws.append(_fault("", f"cannot be compiled: {str(error).partition('\n')[0]}"))
    return flaws[:ERRORS_MAX]


def _compile(schema: Any) -> Any:
    draft = _draft_of(schema)
    assert draft is not None  # check refused any other
    return _DRAFTS[draft](
        schema,
        pattern_options=_PATTERNS,
        validate_formats=True,
        offline=True,
        mask=_NAMED_ONLY,
    )


def _draft_of(schema: Any) -> str | None:
    if not isinstance(schema, dict) or "$schema" not in schema:
        return _DRAFT_DEFAULT
    named = cast("dict[str, Any]", schema)["$schema"]
    draft = named.removesuffix("#") if isinstance(named, str) else ""
    return draft if draft in _DRAFTS else None


def _meta_flaws(schema: Any, draft: str) -> list[problems.Fault]:
    """What the draft's own schema says of it, each place once."""
    suffix = "" if "draft/20" in draft else "#"
    meta = _DRAFTS[draft]({"$ref": draft + suffix}, offline=True, mask=_NAMED_ONLY)
    faults = _explain(meta.iter_errors(schema), "")
    found = {(fault.pointer, fault.detail): fault for fault in faults}
    return list(found.values())


def _pattern_flaws(patterns: dict[str, str]) -> list[problems.Fault]:
    flaws: list[problems.Fault] = []
    for pointer, pattern in list(patterns.items())[: schema_walk.PATTERNS_MAX]:
        try:
            jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=_PATTERNS)
        except (jsonschema_rs.ValidationError, ValueError):
            flaws.append(
                _fault(
                    pointer,
                    "is not a regular expression that runs in linear time: no look-around, no "
                    "back-references, and counts such as {1,100} small",
                )
            )
    return flaws


def _explain(errors: Iterable[Any], place: str) -> Iterator[problems.Fault]:
    for error in errors:
        where = place + "".join(f"/{_step(step)}" for step in error.instance_path)
        kind: Any = error.kind
        if kind.name == "required":
            yield _fault(f"{where}/{_step(kind.property)}", "is required")
        elif kind.name in _UNEXPECTED:
            for name in kind.unexpected:
                yield _fault(f"{where}/{_step(name)}", "is not a member that the schema has")
        else:
            yield _fault(where, error.message)


def _count_values(data: bytes) -> int:
    """At most so many values, names included, are in a JSON text."""
    return 1 + data.count(b",") + data.count(b":") + data.count(b"[") + data.count(b"{")


def _step(step: str | int) -> str:
    return guards.escape(str(step)[:_TEXT_CHARACTERS_MAX])


def _fault(pointer: str, detail: str) -> problems.Fault:
    if len(detail) > _TEXT_CHARACTERS_MAX:
        detail = f"{detail[:_TEXT_CHARACTERS_MAX]}..."
    return problems.Fault(pointer=pointer[:_POINTER_CHARACTERS_MAX], detail=detail)
