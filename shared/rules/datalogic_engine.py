"""The default engine: datalogic (native). Compiles a checked condition, evaluates it within the
budget, looks at parts of it. No thread of its own; a compiled condition may be shared by threads.
"""

import functools
from typing import Any, cast

import datalogic_py
import msgspec

from shared.rules import growth, port, tracing

NAME: port.EngineName = "datalogic"
VERSION = datalogic_py.__version__

# The condition is compiled as the argument of `!!`: the result is then true or false by the
# engine's own truthiness, and a large result is never written out.
_WRAPPED = "/!!/0"
# These write an array or object out as text before they charge for it; `cat` charges as it goes.
# So each such operand is read through `cat`, which leaves texts and numbers as they are.
_TEXT_OPERANDS = {
    "starts_with": slice(0, 2),
    "ends_with": slice(0, 2),
    "upper": slice(0, 1),
    "lower": slice(0, 1),
    "trim": slice(0, 1),
    "substr": slice(0, 1),
}
_FOLDED = frozenset({"and", "or", "if", "?:", "??", "!", "!!"})
_PROBE_OPERATIONS = 20_000
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class _Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the condition, by its place in what is compiled."""

    pointer: str
    operator: str


class DatalogicCondition:
    """A compiled condition."""

    engine: port.EngineName = NAME

    def __init__(self, condition: Any, *, limits: port.Limits) -> None:
        self._condition = condition
        self._engine = _engine(limits.operations_max)
        self._nodes: dict[str, _Node] = {}
        self._is_rewritten = _may_be_rewritten(condition)
        guarded = _guard(condition, "", _WRAPPED, self._nodes)
        self._evaluate = self._engine.compile(_text({"!!": [guarded]})).evaluate_data_str

    def evaluate(self, facts: port.Facts) -> port.Outcome:
        """See port.Condition. A native call cannot be timed out: the budget is the guard."""
        try:
            handle = facts.native.get(NAME)
            if handle is None:
                handle = facts.native[NAME] = datalogic_py.DataHandle(facts.text)
            return port.MATCHED if self._evaluate(handle) == "true" else port.NOT_MATCHED
        except datalogic_py.DataLogicError as error:
            return self._failed(error)
        except (ValueError, RecursionError) as error:
            return port.malformed(error)

    def trace(self, facts: port.Facts) -> port.Trace:
        return tracing.trace(self._condition, facts, outcome=self.evaluate(facts), look=self.look)

    def look(self, node: Any, scope: tracing.Scope) -> Any:
        """The value of a part of the condition. Raises tracing.Failed."""
        guarded = _guard(node, "", "", {})
        try:
            handle = scope.native.get(NAME)
            if handle is None:
                handle = scope.native[NAME] = datalogic_py.DataHandle(_text(_scope_data(scope)))
            if growth.may_be_large(node) and not self._fits(guarded, scope):
                return tracing.TOO_LARGE
            rule = self._engine.compile(_text(_within(guarded, scope)))
            value = _decode(rule.evaluate_data_str(handle))
        except datalogic_py.DataLogicError as error:
            raise tracing.Failed(*_explain(error)) from error
        except (ValueError, RecursionError) as error:
            raise tracing.Failed("MalformedData", str(error)) from error
        return value if scope.kind is tracing.Kind.EVENT else value[0]

    def _fits(self, node: Any, scope: tracing.Scope) -> bool:
        """Whether a value can be written out: `cat` charges for it and stops in time."""
        data = _text(_scope_data(scope))
        alone = self._engine.compile(_text(_within({"!!": [node]}, scope)))
        _, operations = alone.evaluate_metered(data)
        try:
            probe = self._engine.compile(_text(_within({"!!": [{"cat": [node]}]}, scope)))
            probe.evaluate_metered(data, budget=operations + _PROBE_OPERATIONS)
        except datalogic_py.DataLogicError:
            return False
        return True

    def _failed(self, error: datalogic_py.DataLogicError) -> port.Outcome:
        error_class, message = _explain(error)
        return port.failed(error_class, message, self._pointer(error))

    def _pointer(self, error: datalogic_py.DataLogicError) -> str | None:
        """The node that failed. The engine names a place in what its optimizer made of the
        condition; where that may be another place, only a lone operator of that name will do.
        """
        if not error.path:
            return None
        node = self._nodes.get(cast(str, error.path[-1]["json_pointer"]))
        if not self._is_rewritten and node is not None and node.operator == error.operator:
            return node.pointer
        alike = {node.pointer for node in self._nodes.values() if node.operator == error.operator}
        return alike.pop() if len(alike) == 1 else None


@functools.lru_cache(maxsize=16)
def _engine(operations_max: int) -> datalogic_py.Engine:
    """Engines are immutable and shared: one for each budget in use."""
    return datalogic_py.Engine(
        config={
            "ops_budget": operations_max,
            "division_by_zero": "throw_error",  # else 1.5 / 0 is the largest number there is
            "loose_equality_errors": False,  # "abc" == 0 is false, as everywhere else
        },
        strict_operator_names=True,
        families=["ExtString", "ExtMath", "ExtControl"],
    )


def _text(value: Any) -> str:
    return _encode(value).decode()


def _may_be_rewritten(node: Any) -> bool:
    """Whether the engine's optimizer may fold, drop or join parts of a condition."""
    if isinstance(node, list):
        return any(map(_may_be_rewritten, cast(list[Any], node)))
    if not isinstance(node, dict):
        return False
    [(name, given)] = cast(dict[str, Any], node).items()
    operands = cast(list[Any], given) if isinstance(given, list) else [given]
    constants = [not isinstance(operand, dict | list) for operand in operands]
    if name in _FOLDED and (any(constants) or name in {"!", "!!"}):
        return True
    return (name != "var" and all(constants)) or any(map(_may_be_rewritten, operands))


def _guard(node: Any, pointer: str, place: str, nodes: dict[str, _Node]) -> Any:
    """The condition as it is compiled; remembers which place in it is which of the original."""
    if isinstance(node, list):
        entries = enumerate(cast(list[Any], node))
        return [_guard(v, f"{pointer}/{n}", f"{place}/{n}", nodes) for n, v in entries]
    if not isinstance(node, dict):
        return node
    [(name, given)] = cast(dict[str, Any], node).items()
    nodes[place] = _Node(pointer=pointer, operator=name)
    below, inner = f"{pointer}/{port.escape(name)}", f"{place}/{port.escape(name)}"
    if not isinstance(given, list):
        operands, pointers_of = [given], [below]
    else:
        operands = cast(list[Any], given)
        pointers_of = [f"{below}/{number}" for number, _ in enumerate(operands)]
    textual = range(len(operands))[_TEXT_OPERANDS.get(name, slice(0, 0))]
    guarded: list[Any] = []
    for number, (operand, where) in enumerate(zip(operands, pointers_of, strict=True)):
        if number in textual and isinstance(operand, dict | list):
            nodes[f"{inner}/{number}"] = _Node(pointer=where, operator="cat")
            inside = _guard(operand, where, f"{inner}/{number}/cat/0", nodes)
            guarded.append({"cat": [inside]})
        else:
            guarded.append(_guard(operand, where, f"{inner}/{number}", nodes))
    return {name: guarded}


def _scope_data(scope: tracing.Scope) -> Any:
    return scope.value if scope.kind is tracing.Kind.EVENT else [scope.value]


def _within(node: Any, scope: tracing.Scope) -> Any:
    """The node where it stands: in the body of a loop over one value, or by itself."""
    match scope.kind:
        case tracing.Kind.EVENT:
            return node
        case tracing.Kind.ELEMENT:
            return {"map": [{"var": ""}, node]}
        case tracing.Kind.ROUND:
            return [{"reduce": [{"var": ""}, node, scope.accumulator]}]


def _explain(error: datalogic_py.DataLogicError) -> tuple[str, str]:
    text = str(error)
    match error.error_type:
        case "BudgetExceeded":
            return "BudgetExceeded", f"the rule costs too much with this data: {text}"
        case "Thrown" if error.operator in {"/", "%"}:
            return "NotANumber", f"`{error.operator}` got no number, or divides by zero"
        case "Thrown":
            return "NotANumber", f"`{error.operator}` got something that is not a number"
        case "InvalidArguments" if error.operator is not None:
            return "InvalidArguments", f"`{error.operator}` cannot take the values it got"
        case "ParseError":
            return "MalformedData", f"the event's data cannot be read: {text}"
        case other:
            return other, text
