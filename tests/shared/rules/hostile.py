"""Rules that want to run code, to read attributes, or to make a worker slow or large; and the data
that would help them. Each must be refused at save or be stopped by the budget.
"""

import json
from typing import Any

ACCUMULATOR = {"var": "accumulator"}
CURRENT = {"var": "current"}
ITEM = {"var": ""}
XS = {"var": "xs"}
BIG = {"var": "big"}


def nested(levels: int, wrap: Any, innermost: Any) -> Any:
    """One operator round another, made without recursion."""
    node = innermost
    for _ in range(levels):
        node = {wrap: [node]}
    return node


def nested_map(levels: int, source: Any, innermost: Any) -> Any:
    node = innermost
    for _ in range(levels):
        node = {"map": [source, node]}
    return node


def nested_some(levels: int, source: Any, innermost: Any) -> Any:
    node = innermost
    for _ in range(levels):
        node = {"some": [source, node]}
    return node


def nested_reduce(levels: int, innermost: Any) -> Any:
    node = innermost
    for _ in range(levels):
        node = {"reduce": [[1, 2], node, 0]}
    return node


def _loop(body: Any, initial: Any, source: Any = XS) -> dict[str, Any]:
    return {"reduce": [source, body, initial]}


DOUBLED = _loop([ACCUMULATOR, ACCUMULATOR], [1])
MULTIPLIED = nested_map(12, [[ITEM] * 12], ITEM)

# Refused when the rule is saved, by both engines.
REFUSED: dict[str, Any] = {
    "method": {"method": ["abc", "upper"]},
    "attribute chain": {"method": [{"method": ["", "__class__"]}, "__mro__"]},
    "ljust": {"method": ["a", "ljust", [300_000_000]]},
    "format string": {"method": ["{:300000000}", "format", [1]]},
    "percent format": {"%": ["%200000000d"]},
    "log": {"log": "secret"},
    "count": {"count": [1, 2]},
    "throw": {"throw": "x"},
    "try": {"try": [{"throw": "x"}, True]},
    "clock": {"now": []},
    "dotted operator": {"datetime.datetime.now": []},
    "dunder operator": {"__class__": []},
    "unknown operator": {"if_then": [True, 1]},
    "preserve": {"preserve": [1]},
    "val": {"val": [[1], "x"]},
    "sort": {"sort": XS},
    "split": {"split": ["a", ""]},
    "tensor": {"zeros": [[1_000_000_000], "f64"]},
    "two members": {"and": [{"==": [1, 1], "log": 1}]},
    "no member": {"and": [{}]},
    "wrong arity": {"==": [1]},
    "no arguments": {"and": []},
    "too many arguments": {"var": ["a", 1, 2]},
    "depth 33": nested(33, "!", True),
    "depth 500": nested(500, "!", True),
    "depth 2000": nested(2_000, "!", True),
    "depth 100000": nested(100_000, "!", True),
    "nodes 513": {"and": [True] * 513},
    "nodes 100000": {"in": [1, list(range(100_000))]},
    "nodes 100000 of operators": {"and": [{"!": [True]} for _ in range(100_000)]},
    "huge text": {"==": [{"var": "a"}, "a" * 5_000]},
    "17 KiB": {"in": ["b", [str(n) + "a" * 950 for n in range(18)]]},
    "huge name": {"var": "a." * 5_000},
    "huge integer": {"==": [{"var": "a"}, 10**400]},
    "inexact integer": {"==": [{"var": "a"}, 2**53]},
    "inexact float": {"==": [{"var": "a"}, 1e300]},
    "NaN": {"==": [{"var": "a"}, float("nan")]},
    "infinity": {"<": [{"var": "a"}, float("inf")]},
    "negative zero": {"==": [{"var": "a"}, -0.0]},
    "NUL": {"==": [{"var": "a"}, "a\0b"]},
    "half a surrogate pair": {"==": [{"var": "a"}, "\ud800"]},
    "null as a name": {"var": None},
    "constant": 5,
    "constant text": "true",
    "constant null": None,
    "array": [True],
    "empty object": {},
    "doubling array": {"!!": [DOUBLED]},
    "doubling array in map": _loop({"map": [[1, 2], ACCUMULATOR]}, [1]),
    "doubling merge": {"in": ["a", _loop({"merge": [ACCUMULATOR, ACCUMULATOR]}, ["a"])]},
    "carried data": _loop({"reduce": [[1], ACCUMULATOR, ACCUMULATOR]}, 0),
    "multiplied by nested loops": {"upper": [MULTIPLIED]},
    "map of map of map": {"!!": [nested_map(3, list(range(150)), 1)]},
    "map over data in map": {"!": [nested_map(4, XS, 1)]},
    "arrays of arrays": {"cat": [[[BIG] * 100, [BIG], {"merge": [BIG, BIG]}]]},
    "map that gives arrays": {"cat": [{"map": [XS, {"merge": [ITEM, ITEM]}]}]},
    "map of map of text": {"cat": [{"map": [XS, {"map": [ITEM, "a" * 4_000]}]}]},
    "merge hidden in a choice": {"cat": [[{"if": [XS, {"merge": [BIG, BIG]}, 1]}]]},
    "array hidden in a default": {"cat": [[{"var": ["a", {"merge": [BIG, BIG]}]}]]},
    "array hidden in a filter": {"cat": [[{"filter": [{"merge": [BIG, BIG]}, True]}]]},
    "data as the accumulator": _loop(CURRENT, 0),
    "data as the accumulator by choice": _loop({"if": [CURRENT, ACCUMULATOR, CURRENT]}, 0),
    "arrays as the accumulator": _loop({"filter": [ACCUMULATOR, True]}, 0),
    "computed beginning": _loop({"+": [ACCUMULATOR, 1]}, {"var": "a"}),
}

# Taken, and stopped (or done) in milliseconds by the budget, with any data.
BOUNDED: dict[str, Any] = {
    "reduce and cat doubling": {"!!": [_loop({"cat": [ACCUMULATOR, ACCUMULATOR]}, "ab")]},
    "reduce and cat of data": {"!!": [_loop({"cat": [ACCUMULATOR, BIG, CURRENT]}, "")]},
    "reduce and squares": {">": [_loop({"*": [ACCUMULATOR, ACCUMULATOR]}, 99_999), 1]},
    "reduce and powers": {">": [_loop({"*": [ACCUMULATOR, 9_007_199_254_740_991]}, 2), 1]},
    "reduce and sums": {">": [_loop({"+": [ACCUMULATOR, ACCUMULATOR]}, 1), 1]},
    "reduce and numbers of digits": {">": [_loop({"+": [{"cat": [ACCUMULATOR, "9"]}, 0]}, "9"), 1]},
    "reduce over reduce": _loop(
        {"+": [ACCUMULATOR, {"reduce": [{"var": "current.xs"}, {"+": [ACCUMULATOR, 1]}, 0]}]},
        0,
        {"var": "nested"},
    ),
    "some of some of some": nested_some(3, list(range(100)), {"==": [ITEM, -1]}),
    "some of some of data": nested_some(4, XS, False),
    "reduce in reduce in reduce": nested_reduce(20, ACCUMULATOR),
    "map over data": {"some": [XS, {"in": [ITEM, [BIG, 1, 2]]}]},
    "filter of filter": {"filter": [{"filter": [XS, {">": [ITEM, 0]}]}, {"<": [ITEM, 1e9]}]},
    "merge many": {"in": ["z", {"merge": [XS] * 200}]},
    "merge and text": {"upper": [{"merge": [BIG] * 200}]},
    "cat many": {"==": ["z", {"cat": [BIG] * 200}]},
    "cat of arrays": {"==": ["z", {"cat": [XS] * 200}]},
    "text of arrays": {"or": [{"starts_with": [XS, str(n)]} for n in range(70)]},
    "substr of arrays": {"or": [{"==": [{"substr": [XS, n]}, ""]} for n in range(70)]},
    "search in text": {"or": [{"in": ["a" * 500 + str(n), BIG]} for n in range(20)]},
    "search in array": {"some": [XS, {"in": [ITEM, {"merge": [list(range(300)), ITEM]}]}]},
    "whole data": {"in": [ITEM, [ITEM, ITEM, ITEM]]},
    "whole data as text": {"==": [{"cat": [ITEM, ITEM]}, "x"]},
    "whole data twice": {"===": [[ITEM] * 100, [ITEM] * 100]},
    "computed name": {"var": [{"cat": [BIG, ".", BIG]}]},
    "computed names": {"missing": [{"merge": [XS] * 100}]},
    "missing_some": {"missing_some": [1, XS]},
    "name of digits": {"var": ["xs." + "0" * 190 + "1"]},
    "attribute as a name": {"==": [{"var": "__class__.__mro__"}, "x"]},
    "items as a name": {"var": "xs.__len__"},
    "division by zero": {"/": [1, {"var": "zero"}]},
    "modulo by zero": {"%": [1, {"var": "zero"}]},
    "not a number": {"<": [{"+": [{"var": "text"}, 1]}, 5]},
    "text as a number": {"==": ["1", 1]},
    "number of digits": {"+": [{"var": "digits"}, 1]},
    "numbers of digits": {"+": [{"var": "digits"}] * 200},
    "nan as text": {"<": [{"+": ["nan", 0]}, 1]},
    "inf as text": {"<": [{"+": ["Infinity", 0]}, 1]},
    "names out of data": {"cat": [{"map": [XS, ITEM]}, {"map": [XS, "a" * 4_000]}]},
    "texts out of data": {"cat": [{"map": [XS, {"cat": [ITEM, "a" * 4_000]}]}]},
    "loop over a built array": {"some": [{"merge": [XS] * 50}, {"in": [[ITEM], [ITEM, 1]]}]},
    "max of data": {">": [{"max": XS}, 1]},
    "depth 31": nested(31, "!", True),
    "nodes 511": {"in": [1, list(range(508))]},
}

# The largest event that the api takes, shaped to hurt.
DATA: dict[str, Any] = {
    "numbers": {"xs": list(range(20_000)), "big": "a" * 100_000, "zero": 0, "text": "abc"},
    "texts": {"xs": ["9" * 10] * 8_000, "big": "9" * 100_000, "digits": "9" * 4_000},
    "one huge element": {"xs": [[[1]] * 30_000], "big": [[[]]] * 10_000, "zero": 0.0},
    "nested": {"xs": [[1] * 100] * 300, "nested": [{"xs": [1] * 200}] * 200, "big": {"a": [1] * 9}},
    "nothing": {},
}


def data(name: str) -> bytes:
    return json.dumps(DATA[name]).encode()
