"""Rules that are taken and hostile are stopped in milliseconds, and leave the worker as it was."""

import gc
import importlib
import threading
import time
from typing import Any

import psutil
import pytest

from shared.rules import port
from tests.shared.rules import hostile, samples

SECONDS_MAX = 0.25
# The first time: decoded events, the engines' own pools. After that: nothing.
FIRST_BYTES_MAX = 96 * 1024 * 1024
GROWTH_BYTES_MAX = 8 * 1024 * 1024


def _taken(engine: port.EngineName) -> dict[str, port.Condition]:
    return {
        name: samples.compiled(condition, engine)
        for name, condition in hostile.BOUNDED.items()
        if not samples.refused(condition, engine)
    }


@pytest.mark.parametrize("engine", port.ENGINES)
def test_hostile_rules_stop_in_milliseconds_without_memory(engine: port.EngineName) -> None:
    conditions = _taken(engine)
    events = {name: samples.facts(hostile.data(name)) for name in hostile.DATA}
    process = psutil.Process()
    before = process.memory_info().rss

    slowest = _slowest(conditions, events)
    gc.collect()
    first = process.memory_info().rss
    slowest = max(slowest, _slowest(conditions, events))
    growth = process.memory_info().rss - first

    print(f"{engine}: rss {before}, then {first}, then {growth:+}; {slowest * 1000:.1f} ms at most")
    assert slowest < SECONDS_MAX
    assert first - before < FIRST_BYTES_MAX
    assert growth < GROWTH_BYTES_MAX
    assert len(conditions) >= len(hostile.BOUNDED) - 2


def _slowest(conditions: dict[str, port.Condition], events: dict[str, port.Facts]) -> float:
    """Seconds of the slowest evaluation."""
    slowest = 0.0
    for condition in conditions.values():
        for facts in events.values():
            started = time.perf_counter()
            outcome = condition.evaluate(facts)
            slowest = max(slowest, time.perf_counter() - started)
            assert (outcome.result == "failed") == (outcome.error_class is not None)
    return slowest


@pytest.mark.parametrize("engine", port.ENGINES)
def test_other_rules_go_on_after_one_that_exceeds_its_budget(engine: port.EngineName) -> None:
    facts = samples.facts(hostile.data("numbers"))
    greedy = samples.compiled(hostile.BOUNDED["reduce and cat doubling"], engine)
    modest = samples.compiled({"==": [{"var": "zero"}, 0]}, engine)

    outcome = greedy.evaluate(facts)

    assert outcome.error_class == "BudgetExceeded"
    assert outcome.pointer is not None
    assert outcome.pointer.startswith("/!!/0/reduce/1")
    assert modest.evaluate(facts) is port.MATCHED


def test_threads_do_not_spend_each_others_budget() -> None:
    condition = samples.compiled(
        {"some": [{"var": "xs"}, {"<": [{"var": ""}, 0]}]}, "json-logic-qubit"
    )
    facts = samples.facts({"xs": list(range(1_000))})
    results: list[port.Outcome] = []

    def evaluate() -> None:
        results.extend(condition.evaluate(facts) for _ in range(10))

    threads = [threading.Thread(target=evaluate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert results == [port.NOT_MATCHED] * 40


def test_the_module_that_others_import_is_not_changed() -> None:
    others: Any = importlib.import_module("json_logic")

    assert others.jsonLogic({"method": ["abc", "upper"]}) == "ABC"
    assert "method" in others.operations
