"""Rules and data as Hypothesis makes them: every classic operator, operands of every kind, names
that the data has and has not.
"""

from typing import Any

from hypothesis import strategies as st

DATA: dict[str, Any] = {
    "n": 3,
    "half": 2.5,
    "zero": 0,
    "negative": -4,
    "text": "abc",
    "digits": "12",
    "decimal": "1.5",
    "empty": "",
    "yes": True,
    "no": False,
    "null": None,
    "list": [1, 2, 3],
    "words": ["a", "b"],
    "none": [],
    "object": {"a": 1, "b": "x"},
    "nothing": {},
    "items": [{"price": 5, "sku": "a"}, {"price": 15, "sku": "b"}, {"sku": "c"}],
    "mixed": [0, "", None, 1, "a", [], {}],
}
_MORE_NAMES = [
    *("unknown", "object.a", "list.0", "list.9", "list.-1", "items.1.price", "text.0", "price"),
    *("sku", "accumulator", "current", "current.price", "n.x", ""),
]
_NAMES = st.sampled_from([*DATA, *_MORE_NAMES])
_NUMBERS: list[Any] = [0, 1, 2, -1, 3, 2.5, 0.1, 10]
_TEXTS: list[Any] = ["", "a", "abc", "1", "12", "1.5", "1e3", "true"]
_SCALARS: st.SearchStrategy[Any] = st.sampled_from([*_NUMBERS, *_TEXTS, True, False, None])
_LITERALS: st.SearchStrategy[Any] = _SCALARS | st.lists(_SCALARS, max_size=3)


def _var(name: Any) -> Any:
    return {"var": name}


def _operator(name: str, operands: list[Any]) -> Any:
    return {name: operands}


def _reduce(source: Any, body: Any, initial: Any) -> Any:
    return {"reduce": [source, body, initial]}


def _missing_some(names: list[str]) -> Any:
    return {"missing_some": [len(names) - 1, names]}


def _operators(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def of(*names: str, least: int, most: int) -> st.SearchStrategy[Any]:
        operands = st.lists(inner, min_size=least, max_size=most)
        return st.builds(_operator, st.sampled_from(names), operands)

    asked = st.lists(_NAMES, min_size=1, max_size=3)
    return st.one_of(
        of("==", "===", "!=", "!==", ">", ">=", "<", "<=", "in", "/", "%", least=2, most=2),
        of("map", "filter", "all", "none", "some", least=2, most=2),
        of("or", "and", "max", "min", "+", "*", "merge", "cat", "missing", least=1, most=3),
        of("!", "!!", least=1, most=1),
        of("-", least=1, most=2),
        of("if", least=2, most=5),
        of("?:", "<", "<=", "substr", least=3, most=3),
        st.builds(_var, st.tuples(_NAMES, inner).map(list)),
        st.builds(_var, st.tuples(inner).map(list)),
        st.builds(_reduce, inner, inner, _SCALARS),
        st.builds(_missing_some, asked),
        st.builds(_operator, st.just("missing"), asked),
    )


_LEAVES: st.SearchStrategy[Any] = _LITERALS | st.builds(_var, _NAMES) | st.builds(_var, _NAMES)
RULES = _operators(st.recursive(_LEAVES, _operators, max_leaves=6))
