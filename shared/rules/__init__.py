"""Rules: JSONLogic conditions on events, checked, compiled and evaluated with a budget; actions and
their templates. Pure: no I/O, no clock.

`check` and `compile_condition` are what the api calls at save and what the consumer runs: the same
code, so a rule that was accepted is the rule that is evaluated.
"""

from typing import Any, assert_never

from shared.rules import allowed, datalogic_engine, port, qubit_engine


def check(condition: Any, *, engine: port.EngineName, limits: port.Limits) -> list[port.Flaw]:
    """Everything that is wrong with a condition (a decoded JSON value); empty when it is taken."""
    return allowed.check(condition, engine=engine, limits=limits)


def compile_condition(
    condition: Any, *, engine: port.EngineName, limits: port.Limits
) -> port.Condition:
    """Compile a condition that `check` takes. Raises port.Refused with the flaws of another."""
    flaws = check(condition, engine=engine, limits=limits)
    if flaws:
        raise port.Refused(flaws)
    match engine:
        case "datalogic":
            return datalogic_engine.DatalogicCondition(condition, limits=limits)
        case "json-logic-qubit":
            return qubit_engine.QubitCondition(condition, limits=limits)
    assert_never(engine)


def engine_version(engine: port.EngineName) -> str:
    """The version of the installed engine, e.g. 5.9.0."""
    return datalogic_engine.VERSION if engine == "datalogic" else qubit_engine.VERSION
