"""The second engine: json-logic-qubit (pure Python), hardened. It has no budget of its own and
operators that reach into Python, so a private copy of its module is loaded and changed: every step
is counted, what grows is charged by its size, and only the operators of the allow-list are there.
"""

import importlib.metadata
from typing import Any, cast

import msgspec

from shared.rules import port, qubit_guards, tracing

NAME: port.EngineName = "json-logic-qubit"
VERSION = importlib.metadata.version("json-logic-qubit")

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_FAULTS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    qubit_guards.BudgetExceeded,
)


class QubitCondition:
    """A condition with the place of each of its nodes."""

    engine: port.EngineName = NAME

    def __init__(self, condition: Any, *, limits: port.Limits) -> None:
        self._condition = _decode(_encode(condition))
        self._operations_max = limits.qubit_operations_max
        self._pointers: dict[int, str] = {}
        _place(self._condition, "", self._pointers)

    def evaluate(self, facts: port.Facts) -> port.Outcome:
        """See port.Condition."""
        try:
            data = facts.value
        except (ValueError, RecursionError) as error:
            return port.malformed(error)
        try:
            result = qubit_guards.run(self._condition, data, operations_max=self._operations_max)
        except _FAULTS as error:
            pointer = self._pointers.get(qubit_guards.failed_node())
            return port.failed(*_explain(error), pointer)
        return port.MATCHED if result else port.NOT_MATCHED

    def trace(self, facts: port.Facts) -> port.Trace:
        return tracing.trace(self._condition, facts, outcome=self.evaluate(facts), look=self.look)

    def look(self, node: Any, scope: tracing.Scope) -> Any:
        """The value of a part of the condition. Raises tracing.Failed."""
        data = scope.value
        if scope.kind is tracing.Kind.ROUND:
            data = {"accumulator": scope.accumulator, "current": scope.value}
        try:
            value = qubit_guards.run(node, data, operations_max=self._operations_max)
        except _FAULTS as error:
            raise tracing.Failed(*_explain(error)) from error
        return value if qubit_guards.fits(value, self._operations_max) else tracing.TOO_LARGE


def _place(node: Any, pointer: str, pointers: dict[int, str]) -> None:
    if isinstance(node, list):
        for number, inner in enumerate(cast(list[Any], node)):
            _place(inner, f"{pointer}/{number}", pointers)
    elif isinstance(node, dict):
        pointers[id(cast(object, node))] = pointer
        for name, inner in cast(dict[str, Any], node).items():
            _place(inner, f"{pointer}/{port.escape(name)}", pointers)


def _explain(error: Exception) -> tuple[str, str]:
    for kind, error_class, message in _EXPLANATIONS:
        if isinstance(error, kind):
            return error_class, f"{message}: {error}"
    return type(error).__name__, str(error)


_EXPLANATIONS: tuple[tuple[type[Exception], str, str], ...] = (
    (
        qubit_guards.BudgetExceeded,
        "BudgetExceeded",
        "the rule costs too much with this data",
    ),
    (ZeroDivisionError, "DivisionByZero", "a number is divided by zero"),
    (OverflowError, "NumberTooLarge", "a number grows too large"),
    (RecursionError, "TooDeep", "a value is nested too deeply"),
    (IndexError, "MissingElement", "a variable names an element that the array does not have"),
    (ValueError, "NotANumber", "a text is no number"),
    (TypeError, "InvalidArguments", "an operator cannot take the values it got"),
)
