"""Which operators a condition may use, and the check of its structure: operators, arguments,
literals, depth and size. Every flaw is told, with the pointer of its node. Iterative: no input can
make it recurse.
"""

import difflib
import math
from collections.abc import Iterator
from typing import Any, cast

import msgspec

from shared.rules import growth, port

FLAWS_MAX = 20
NAME_CHARACTERS_MAX = 200
TEXT_CHARACTERS_MAX = 4_000
# Beyond this a number is not the same in every engine, nor in JSON documents of others (RFC 8259).
INTEGER_MAX = 2**53 - 1


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """How many arguments an operator takes; no arguments_max: as many as there are."""

    arguments_min: int
    arguments_max: int | None


def _takes(at_least: int, at_most: int | None) -> Operator:
    return Operator(arguments_min=at_least, arguments_max=at_most)


CLASSIC: dict[str, Operator] = {
    "var": _takes(1, 2),
    "missing": _takes(1, None),
    "missing_some": _takes(2, 2),
    "if": _takes(2, None),
    "?:": _takes(3, 3),
    "==": _takes(2, 2),
    "===": _takes(2, 2),
    "!=": _takes(2, 2),
    "!==": _takes(2, 2),
    "!": _takes(1, 1),
    "!!": _takes(1, 1),
    "or": _takes(1, None),
    "and": _takes(1, None),
    ">": _takes(2, 2),
    ">=": _takes(2, 2),
    "<": _takes(2, 3),
    "<=": _takes(2, 3),
    "max": _takes(1, None),
    "min": _takes(1, None),
    "+": _takes(1, None),
    "-": _takes(1, 2),
    "*": _takes(1, None),
    "/": _takes(2, 2),
    "%": _takes(2, 2),
    "map": _takes(2, 2),
    "reduce": _takes(3, 3),
    "filter": _takes(2, 2),
    "all": _takes(2, 2),
    "none": _takes(2, 2),
    "some": _takes(2, 2),
    "merge": _takes(1, None),
    "in": _takes(2, 2),
    "cat": _takes(1, None),
    "substr": _takes(2, 3),
}
_MORE: dict[str, Operator] = {
    "starts_with": _takes(2, 2),
    "ends_with": _takes(2, 2),
    "upper": _takes(1, 1),
    "lower": _takes(1, 1),
    "trim": _takes(1, 1),
    "length": _takes(1, 1),
    "abs": _takes(1, 1),
    "ceil": _takes(1, 1),
    "floor": _takes(1, 1),
    "exists": _takes(1, None),
    "??": _takes(1, None),
}
OPERATORS: dict[port.EngineName, dict[str, Operator]] = {
    "datalogic": {**CLASSIC, **_MORE},
    "json-logic-qubit": CLASSIC,
}
_WHY_NOT = {
    **dict.fromkeys(
        ("now", "datetime", "timestamp", "parse_date", "format_date", "date_diff"),
        "there is no clock, so that a replay gives the same answer: "
        'compare {"var": "event.received_at"} with a text in RFC 3339',
    ),
    **dict.fromkeys(("method", "log", "throw", "try"), "a rule reads data and calls nothing"),
}


class Place(msgspec.Struct, frozen=True, gc=False):
    """A value within the condition, on the walk's stack."""

    value: Any
    pointer: str
    depth: int


class Walk:
    """One check in progress: what was counted and what is wrong."""

    def __init__(self, engine: port.EngineName, limits: port.Limits) -> None:
        self.operators = OPERATORS[engine]
        self.engine = engine
        self.limits = limits
        self.nodes = 0
        self.flaws: list[port.Flaw] = []

    def refuse(self, pointer: str, message: str) -> None:
        if len(self.flaws) < FLAWS_MAX:
            self.flaws.append(port.Flaw(pointer=pointer, message=message))


def arguments(given: Any) -> list[Any]:
    """The arguments of an operator: `{"!": x}` is short for `{"!": [x]}`."""
    return cast(list[Any], given) if isinstance(given, list) else [given]


def check(condition: Any, *, engine: port.EngineName, limits: port.Limits) -> list[port.Flaw]:
    """Everything that is wrong with the structure of a condition, at most FLAWS_MAX flaws."""
    if isinstance(condition, bool):
        return []
    if not isinstance(condition, dict):
        message = f"must be an operator such as {_EXAMPLE}, or true for always; this is constant"
        return [port.Flaw(pointer="", message=message)]
    walk = Walk(engine, limits)
    _check_nodes(walk, condition)
    if not walk.flaws:
        _check_bytes(walk, condition)
    return walk.flaws or growth.flaws(condition)[:FLAWS_MAX]


_EXAMPLE = '{"==": [{"var": "country"}, "BR"]}'


def _check_nodes(walk: Walk, condition: Any) -> None:
    limits = walk.limits
    waiting = [Place(condition, "", 1)]
    while waiting:
        place = waiting.pop()
        walk.nodes += 1
        if walk.nodes > limits.nodes_max:
            walk.refuse("", f"has more than {limits.nodes_max} nodes: split the rule")
            return
        if place.depth > limits.depth_max:
            walk.refuse(place.pointer, f"is nested deeper than {limits.depth_max} levels")
            continue
        inner = list(_inner(walk, place, limits.nodes_max))
        waiting.extend(reversed(inner))


def _inner(walk: Walk, place: Place, count_max: int) -> Iterator[Place]:
    """Check one node and give its children; never more than could still be taken."""
    match place.value:
        case dict():
            yield from _operator(walk, place, count_max)
        case list():
            entries = cast(list[Any], place.value)
            for position, value in enumerate(entries[: count_max + 1]):
                yield Place(value, f"{place.pointer}/{position}", place.depth + 1)
        case literal:
            message = flaw_of_literal(literal)
            if message is not None:
                walk.refuse(place.pointer, message)


def _operator(walk: Walk, place: Place, count_max: int) -> Iterator[Place]:
    if len(place.value) != 1:
        walk.refuse(
            place.pointer,
            f"has {len(place.value)} members; an operator is an object with exactly one, "
            f"such as {_EXAMPLE}",
        )
        return
    [(name, given)] = place.value.items()
    operator = walk.operators.get(name)
    if operator is None:
        walk.refuse(place.pointer, _unknown(name, walk))
        return
    values = arguments(given)
    message = _flaw_of_arity(name, operator, len(values)) or _flaw_of_var(name, values)
    if message is not None:
        walk.refuse(place.pointer, message)
    below = f"{place.pointer}/{port.escape(name)}"
    for position, value in enumerate(values[: count_max + 1]):
        pointer = f"{below}/{position}" if isinstance(given, list) else below
        yield Place(value, pointer, place.depth + 1)


def _unknown(name: str, walk: Walk) -> str:
    shown = name[:40]
    reason = _WHY_NOT.get(name)
    if reason is None and walk.engine != port.ENGINE_DEFAULT and name in _MORE:
        reason = f"only the engine {port.ENGINE_DEFAULT} has it"
    near = difflib.get_close_matches(shown, walk.operators, n=1)
    if reason is None and near:
        reason = f"did you mean `{near[0]}`?"
    told = "" if reason is None else f" ({reason})"
    return f"`{shown}` is not an operator of rules{told}; allowed: {' '.join(walk.operators)}"


def _flaw_of_arity(name: str, operator: Operator, count: int) -> str | None:
    at_least, at_most = operator.arguments_min, operator.arguments_max
    if count >= at_least and (at_most is None or count <= at_most):
        return None
    if at_most is None:
        wanted = f"at least {at_least}"
    else:
        wanted = str(at_least) if at_least == at_most else f"{at_least} to {at_most}"
    return f"takes {wanted} arguments in `{name}`, not {count}"


def _flaw_of_var(name: str, values: list[Any]) -> str | None:
    """A variable is named by text or a position; a computed name is an operator's result."""
    if name != "var" or not values or isinstance(values[0], dict):
        return None
    given = values[0]
    if isinstance(given, bool) or not isinstance(given, str | int):
        return '`var` takes the name of a variable as text: {"var": "customer.country"}'
    if isinstance(given, str) and len(given) > NAME_CHARACTERS_MAX:
        return f"names a variable with {len(given)} characters; at most {NAME_CHARACTERS_MAX}"
    return None


def flaw_of_literal(value: Any) -> str | None:
    """What is wrong with a JSON scalar: it may not change on its way to Postgres and an engine."""
    match value:
        case None | bool():
            return None
        case str():
            return _flaw_of_text(value)
        case int():
            return None if abs(value) <= INTEGER_MAX else _INEXACT
        case float():
            return _flaw_of_float(value)
        case _:
            return f"is a {type(value).__name__}, which JSON has not"


_INEXACT = f"is beyond {INTEGER_MAX}, where numbers are not exact: compare as text"


def _flaw_of_float(value: float) -> str | None:
    if not math.isfinite(value):
        return "is not a finite number"
    if value.is_integer() and abs(value) > INTEGER_MAX:
        return _INEXACT
    if value == 0 and math.copysign(1, value) < 0:
        return "is a negative zero: write 0"
    return None


def _flaw_of_text(value: str) -> str | None:
    if len(value) > TEXT_CHARACTERS_MAX:
        return f"is a text of {len(value)} characters; at most {TEXT_CHARACTERS_MAX}"
    if "\0" in value:
        return "contains the character U+0000, which cannot be stored"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "contains half of a surrogate pair, which is no character"
    return None


def _check_bytes(walk: Walk, condition: Any) -> None:
    size = len(msgspec.json.encode(condition))
    if size > walk.limits.bytes_max:
        walk.refuse("", f"has {size} bytes of JSON; at most {walk.limits.bytes_max}")
