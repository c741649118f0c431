"""A private copy of the json_logic module with a budget in every place where work or memory can
grow. Counts per thread; an evaluation never calls back into itself.
"""

import importlib.util
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, cast

import json_logic

from shared.rules import allowed

# Far past every number of a rule and of JSON (a double has 1024 bits), far from a slow number.
NUMBER_BITS_MAX = 1_024
NUMBER_CHARACTERS_MAX = 400

_TEXT_SHIFT = 6  # one operation for each 64 characters that are read or written
_SMALL = 64
_NOTHING = 0


class BudgetExceeded(Exception):
    """An evaluation used up its operations."""


class _Run(threading.local):
    """What one thread's evaluation may still do, and the node in which it failed."""

    left: int = 0
    total: int = 0
    failed: int = _NOTHING


_run = _Run()


def run(condition: Any, data: Any, *, operations_max: int) -> Any:
    """Evaluate. Raises BudgetExceeded and whatever the operators raise."""
    _run.left = _run.total = operations_max
    _run.failed = _NOTHING
    return _evaluate(condition, data)


def failed_node() -> int:
    """The id of the innermost node that raised in this thread's last run."""
    return _run.failed


def fits(value: Any, size_max: int) -> bool:
    """Whether a result is small enough to be written out."""
    _run.left = _run.total = size_max
    try:
        _weigh(value)
    except BudgetExceeded:
        return False
    return True


def _charge(operations: int) -> None:
    _run.left -= operations
    if _run.left < 0:
        raise BudgetExceeded(f"more than {_run.total} operations")


def _weigh(*values: Any) -> None:
    """Charge for a value that is about to be read as a whole, before it is."""
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            _charge(len(value) >> _TEXT_SHIFT)
        elif isinstance(value, dict):
            members = cast(dict[str, Any], value)
            _charge(len(members))
            waiting.extend(members)
            waiting.extend(members.values())
        elif isinstance(value, list):
            entries = cast(list[Any], value)
            _charge(len(entries))
            waiting.extend(entries)


def _weighed(operation: Callable[..., Any]) -> Callable[..., Any]:
    """For what compares, searches or writes out its operands."""

    def weighed(*operands: Any) -> Any:
        for operand in operands:
            if type(operand) in _HEAVY and len(operand):
                _weigh(operand)
        return operation(*operands)

    return weighed


_HEAVY = (str, list, dict)


def _measured(operation: Callable[..., Any]) -> Callable[..., Any]:
    """For what builds something of its operands' lengths, without looking into them."""

    def measured(*operands: Any) -> Any:
        for operand in operands:
            if isinstance(operand, list):
                _charge(len(cast(list[Any], operand)))
            elif isinstance(operand, str):
                _charge(len(operand) >> _TEXT_SHIFT)
        return operation(*operands)

    return measured


def _load() -> ModuleType:
    """The module once more, under no name: nobody else's copy is touched, nor can touch this."""
    found = json_logic.__spec__
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def _bounded_number(to_numeric: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def bounded(value: Any) -> Any:
        if type(value) is str and len(value) > NUMBER_CHARACTERS_MAX:
            raise ValueError(f"it has {len(value)} characters")
        number = to_numeric(value)
        if type(number) is int and number.bit_length() > NUMBER_BITS_MAX:
            raise OverflowError(f"more than {NUMBER_BITS_MAX} bits")
        return number

    return bounded


def _bounded_product(
    multiply: Callable[..., Any], number: Callable[[Any], Any]
) -> Callable[..., Any]:
    """The product is made before its size is seen, so the factors are looked at first."""

    def bounded(*factors: Any) -> Any:
        numbers = [number(factor) for factor in factors]
        if sum(n.bit_length() for n in numbers if type(n) is int) > 2 * NUMBER_BITS_MAX:
            raise OverflowError(f"more than {NUMBER_BITS_MAX} bits")
        return multiply(*numbers)

    return bounded


def _harden(module: Any) -> Callable[[Any, Any], Any]:
    """Bound every operation of the module's tables; give its evaluation, counted."""
    original = module.jsonLogic

    def counted(logic: Any, data: Any = None) -> Any:
        _run.left -= 1
        if _run.left < 0:
            _charge(0)
        try:
            return original(logic, data)
        except Exception:
            if _run.failed == _NOTHING and type(logic) is dict:
                _run.failed = id(cast(object, logic))
            raise

    module.jsonLogic = counted
    module._to_numeric = _bounded_number(module._to_numeric)  # noqa: SLF001
    module._var = _named(module._var)  # noqa: SLF001
    _harden_tables(module)
    return counted


def _named(var: Callable[..., Any]) -> Callable[..., Any]:
    """A computed name is text of any length; it is read part by part."""

    def named(data: Any, name: Any = None, default: Any = None) -> Any:
        if type(name) is not str or len(name) > _SMALL:
            _charge(1)
            _weigh(name)
        return var(data, name, default)

    return named


def _harden_tables(module: Any) -> None:
    common = module._common_operations  # noqa: SLF001
    heavy = {name: _weighed(common[name]) for name in _WEIGHED}
    lengths = {name: _measured(common[name]) for name in ("merge", "substr")}
    product = _bounded_product(common["*"], module._to_numeric)  # noqa: SLF001
    rest = {name: common[name] for name in common if name in allowed.CLASSIC}
    module._common_operations = {**rest, **heavy, **lengths, "*": product}  # noqa: SLF001
    module._data_operations = {**module._data_operations, "var": module._var}  # noqa: SLF001
    module._unsupported_operations = {}  # noqa: SLF001
    module._custom_operations = {}  # noqa: SLF001


_WEIGHED = ("==", "===", "!=", "!==", "<", "<=", ">", ">=", "in", "cat")
_evaluate = _harden(_load())
