"""How an outcome came about, node by node. Walks a condition the way both engines do and asks the
engine for the value of each part that they would evaluate; bounded in steps and in size. For
people: much slower than an evaluation.
"""

import contextlib
import enum
from collections.abc import Callable
from typing import Any, cast

import msgspec

from shared.rules import explain, growth, port

STEPS_MAX = 500
ROUNDS_MAX = 50
VALUE_BYTES_MAX = 2_048
# Of all values that are read for one trace, shown or not: an event may be 256 KiB of JSON, and each
# of its nodes could be the whole of it.
READ_BYTES_MAX = 2 * 1024 * 1024

_encode = msgspec.json.Encoder().encode


class Kind(enum.Enum):
    """Where a node stands."""

    EVENT = "event"
    ELEMENT = "element"  # in the body of a loop
    ROUND = "round"  # in the body of a reduce


class Scope:
    """What the variables of a node are read from."""

    def __init__(self, kind: Kind, value: Any, *, accumulator: Any = None, number: int = 0) -> None:
        self.kind = kind
        self.value = value
        self.accumulator = accumulator
        self.number = number
        self.native: dict[str, Any] = {}


class Failed(Exception):
    """A part of a condition cannot be evaluated."""

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(message)
        self.error_class = error_class


class TooLarge:
    """Stands for a value that is there but too large to look at; it counts as true."""


TOO_LARGE = TooLarge()

type Look = Callable[[Any, Scope], Any]


class _CutOff(Exception):
    """There are more steps than may be shown."""


class _Recording:
    """One trace being made."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.steps: list[port.Step] = []
        self.shortened = False
        self.bytes_left = READ_BYTES_MAX

    def record(self, node: Any, pointer: str, scope: Scope) -> Any:
        """Ask the engine for a node's value. Raises Failed, after it was recorded."""
        if len(self.steps) >= STEPS_MAX or self.bytes_left < 0:
            raise _CutOff
        error, value = None, None
        try:
            value = self.look(node, scope)
        except Failed as failed:
            error = failed
        self.steps.append(
            port.Step(
                pointer=pointer,
                expression=_short(_encode(node)),
                value=None if error else self._shown(value),
                error=None if error is None else f"{error.error_class}: {error}"[:300],
                round=None if scope.kind is Kind.EVENT else scope.number,
            )
        )
        if error is not None:
            raise error
        return value

    def _shown(self, value: Any) -> msgspec.Raw:
        if value is TOO_LARGE:
            return msgspec.Raw(b'"... (too large to show)"')
        encoded = _encode(value)
        self.bytes_left -= len(encoded)
        return _short(encoded)

    def walk(self, node: Any, pointer: str, scope: Scope) -> Any:
        """Record a node after everything in it that is evaluated before it; give its value."""
        if isinstance(node, list):
            entries = cast(list[Any], node)
            return [self.walk(v, f"{pointer}/{n}", scope) for n, v in enumerate(entries)]
        if not isinstance(node, dict):
            return node
        [(name, given)] = cast(dict[str, Any], node).items()
        below = f"{pointer}/{port.escape(name)}"
        operands: list[tuple[Any, str]] = [(given, below)]
        if isinstance(given, list):
            listed = cast(list[Any], given)
            operands = [(operand, f"{below}/{number}") for number, operand in enumerate(listed)]
        # An operand that fails is nearly always the error of the whole, which then tells it too; an
        # engine may also do without the operand.
        with contextlib.suppress(Failed):
            self._walk_operands(name, operands, scope)
        return self.record(node, pointer, scope)

    def _walk_operands(self, name: str, operands: list[tuple[Any, str]], scope: Scope) -> None:
        if name in growth.LOOPS:
            self._walk_loop(name, operands, scope)
        elif name in {"if", "?:"}:
            self._walk_branches(operands, scope)
        elif name in {"and", "or", "??"}:
            for operand, pointer in operands:
                if _decides(name, self.walk(operand, pointer, scope)):
                    return
        else:
            for operand, pointer in operands:
                self.walk(operand, pointer, scope)

    def _walk_branches(self, operands: list[tuple[Any, str]], scope: Scope) -> None:
        for place in range(0, len(operands) - 1, 2):
            if self.walk(*operands[place], scope):
                self.walk(*operands[place + 1], scope)
                return
        if len(operands) % 2:
            self.walk(*operands[-1], scope)

    def _walk_loop(self, name: str, operands: list[tuple[Any, str]], scope: Scope) -> None:
        elements = self.walk(*operands[0], scope)
        if not isinstance(elements, list):
            return
        body, pointer = operands[1]
        accumulator = operands[2][0] if name == "reduce" else None
        kind = Kind.ROUND if name == "reduce" else Kind.ELEMENT
        for number, element in enumerate(cast(list[Any], elements)):
            if number >= ROUNDS_MAX or accumulator is TOO_LARGE:
                self.shortened = True
                return
            inner = Scope(kind, element, accumulator=accumulator, number=number)
            accumulator = self.walk(body, pointer, inner)
            if name in _ENDS and bool(accumulator) is _ENDS[name]:
                return


# These loops know their answer as soon as a round gave this.
_ENDS = {"all": False, "some": True, "none": True}


def _decides(name: str, value: Any) -> bool:
    match name:
        case "and":
            return not value
        case "or":
            return bool(value)
        case _:
            return value is not None


def trace(condition: Any, facts: port.Facts, *, outcome: port.Outcome, look: Look) -> port.Trace:
    """The trace of an evaluation that gave this outcome."""
    recording = _Recording(look)
    scope = Scope(Kind.EVENT, None)
    value: msgspec.Raw | None = None
    cut_off = False
    try:
        scope.value = facts.value
        result = recording.walk(condition, "", scope)
        value = recording.steps[-1].value if recording.steps else _short(_encode(result))
    except _CutOff:
        cut_off = True
    except (Failed, ValueError, RecursionError):
        pass  # The outcome says it.
    return port.Trace(
        outcome=outcome,
        value=value,
        steps=recording.steps,
        cut_off=cut_off or recording.shortened,
        why=explain.why(condition, recording.steps, scope.value, outcome),
    )


def _short(encoded: bytes) -> msgspec.Raw:
    """JSON; when it is long, its head as text with a mark at the end."""
    if len(encoded) <= VALUE_BYTES_MAX:
        return msgspec.Raw(encoded)
    head = encoded[:VALUE_BYTES_MAX].decode(errors="ignore")
    return msgspec.Raw(_encode(f"{head}... ({len(encoded)} bytes)"))
