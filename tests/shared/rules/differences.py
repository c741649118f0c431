"""Where the two engines differ: one row for each class, with an example that a test runs, and which
nodes belong to it. The table in shared/rules/README.md is written from here:
`python -m tests.shared.rules.differences`.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import msgspec

from tests.shared.rules import culprits

README = Path(__file__).resolve().parents[3] / "shared" / "rules" / "README.md"
HEADING = "## Where the two engines differ"

type Covers = Callable[[culprits.Culprit], bool]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One class of differences; `official` is what JsonLogic in JavaScript gives (2.0.5)."""

    name: str
    rule: Any
    data: Any = None
    datalogic: Any
    qubit: Any
    official: Any
    covers: Covers


def _kinds(culprit: culprits.Culprit) -> set[str]:
    return {kind(operand) for operand in culprit.operands}


def kind(value: Any) -> str:
    """The kind of a value, by which comparisons and sums go."""
    if value == "":
        return "empty text"
    return _KINDS[type(value)]


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "bool",
    int: "number",
    float: "number",
    str: "text",
    list: "array",
    dict: "object",
}
_EQUAL = {"==", "!="}
_ORDER = {"<", "<=", ">", ">="}
_SUMS = {"+", "-", "*", "/", "%"}
_LOOPS = {"map", "filter", "all", "some", "none", "reduce"}
_NAMED = {"var", "missing", "missing_some"}
_TEXTS = {"text", "empty text"}
_EXACT = 2**53


def _is(operators: set[str], *wanted: str) -> Covers:
    """Nodes of these operators of which an operand is of one of these kinds."""
    return lambda c: c.operator in operators and bool(_kinds(c) & set(wanted))


def _mixes(operators: set[str], one: set[str], other: set[str]) -> Covers:
    return lambda c: c.operator in operators and bool(_kinds(c) & one) and bool(_kinds(c) & other)


def _names(culprit: culprits.Culprit) -> list[Any]:
    """The names that a node asks the data for."""
    operands = culprit.operands
    match culprit.operator:
        case "var":
            return operands[:1]
        case "missing":
            return _listed(operands[0]) if isinstance(operands[0], list) else operands
        case "missing_some":
            return _listed(operands[1])
        case _:
            return []


def _listed(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else [value]


def _parts(culprit: culprits.Culprit) -> list[str]:
    return [part for name in _names(culprit) if isinstance(name, str) for part in name.split(".")]


def _is_position(part: str) -> bool:
    try:
        int(part)
    except ValueError:
        return False
    return True


def _names_a_position(culprit: culprits.Culprit) -> bool:
    return culprit.operator in _NAMED and any(map(_is_position, _parts(culprit)))


def _names_no_text(culprit: culprits.Culprit) -> bool:
    return culprit.operator in _NAMED and any(not isinstance(n, str) for n in _names(culprit))


def _names_an_empty_member(culprit: culprits.Culprit) -> bool:
    """A name whose value is there, and is null or an empty text."""
    if culprit.operator not in {"missing", "missing_some"}:
        return False
    for name in _names(culprit):
        value = culprit.data
        for part in name.split(".") if isinstance(name, str) else []:
            members = cast(dict[str, Any], value) if isinstance(value, dict) else {}
            value = members.get(part, 0)
        if value is None or value == "":
            return True
    return False


def _counts_without_a_number(culprit: culprits.Culprit) -> bool:
    kinds = [kind(operand) for operand in culprit.operands]
    return culprit.operator == "missing_some" and kinds != ["number", "array"]


def _numbers(culprit: culprits.Culprit) -> list[int | float]:
    both = [culprit.datalogic, culprit.qubit, *culprit.operands]
    return [v for v in both if isinstance(v, int | float) and not isinstance(v, bool)]


def _is_inexact(culprit: culprits.Culprit) -> bool:
    operators = _SUMS | _EQUAL | _ORDER | {"max", "min", "var", "===", "!==", "cat"}
    return culprit.operator in operators and any(abs(n) > _EXACT for n in _numbers(culprit))


def _is_floating_sum(culprit: culprits.Culprit) -> bool:
    """Sums of the same numbers that differ in the last digits."""
    one, other = culprit.datalogic, culprit.qubit
    if culprit.operator not in _SUMS or not isinstance(one, int | float):
        return False
    return isinstance(other, int | float) and abs(one - other) <= 1e-9 * max(abs(one), abs(other))


def _failed_operand_is_skipped(culprit: culprits.Culprit) -> bool:
    return culprits.FAILED in culprit.operands and culprit.qubit == culprits.FAILED


F = culprits.FAILED
DIFFERENCES = (
    Difference(
        name="`==` of null and something else",
        rule={"==": [{"var": "a"}, 0]},
        data={"a": None},
        datalogic=True,
        qubit=False,
        official=False,
        covers=_is(_EQUAL, "null"),
    ),
    Difference(
        name="`==` of true or false and a number that is neither 0 nor 1",
        rule={"==": [True, 3]},
        datalogic=False,
        qubit=True,
        official=False,
        covers=_mixes(_EQUAL, {"bool"}, {"number"}),
    ),
    Difference(
        name="`==` of true or false and a text",
        rule={"==": ["true", True]},
        datalogic=True,
        qubit=False,
        official=False,
        covers=_mixes(_EQUAL, {"bool"}, _TEXTS),
    ),
    Difference(
        name="`==` of a text and a number written in another way",
        rule={"==": ["1.0", 1]},
        datalogic=True,
        qubit=False,
        official=True,
        covers=_mixes(_EQUAL, _TEXTS, {"number"}),
    ),
    Difference(
        name="`==` of an array or object and something of another kind",
        rule={"==": [True, [1, 2]]},
        datalogic=False,
        qubit=True,
        official=False,
        covers=_mixes(
            _EQUAL, {"array", "object"}, {"bool", "number", "text", "empty text", "null"}
        ),
    ),
    Difference(
        name="`==` of two objects with the same members",
        rule={"==": [{"var": "a"}, {"var": "b"}]},
        data={"a": {"x": 1}, "b": {"x": 1}},
        datalogic=False,
        qubit=True,
        official=False,
        covers=_is(_EQUAL, "object"),
    ),
    Difference(
        name="`==` of two arrays that hold such values",
        rule={"==": [[True], [1]]},
        datalogic=False,
        qubit=True,
        official=False,
        covers=lambda c: c.operator in _EQUAL | {"===", "!=="} and _kinds(c) == {"array"},
    ),
    Difference(
        name="order of null (a missing variable) and something else",
        rule={"<": [{"var": "missing"}, 5]},
        datalogic=True,
        qubit=False,
        official=True,
        covers=_is(_ORDER, "null"),
    ),
    Difference(
        name="order of an array or object",
        rule={"<": [[1], 5]},
        datalogic=F,
        qubit=False,
        official=True,
        covers=_is(_ORDER, "array", "object"),
    ),
    Difference(
        name="order of a text and true or false",
        rule={"<": ["2", True]},
        datalogic=False,
        qubit=F,
        official=False,
        covers=_mixes(_ORDER, _TEXTS, {"bool"}),
    ),
    Difference(
        name="`<=` of true or false and a number that is neither 0 nor 1",
        rule={"<=": [True, -4]},
        datalogic=False,
        qubit=True,
        official=False,
        covers=_mixes({"<=", ">="}, {"bool"}, {"number"}),
    ),
    Difference(
        name="order of a text that is no plain number, and a number",
        rule={"<": ["1e1", 11]},
        datalogic=True,
        qubit=F,
        official=True,
        covers=_mixes(_ORDER, _TEXTS, {"number"}),
    ),
    Difference(
        name="`<` of three, the third of which cannot be evaluated",
        rule={"<": [2, 1, {"+": ["x", 1]}]},
        datalogic=False,
        qubit=F,
        official=False,
        covers=_failed_operand_is_skipped,
    ),
    Difference(
        name="sums with null or an empty text",
        rule={"+": [1, {"var": "missing"}]},
        datalogic=1,
        qubit=F,
        official="NaN",
        covers=_is(_SUMS, "null", "empty text"),
    ),
    Difference(
        name="sums of one array",
        rule={"+": [{"var": "a"}]},
        data={"a": [1, 2]},
        datalogic=3,
        qubit=F,
        official=1,
        covers=_is(_SUMS, "array"),
    ),
    Difference(
        name="sums with a text that is no plain number",
        rule={"+": ["1e3", 0]},
        datalogic=1000,
        qubit=F,
        official=1000,
        covers=_is(_SUMS, "text"),
    ),
    Difference(
        name="`%` of a negative number",
        rule={"%": [-5, 3]},
        datalogic=-2,
        qubit=1,
        official=-2,
        covers=lambda c: c.operator == "%" and any(n < 0 for n in _numbers(c)),
    ),
    Difference(
        name="whole numbers past 2^53 (in data, or as a result)",
        rule={"==": [{"var": "a"}, {"var": "b"}]},
        data={"a": 2**63, "b": 2**63 + 1},
        datalogic=True,
        qubit=False,
        official=True,
        covers=_is_inexact,
    ),
    Difference(
        name="the last digits of a sum",
        rule={"+": [0.1, 0.2, 0.3]},
        datalogic=0.6000000000000001,
        qubit=0.6,
        official=0.6000000000000001,
        covers=_is_floating_sum,
    ),
    Difference(
        name="`max` and `min` of something that is not a number",
        rule={"max": ["12", 3]},
        datalogic=F,
        qubit=12,
        official=12,
        covers=_is({"max", "min"}, "bool", "text", "empty text", "null", "object"),
    ),
    Difference(
        name="`max` and `min` of one array",
        rule={"max": [{"var": "a"}]},
        data={"a": [1, 5]},
        datalogic=5,
        qubit=F,
        official="NaN",
        covers=_is({"max", "min"}, "array"),
    ),
    Difference(
        name="`merge` with null",
        rule={"merge": [[1, None], None]},
        datalogic=[1],
        qubit=[1, None, None],
        official=[1, None, None],
        covers=lambda c: c.operator == "merge" and "null" in json.dumps(c.operands),
    ),
    Difference(
        name="`missing` of a member that is null or an empty text",
        rule={"missing": ["a", "b"]},
        data={"a": None, "b": ""},
        datalogic=[],
        qubit=["a", "b"],
        official=["a", "b"],
        covers=_names_an_empty_member,
    ),
    Difference(
        name="`missing_some` of something that is no number and an array of names",
        rule={"missing_some": ["1", ["a"]]},
        datalogic=["a"],
        qubit=F,
        official=["a"],
        covers=_counts_without_a_number,
    ),
    Difference(
        name="an element that the array does not have",
        rule={"var": ["l.9", 0]},
        data={"l": [1]},
        datalogic=0,
        qubit=F,
        official=0,
        covers=_names_a_position,
    ),
    Difference(
        name="a negative position",
        rule={"var": "l.-1"},
        data={"l": [1, 2]},
        datalogic=None,
        qubit=2,
        official=None,
        covers=_names_a_position,
    ),
    Difference(
        name="a position within a text",
        rule={"var": "s.0"},
        data={"s": "abc"},
        datalogic=None,
        qubit="a",
        official="a",
        covers=_names_a_position,
    ),
    Difference(
        name="a computed name that is no text",
        rule={"var": [{"merge": [[]]}]},
        data={"a": 1},
        datalogic={"a": 1},
        qubit=None,
        official=None,
        covers=_names_no_text,
    ),
    Difference(
        name="the whole element where it is 0, false, null or empty",
        rule={"map": [[0, 1], {"==": [{"var": ""}, 0]}]},
        datalogic=[True, False],
        qubit=[False, False],
        official=[True, False],
        covers=lambda c: c.operator == "var" and not c.data and "" in _names(c),
    ),
    Difference(
        name="the whole scope in `reduce`",
        rule={"reduce": [[1], {"==": [{"var": ""}, 1]}, 0]},
        datalogic=True,
        qubit=False,
        official=False,
        covers=lambda c: c.operator == "var" and "" in _names(c),
    ),
    Difference(
        name="loops over an object",
        rule={"some": [{"var": "a"}, {">": [{"var": ""}, 1]}]},
        data={"a": {"x": 5}},
        datalogic=True,
        qubit=False,
        official=False,
        covers=lambda c: c.operator in _LOOPS and kind(c.operands[0]) == "object",
    ),
    Difference(
        name="`map` over a single value",
        rule={"map": [5, {"+": [{"var": ""}, 1]}]},
        datalogic=[6],
        qubit=[],
        official=[],
        covers=lambda c: c.operator == "map" and kind(c.operands[0]) != "array",
    ),
    Difference(
        name="`filter` of a single value",
        rule={"filter": [5, True]},
        datalogic=F,
        qubit=[],
        official=[],
        covers=lambda c: c.operator == "filter" and kind(c.operands[0]) != "array",
    ),
    Difference(
        name="`in` a text, of something that is no text",
        rule={"in": [1, "123"]},
        datalogic=False,
        qubit=F,
        official=True,
        covers=lambda c: c.operator == "in" and kind(c.operands[1]) in _TEXTS,
    ),
    Difference(
        name="`in` an array, of true or false (Python takes them for 1 and 0)",
        rule={"in": [True, [1]]},
        datalogic=False,
        qubit=True,
        official=False,
        covers=lambda c: c.operator == "in" and kind(c.operands[1]) == "array",
    ),
    Difference(
        name="`in` an object",
        rule={"in": ["a", {"var": ""}]},
        data={"a": 1},
        datalogic=False,
        qubit=True,
        official=False,
        covers=lambda c: c.operator == "in" and kind(c.operands[1]) == "object",
    ),
    Difference(
        name="`cat` of null, true, false, an array or an object",
        rule={"cat": ["a", True, None, [1, 2]]},
        datalogic="atrue12",
        qubit="aTrueNone[1, 2]",
        official="atrue1,2",
        covers=_is({"cat"}, "null", "bool", "array", "object"),
    ),
    Difference(
        name="`cat` of very large and very small numbers",
        rule={"cat": [{"var": "a"}]},
        data={"a": 1e21},
        datalogic="1e21",
        qubit="1e+21",
        official="1e+21",
        covers=lambda c: c.operator == "cat" and "number" in _kinds(c),
    ),
    Difference(
        name="`substr` of something that is no text",
        rule={"substr": [12345, 1, 2]},
        datalogic="23",
        qubit=F,
        official="23",
        covers=lambda c: c.operator == "substr" and kind(c.operands[0]) not in _TEXTS,
    ),
    Difference(
        name="`substr` with a place that is no whole number",
        rule={"substr": ["abc", 1.5]},
        datalogic="abc",
        qubit=F,
        official="bc",
        covers=lambda c: c.operator == "substr" and not all(type(v) is int for v in c.operands[1:]),
    ),
)


def covering(culprit: culprits.Culprit) -> list[str]:
    """The classes that a culprit belongs to; empty when the difference is not listed."""
    return [difference.name for difference in DIFFERENCES if difference.covers(culprit)]


def table() -> str:
    """The table as it stands in the README."""
    lines = ["| case | rule | data | datalogic | json-logic-qubit | official |", "|" + "---|" * 6]
    for row in DIFFERENCES:
        shown = (row.rule, row.data, row.datalogic, row.qubit, row.official)
        cells = [row.name, *("" if v is None and v is row.data else _code(v) for v in shown)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _code(value: Any) -> str:
    if isinstance(value, str) and value in {F, "NaN"}:
        return value
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def written(readme: str) -> str:
    """The README with the present table."""
    head = readme.split("\n| case |", 1)[0]
    return f"{head}\n{table()}\n"


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
