"""One short sentence why a condition held or did not: the part that decided, with its variables."""

from collections.abc import Iterator
from typing import Any, cast

import msgspec

from shared.rules import growth, port

WHY_CHARACTERS_MAX = 300

_EXPRESSION_CHARACTERS_MAX = 120
_VALUE_CHARACTERS_MAX = 60
_VARIABLES_MAX = 4
_INFIX = frozenset(("== === != !== > >= < <= + - * / % in and or ??").split())  # noqa: SIM905
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_MISSING = object()


def why(condition: Any, steps: list[port.Step], data: Any, outcome: port.Outcome) -> str:
    """The sentence; for people, never stored."""
    if not isinstance(condition, dict):
        return f"the condition is {_shown(condition)} for every event"
    condition = cast(dict[str, Any], condition)
    if outcome.result == "failed":
        place = _at(condition, outcome.pointer)
        part = "the condition" if place is None else expression(place)
        return _short(f"{part} fails: {outcome.message}", WHY_CHARACTERS_MAX)
    values = {step.pointer: _value(step) for step in steps if step.round is None}
    node, pointer = _decisive(condition, "", values)
    verdict = values.get(pointer, outcome.result == "matched")
    said = f"{expression(node)} is {_shown(verdict)}"
    told = list(_told(node, data))
    return _short(f"{said}: {', '.join(told)}" if told else said, WHY_CHARACTERS_MAX)


def expression(node: Any) -> str:
    """A condition as people write it, cut to a line."""
    return _short(_written(node, 0), _EXPRESSION_CHARACTERS_MAX)


def _decisive(condition: dict[str, Any], pointer: str, values: dict[str, Any]) -> tuple[Any, str]:
    """Go down while one operand alone made the result what it is."""
    node: Any = condition
    while True:
        name, operands = _parts(node, pointer)
        operands = [(v, p) for v, p in operands if p in values or not isinstance(v, dict | list)]
        stopped = {"and": not values.get(pointer, True), "or": bool(values.get(pointer, False))}
        if not operands:  # The trace was cut off before them.
            break
        if stopped.get(name, False):
            chosen = operands[-1]
        elif name in {"and", "or", "!!"} and len(operands) == 1:
            chosen = operands[0]
        else:
            break
        if not isinstance(chosen[0], dict):
            break
        node, pointer = chosen
    return node, pointer


def _parts(node: dict[str, Any], pointer: str) -> tuple[str, list[tuple[Any, str]]]:
    [(name, given)] = node.items()
    below = f"{pointer}/{port.escape(name)}"
    if not isinstance(given, list):
        return name, [(given, below)]
    return name, [(operand, f"{below}/{n}") for n, operand in enumerate(cast(list[Any], given))]


def _value(step: port.Step) -> Any:
    return None if step.value is None else _decode(step.value)


def _told(node: Any, data: Any) -> Iterator[str]:
    """Each variable of a part with its value in the event."""
    names = list(dict.fromkeys(_variables(node)))
    for name in names[:_VARIABLES_MAX]:
        value = _find(data, name)
        shown = "is missing" if value is _MISSING else f"is {_shown(value)}"
        yield f"{name or 'the data'} {shown}"
    if len(names) > _VARIABLES_MAX:
        yield "..."


def _variables(node: Any) -> Iterator[str]:
    """The names that are read from the event itself, not from an element of a loop."""
    if isinstance(node, list):
        for inner in cast(list[Any], node):
            yield from _variables(inner)
    elif isinstance(node, dict):
        name, operands = _parts(cast(dict[str, Any], node), "")
        if name == "var" and operands and isinstance(operands[0][0], str | int):
            yield str(operands[0][0])
        for inner, _ in operands[:1] if name in growth.LOOPS else operands:
            yield from _variables(inner)


def _find(data: Any, name: str) -> Any:
    for part in name.split(".") if name else []:
        if isinstance(data, dict) and part in data:
            data = cast(dict[str, Any], data)[part]
        elif (
            isinstance(data, list)
            and part.isdecimal()
            and int(part[:9]) < len(cast(list[Any], data))
        ):
            data = cast(list[Any], data)[int(part[:9])]
        else:
            return _MISSING
    return data


def _at(condition: Any, pointer: str | None) -> Any:
    """The node at a pointer; None when there is none."""
    if pointer is None:
        return None
    node = condition
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict) and name in node:
            node = cast(dict[str, Any], node)[name]
        elif isinstance(node, list) and name.isdecimal() and int(name) < len(cast(list[Any], node)):
            node = cast(list[Any], node)[int(name)]
        else:
            return None
    return node


def _written(node: Any, depth: int) -> str:
    if not isinstance(node, dict):
        return _shown(node)
    name, placed = _parts(cast(dict[str, Any], node), "")
    operands = [operand for operand, _ in placed]
    if name == "var" and operands and isinstance(operands[0], str | int):
        return str(operands[0]) or "data"
    if depth > 8:  # noqa: PLR2004 - nobody reads deeper than this
        return "..."
    texts = [_written(operand, depth + 1) for operand in operands[:20]]
    if name in _INFIX and len(texts) > 1:
        joined = f" {name} ".join(texts)
        return f"({joined})" if depth else joined
    return f"{name}({', '.join(texts)})"


def _shown(value: Any) -> str:
    return _short(_encode(value).decode(), _VALUE_CHARACTERS_MAX)


def _short(text: str, characters_max: int) -> str:
    return text if len(text) <= characters_max else text[: characters_max - 3] + "..."
