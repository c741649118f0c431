"""What a JSON Schema can cost, found by walking it once; and what of it is not taken at all. Pure.

A schema is data of a user, and checks run in the api's one event loop: so every schema has a bound
in time that is known before it is used. The units are about 25 ns each, measured at what is worst.
"""

import re
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import unquote

import msgspec

from services.api import guards, problems

DEPTH_MAX = 32  # of the schema as it is written
HEIGHT_MAX = 64  # the same with every reference put in its place
VALUES_MAX = 2000  # of the schema as it is written: members, elements
PLACES_MAX = 2000  # schemas, with every reference put in its place
PATTERNS_MAX = 64

_POINTER_CHARACTERS_MAX = 1000
_NUMBER = 10  # comparing numbers is exact: up to 0.8 us for 1e300
_FRACTION = 400  # multipleOf of a fraction calculates exactly: up to 20 us for 1e300
_CONTAINER = 12  # comparing with an object or array in enum or const, per value in it
_UNEVALUATED = 4  # unevaluated... evaluates everything beside it again, at each level
_UNIQUE = 8
_STATES_PER_UNIT = 4  # 5 us per byte were measured with 900 states

# Applied to the same value, to members or elements once each, to any number of them; see Cost.
_SAME_LISTS = ("allOf", "anyOf", "oneOf")
_SAME_ONES = ("not", "if", "then", "else")
_SAME_MAPS = ("dependentSchemas", "dependencies")
_ONCE_MAPS = ("properties",)
_ONCE_LISTS = ("prefixItems", "items")  # a list in `items` is what prefixItems was before 2020-12
_EACH_ONES = (
    "items",
    "additionalItems",
    "unevaluatedItems",
    "contains",
    "additionalProperties",
    "unevaluatedProperties",
    "propertyNames",
)
_EACH_MAPS = ("patternProperties",)
_DEFINITIONS = ("$defs", "definitions")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "const")
_REFERENCES = ("$dynamicRef", "$recursiveRef")

_ESCAPE = re.compile(r"\\(?:[pPxuU]\{[^}]*\}|.)", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]", re.DOTALL)
_INDEX = re.compile(r"0|[1-9][0-9]{0,5}")
_TIMES = re.compile(r"\{(\d{1,6})(?:,(\d{0,6}))?\}")


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one check of a value costs: once, for each value in the data, for each byte of it.

    copies: an error copies the value that it is about; this bounds them, per byte of the data.
    """

    places: int = 1
    height: int = 1
    once: int = 1
    each: int = 0
    scans: int = 0
    copies: int = 1


class Walk:
    """The flaws and the cost of one schema, and its regular expressions by pointer."""

    def __init__(self, schema: Any) -> None:
        self.flaws: list[problems.Fault] = []
        self.patterns: dict[str, str] = {}
        self.cost = Cost()
        self._root = schema
        self._known: dict[str, Cost] = {}
        self._open: set[str] = set()
        self._count(schema)
        if not self.flaws:
            self.cost = self._visit(schema, "", 1)
            self._check_whole()

    def _wrong(self, pointer: str, detail: str) -> None:
        self.flaws.append(problems.Fault(pointer=pointer[:_POINTER_CHARACTERS_MAX], detail=detail))

    def _count(self, schema: Any) -> None:
        """How large it is as it is written; a loop, because anybody may have written it."""
        waiting: list[tuple[Any, int]] = [(schema, 1)]
        count = 0
        while waiting:
            value, depth = waiting.pop()
            count += 1
            if count > VALUES_MAX or depth > DEPTH_MAX:
                self._wrong("", f"may have {VALUES_MAX} values, nested {DEPTH_MAX} deep")
                return
            if isinstance(value, dict):
                members = cast("dict[str, Any]", value)
                waiting += [(child, depth + 1) for child in members.values()]
            elif isinstance(value, list):
                waiting += [(child, depth + 1) for child in cast("list[Any]", value)]

    def _check_whole(self) -> None:
        if self.cost.places > PLACES_MAX:
            self._wrong("", f"is more than {PLACES_MAX} schemas once its references are followed")
        if self.cost.height > HEIGHT_MAX and not self.flaws:
            self._wrong("", f"is nested deeper than {HEIGHT_MAX} once its references are followed")
        if len(self.patterns) > PATTERNS_MAX:
            self._wrong("", f"has {len(self.patterns)} regular expressions; {PATTERNS_MAX} may be")

    def _visit(self, schema: Any, pointer: str, depth: int) -> Cost:
        if not isinstance(schema, dict):
            return Cost()
        known = self._known.get(pointer)
        if known is not None:
            return known
        if depth > HEIGHT_MAX:
            self._wrong(pointer, f"is deeper than {HEIGHT_MAX} once references are followed")
            return Cost()
        members = cast("dict[str, Any]", schema)
        self._open.add(pointer)
        self._refuse_identity(members, pointer)
        own = self._own_cost(members, pointer)
        for name, child in _children(members, maps=_DEFINITIONS):
            self._visit(child, pointer + name, depth + 1)
        same = [self._visit(child, pointer + name, depth + 1) for name, child in _in_place(members)]
        same += self._follow(members, pointer, depth)
        once = [self._visit(child, pointer + name, depth + 1) for name, child in _single(members)]
        each = [self._visit(child, pointer + name, depth + 1) for name, child in _repeated(members)]
        self._open.discard(pointer)
        again = any(name.startswith("unevaluated") for name in members)
        cost = _together(own, same, once, each, factor=_UNEVALUATED if again else 1)
        self._known[pointer] = cost
        return cost

    def _refuse_identity(self, members: dict[str, Any], pointer: str) -> None:
        if pointer:
            for name in ("$id", "$schema"):
                if name in members:
                    self._wrong(f"{pointer}/{name}", "may stand at the top of the schema only")
        for name in _REFERENCES:
            if name in members:
                self._wrong(f"{pointer}/{name}", "is not taken: use $ref")

    def _follow(self, members: dict[str, Any], pointer: str, depth: int) -> list[Cost]:
        reference = members.get("$ref")
        if not isinstance(reference, str):
            return []
        where = f"{pointer}/$ref"
        if reference != "#" and not reference.startswith("#/"):
            self._wrong(where, "must point into this schema, e.g. #/$defs/name: nothing is fetched")
            return []
        found, target, canonical = _resolve(self._root, reference[1:])
        if not found:
            self._wrong(where, "points at nothing in this schema")
        elif canonical in self._open:
            self._wrong(where, "leads back to itself: recursive schemas are not taken")
        else:
            return [self._visit(target, canonical, depth + 1)]
        return []

    def _own_cost(self, members: dict[str, Any], pointer: str) -> Cost:
        names = len(members) + _length(members.get("required"))
        names += sum(_length(value) for value in _values_of(members.get("dependentRequired")))
        once = names + _length(members.get("properties")) + _comparing(members)
        factor = members.get("multipleOf")
        if isinstance(factor, float) and not factor.is_integer():
            once += _FRACTION
        once += _NUMBER * sum(name in members for name in _BOUNDS)
        scans = int("format" in members)
        scans += 4 * ("contentEncoding" in members or "contentMediaType" in members)
        scans += _UNIQUE * (members.get("uniqueItems") is True)
        each = 4 * ("propertyNames" in members) + 8 * ("contains" in members)
        for where, pattern in _patterns(members):
            self.patterns[pointer + where] = pattern
            scans += 1 + states(pattern) // _STATES_PER_UNIT
            each += 4
        return Cost(once=once, each=each, scans=scans, copies=names)


def states(pattern: str) -> int:
    """About how many states a regular expression has once its {n,m} are written out."""
    text = _CLASS.sub("c", _ESCAPE.sub("e", pattern))
    totals, last, place = [0], 0, 0
    while place < len(text):
        times = _TIMES.match(text, place)
        if times is not None:
            totals[-1] += last * (max(int(times[2] or times[1]), 1) - 1)
            place = times.end()
            continue
        if text[place] == "(":
            totals.append(0)
        elif text[place] == ")" and len(totals) > 1:
            last = totals.pop()
            totals[-1] += last
        else:
            last = 1
            totals[-1] += 1
        place += 1
    return sum(totals)


def _together(
    own: Cost, same: list[Cost], once: list[Cost], each: list[Cost], *, factor: int
) -> Cost:
    """Members and elements share the bytes of the value: of those that differ the worst counts."""
    return Cost(
        places=1 + factor * sum(cost.places for cost in (*same, *once, *each)),
        height=1 + max((cost.height for cost in (*same, *once, *each)), default=0),
        once=own.once + factor * sum(cost.once for cost in (*same, *once)),
        each=own.each
        + factor * sum(cost.each for cost in (*same, *once))
        + factor * sum(cost.once + cost.each for cost in each),
        scans=own.scans
        + factor * sum(cost.scans for cost in (*same, *each))
        + max((cost.scans for cost in once), default=0),
        copies=own.copies
        + factor * sum(cost.copies for cost in (*same, *each))
        + max((cost.copies for cost in once), default=0),
    )


def _in_place(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return _children(members, ones=_SAME_ONES, lists=_SAME_LISTS, maps=_SAME_MAPS)


def _single(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return _children(members, lists=_ONCE_LISTS, maps=_ONCE_MAPS)


def _repeated(members: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    return _children(members, ones=_EACH_ONES, maps=_EACH_MAPS)


def _children(
    members: dict[str, Any],
    *,
    ones: tuple[str, ...] = (),
    lists: tuple[str, ...] = (),
    maps: tuple[str, ...] = (),
) -> Iterator[tuple[str, Any]]:
    """The schemas below one schema, with the rest of their pointers."""
    for name, value in members.items():
        if name in ones and isinstance(value, (dict, bool)):
            yield f"/{name}", value
        elif name in lists and isinstance(value, list):
            for index, child in enumerate(cast("list[Any]", value)):
                yield f"/{name}/{index}", child
        elif name in maps and isinstance(value, dict):
            for key, child in cast("dict[str, Any]", value).items():
                yield f"/{name}/{guards.escape(key)}", child


def _resolve(root: Any, fragment: str) -> tuple[bool, Any, str]:
    """What a JSON pointer names, and the pointer in the form that the walk uses."""
    value, canonical = root, ""
    for part in unquote(fragment).split("/")[1:]:
        step = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and step in value:
            value = cast("dict[str, Any]", value)[step]
        elif (
            isinstance(value, list)
            and step.isdecimal()
            and int(step) < len(cast("list[Any]", value))
        ):
            value = cast("list[Any]", value)[int(step)]
            step = str(int(step))
        else:
            return False, None, ""
        canonical += f"/{guards.escape(step)}"
    return True, value, canonical


def _patterns(members: dict[str, Any]) -> Iterator[tuple[str, str]]:
    pattern = members.get("pattern")
    if isinstance(pattern, str):
        yield "/pattern", pattern
    named = members.get("patternProperties")
    for name in cast("dict[str, Any]", named) if isinstance(named, dict) else ():
        yield f"/patternProperties/{guards.escape(name)}", name


def _comparing(members: dict[str, Any]) -> int:
    """Texts and numbers of an enum are looked up; objects and arrays are compared one by one."""
    options: list[Any] = [members["const"]] if "const" in members else []
    if isinstance(members.get("enum"), list):
        options += members["enum"]
    return sum(_CONTAINER * _size(value) for value in options if isinstance(value, (dict, list)))


def _values_of(value: Any) -> list[Any]:
    return list(cast("dict[str, Any]", value).values()) if isinstance(value, dict) else []


def _length(value: Any) -> int:
    return len(cast("list[Any]", value)) if isinstance(value, (list, dict)) else 0


def _size(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + sum(_size(child) for child in cast("dict[str, Any]", value).values())
    if isinstance(value, list):
        return 1 + sum(_size(child) for child in cast("list[Any]", value))
    return 1
