"""How large a value a condition can build, beyond what its engine's budget sees: `[x, x]` costs two
operations however large x is, `cat` writes an element out before it charges for it, and datalogic's
`reduce` walks what a round gave without charging at all. Shapes that multiply are refused at save.

Every part of a condition has a rank: a scalar, something as large as the event's data at most, or
an array built of such. Nothing may be built of built arrays, so no value is larger than the number
of operations times the data, and each of its elements is no larger than the data.
"""

import enum
from typing import Any, cast

from shared.rules import port

LOOPS = frozenset({"map", "filter", "all", "some", "none", "reduce"})


class Rank(enum.IntEnum):
    """How large a value can be."""

    SCALAR = 0
    DATA = 1  # literals too: they are bounded by the size of the rule
    BUILT = 2


# Which arguments of an operator may be its result; the others are only looked at.
_CHOICES = {
    "and": slice(0, None),
    "or": slice(0, None),
    "??": slice(0, None),
    "?:": slice(1, None),
    "filter": slice(0, 1),
    "var": slice(1, None),
}
_BUILDERS = frozenset({"map", "merge", "missing", "missing_some"})
_IN_ARRAY = (
    "is an array that is made while the rule runs, inside another one: the whole could double with "
    "each level. An array or a `map` may give numbers, texts and values of the data"
)
_IN_REDUCE = (
    "must give a number, a text or true/false in each round, not an array or an object: use +, "
    'max, cat, a comparison, or `if` over these; {"+": [{"var": "current.amount"}]} is a number '
    "out of the data; use `some`, `all` or `filter` instead of collecting values"
)
_BEGINNING = "must be a number, a text, true, false or null: what `reduce` begins with"


def flaws(condition: Any) -> list[port.Flaw]:
    """Where a condition of sound structure could grow."""
    found: list[port.Flaw] = []
    _rank(condition, "", found)
    return found


def may_be_large(condition: Any) -> bool:
    """Whether a value can be larger than the event's data."""
    return _rank(condition, "", []) is Rank.BUILT


def _rank(node: Any, pointer: str, found: list[port.Flaw]) -> Rank:
    """The rank of a part. Recursion is bounded by the depth that was checked before."""
    if isinstance(node, list):
        entries = cast(list[Any], node)
        ranks = [_rank(entry, f"{pointer}/{n}", found) for n, entry in enumerate(entries)]
        for place, rank in enumerate(ranks):
            _refuse(rank is Rank.BUILT, f"{pointer}/{place}", _IN_ARRAY, found)
        computed = any(isinstance(entry, dict) for entry in entries)
        return Rank.BUILT if computed else Rank.DATA
    if not isinstance(node, dict):
        return Rank.SCALAR
    [(name, given)] = cast(dict[str, Any], node).items()
    below = f"{pointer}/{port.escape(name)}"
    operands, places = [given], [below]
    if isinstance(given, list):
        operands = cast(list[Any], given)
        places = [f"{below}/{place}" for place, _ in enumerate(operands)]
    ranks = [_rank(v, p, found) for v, p in zip(operands, places, strict=True)]
    if name == "map":
        _refuse(ranks[1] is Rank.BUILT, places[1], _IN_ARRAY, found)
    if name == "reduce":
        _refuse(not _is_scalar(operands[1]), places[1], _IN_REDUCE, found)
        _refuse(isinstance(operands[2], dict | list), places[2], _BEGINNING, found)
    return _rank_of_result(name, ranks)


def _rank_of_result(name: str, ranks: list[Rank]) -> Rank:
    if name in _BUILDERS:
        return Rank.BUILT
    if name == "if":
        results = ranks[1::2] + (ranks[-1:] if len(ranks) % 2 else [])
        return max(results)
    if name in _CHOICES:
        least = Rank.DATA if name in {"var", "filter"} else Rank.SCALAR
        return max([least, *ranks[_CHOICES[name]]])
    return Rank.SCALAR


def _is_scalar(node: Any) -> bool:
    """Whether the body of a reduce gives a scalar: its accumulator is one by induction."""
    if isinstance(node, list):
        return False
    if not isinstance(node, dict):
        return True
    [(name, given)] = cast(dict[str, Any], node).items()
    operands = cast(list[Any], given) if isinstance(given, list) else [given]
    if name == "var" and operands[0] != "accumulator":
        return False
    if name == "if":
        return all(map(_is_scalar, operands[1::2] + (operands[-1:] if len(operands) % 2 else [])))
    if name in _CHOICES:
        return name != "filter" and all(map(_is_scalar, operands[_CHOICES[name]]))
    return name not in _BUILDERS


def _refuse(is_flaw: bool, pointer: str, message: str, found: list[port.Flaw]) -> None:
    if is_flaw:
        found.append(port.Flaw(pointer=pointer, message=message))
