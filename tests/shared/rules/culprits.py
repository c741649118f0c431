"""Where two engines begin to disagree about a rule: the innermost nodes that give different values
although everything they read is the same in both.
"""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from shared.rules import datalogic_engine, growth, port, qubit_engine, tracing

FAILED = "failed"
ROUNDS_MAX = 5
_LIMITS = port.Limits()


class Culprit(msgspec.Struct, frozen=True):
    """A node at which the engines part: its operator, what it read, what each gave."""

    operator: str
    operands: list[Any]
    datalogic: Any
    qubit: Any
    data: Any


def look(engine: port.EngineName, node: Any, scope: tracing.Scope) -> Any:
    """A node's value in an engine, or FAILED."""
    kind = (
        datalogic_engine.DatalogicCondition
        if engine == "datalogic"
        else qubit_engine.QubitCondition
    )
    try:
        return kind(True, limits=_LIMITS).look(node, scope)
    except tracing.Failed:
        return FAILED


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; 1 and 1.0 are, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        ours, theirs = cast(list[Any], one), cast(list[Any], other)
        alike = len(ours) == len(theirs)
        return alike and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    return one == other


def find(node: Any, data: Any) -> list[Culprit]:
    """The culprits of a rule with this data; none when both engines give the same value."""
    return list(_find(node, tracing.Scope(tracing.Kind.EVENT, data)))


def _find(node: Any, scope: tracing.Scope) -> Iterator[Culprit]:
    if not isinstance(node, dict):
        return
    datalogic, qubit = look("datalogic", node, scope), look("json-logic-qubit", node, scope)
    if same(datalogic, qubit):
        return
    [(name, given)] = cast(dict[str, Any], node).items()
    operands = cast(list[Any], given) if isinstance(given, list) else [given]
    if name in growth.LOOPS:
        inner = list(_find_in_loop(name, operands, scope))
    else:
        inner = [culprit for operand in operands for culprit in _inside(operand, scope)]
    if inner:
        yield from inner
        return
    read = operands
    if name not in growth.LOOPS:
        read = [look("datalogic", operand, scope) for operand in operands]
    else:
        read = [look("datalogic", operands[0], scope), *operands[1:]]
    yield Culprit(name, read, datalogic, qubit, scope.value)


def _inside(operand: Any, scope: tracing.Scope) -> Iterator[Culprit]:
    if isinstance(operand, list):
        for entry in cast(list[Any], operand):
            yield from _inside(entry, scope)
    else:
        yield from _find(operand, scope)


def _find_in_loop(name: str, operands: list[Any], scope: tracing.Scope) -> Iterator[Culprit]:
    yield from _inside(operands[0], scope)
    elements = look("datalogic", operands[0], scope)
    if not isinstance(elements, list):
        return
    accumulator = operands[2] if name == "reduce" else None
    kind = tracing.Kind.ROUND if name == "reduce" else tracing.Kind.ELEMENT
    for number, element in enumerate(cast(list[Any], elements)[:ROUNDS_MAX]):
        inner = tracing.Scope(kind, element, accumulator=accumulator, number=number)
        yield from _inside(operands[1], inner)
        accumulator = look("datalogic", operands[1], inner)
        if accumulator == FAILED or isinstance(accumulator, dict | list):
            return
