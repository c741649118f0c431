"""Claims: an evaluation costs microseconds; the consumer's cost grows no faster than the number of
rules that look at an event's type, and rules of other types are free.

`python -m benchmarks.rules [--events N] [--rounds R]`. Every event must have exactly one verdict
of every rule, a tenth of them "applied", else the run fails.
"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Any

import datalogic_py
import msgspec
import uuid_utils.compat

from benchmarks import consumer
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, Line, Sizes
from shared import rules
from shared.rules import port
from tests.fixtures import stack

TYPE = "payment.completed"
COUNTS = (0, 1, 10, 100, 1000)
SHAPES: dict[str, Any] = {
    "comparison": {">": [{"var": "amount"}, 10_000]},
    "and, in, or": {
        "and": [
            {">": [{"var": "amount"}, 10]},
            {"in": [{"var": "country"}, ["BR", "AR", "CL"]]},
            {"or": [{"==": [{"var": "customer"}, "customer-7"]}, {"!": [{"var": "blocked"}]}]},
        ]
    },
    "reduce": {
        ">": [
            {
                "reduce": [
                    {"var": "items"},
                    {"+": [{"var": "accumulator"}, {"var": "current.quantity"}]},
                    0,
                ]
            },
            2,
        ]
    },
}
EVALUATIONS = 60_000
DATA = msgspec.json.encode(
    {
        "amount": 12_000,
        "country": "BR",
        "customer": "customer-7",
        "note": "x" * 180,
        "items": [{"sku": "a-1", "quantity": 2}, {"sku": "b-2", "quantity": 1}],
    }
)
# Counted: the cost per rule may not rise with their number. A fifth is the noise of two cores.
GROWTH_MAX = 1.2
UNRELATED_MIN = 0.9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=FULL.rule_events)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = msgspec.structs.replace(FULL, rule_events=options.events, rounds=options.rounds)
    with bench_servers.running() as servers:
        lines = measure(servers, sizes)
    for line in lines:
        print(f"{line.claim}: {line.median:,.2f} {line.unit} {line.target} {line.note}")
    return int(any(line.met is False for line in lines))


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """Both parts of the claim."""
    return [*measure_engines(sizes), *measure_consumer(servers, sizes)]


def measure_engines(sizes: Sizes) -> list[Line]:
    """Evaluations a second on one core: both engines behind the port, and the native call."""
    lines: list[Line] = []
    for name, condition in SHAPES.items():
        rates: dict[str, list[float]] = {"datalogic": [], "json-logic-qubit": [], "native": []}
        for _ in range(sizes.rounds):
            for engine in port.ENGINES:
                rates[engine].append(_rate(engine, condition))
            rates["native"].append(_native_rate(condition))
        lines += [
            Line(
                claim=f"rule ({name}), {engine}",
                unit="evaluations/s",
                values=values,
                note=f"{statistics.median(values) / statistics.median(rates['native']):.2f}"
                " of the native call"
                if engine != "native"
                else "datalogic called directly on a parsed document: the limit",
            )
            for engine, values in rates.items()
        ]
    return lines


def measure_consumer(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """The consumer with 0 to 1,000 rules on the type, and with 1,000 on another type."""
    rates: dict[str, list[float]] = {}
    for _ in range(sizes.rounds):
        for count in COUNTS:
            rates.setdefault(f"{count:,}", []).append(_consume(servers, sizes, count=count))
        unrelated = _consume(servers, sizes, count=1000, event_type="another.type")
        rates.setdefault("1,000 unrelated", []).append(unrelated)
    median = {name: statistics.median(values) for name, values in rates.items()}
    alone = median["0"]
    per_rule = {
        count: (1e6 / median[f"{count:,}"] - 1e6 / alone) / count for count in COUNTS if count
    }
    growth = per_rule[1000] / per_rule[10]
    free = median["1,000 unrelated"] / alone
    return [
        *(
            Line(
                claim=f"consumer with {name} rules on the type"
                if "unrelated" not in name
                else "consumer with 1,000 rules on another type",
                unit="events/s",
                values=values,
                note=_note(name, per_rule),
            )
            for name, values in rates.items()
        ),
        Line(
            claim="cost per rule, 1,000 rules / 10 rules",
            unit="ratio",
            values=[growth],
            target=f"<= {GROWTH_MAX}",
            met=growth <= GROWTH_MAX,
        ),
        Line(
            claim="1,000 unrelated rules / no rules",
            unit="ratio",
            values=[free],
            target=f">= {UNRELATED_MIN}",
            met=free >= UNRELATED_MIN,
        ),
    ]


def _note(name: str, per_rule: dict[int, float]) -> str:
    cost = {f"{count:,}": value for count, value in per_rule.items()}.get(name)
    return "" if cost is None else f"{cost:.1f} us per rule and event, history written"


def _rate(engine: port.EngineName, condition: Any) -> float:
    compiled = rules.compile_condition(condition, engine=engine, limits=port.Limits())
    count = EVALUATIONS if engine == "datalogic" else EVALUATIONS // 10
    facts = port.Facts(
        event_id=uuid_utils.compat.uuid7(), event_type=TYPE, source="s", subject=None, data=DATA
    )
    assert compiled.evaluate(facts).result == "matched"
    started = time.perf_counter()
    for _ in range(count):
        compiled.evaluate(facts)
    return count / (time.perf_counter() - started)


def _native_rate(condition: Any) -> float:
    rule = datalogic_py.Engine().compile(condition)
    handle = datalogic_py.DataHandle(DATA.decode())
    started = time.perf_counter()
    for _ in range(EVALUATIONS):
        rule.evaluate_data_str(handle)
    return EVALUATIONS / (time.perf_counter() - started)


def _consume(servers: stack.Servers, sizes: Sizes, *, count: int, event_type: str = TYPE) -> float:
    """Fewer events where each costs more, so that every run takes about as long."""
    share = 1 if event_type != TYPE else max(count // 10, 1)
    events = max(sizes.rule_events // share, 600)
    looked_at = count if event_type == TYPE else 0
    result = consumer.run(
        servers,
        count=events,
        order_share=0,
        prepare=lambda database: _store(database, count=count, event_type=event_type),
        verify=lambda database: _verify(database, events=events, rules_count=looked_at),
    )
    return result.per_second


def _store(database: stack.Database, *, count: int, event_type: str) -> None:
    """Rules of which every event meets a tenth (or, where there is one rule, a tenth meets it)."""
    rows = [(uuid_utils.compat.uuid7(), number) for number in range(count)]
    with database.connect() as conn, conn.transaction(), conn.cursor() as cursor:
        cursor.executemany(
            "insert into rules (id, name) values (%s, %s)",
            [(rule_id, f"rule {number}") for rule_id, number in rows],
        )
        cursor.executemany(
            "insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) values (%s, 1, 'published', %s, %s, %s, 'datalogic', '')",
            [(rule_id, event_type, *_definition(number)) for rule_id, number in rows],
        )
        conn.execute("update rulebook_state set version = version + 1")


def _definition(number: int) -> Sequence[str]:
    condition = {
        "and": [
            {"==": [{"%": [{"var": "amount"}, 10]}, number % 10]},
            {"==": [{"var": "country"}, "BR"]},
        ]
    }
    actions: list[Any] = [{"key": "noop", "type": "noop", "params": {}}]
    return msgspec.json.encode(condition).decode(), msgspec.json.encode(actions).decode()


def _verify(database: stack.Database, *, events: int, rules_count: int) -> None:
    applied, failed = database.rows(
        "select count(*) filter (where result = 'applied'),"
        " count(*) filter (where result = 'failed') from rule_executions"
    )[0]
    skipped = database.value("select coalesce(sum(cardinality(version_ids)), 0) from rule_skips")
    assert failed == 0, failed
    assert applied + skipped == events * rules_count, (applied, skipped, events, rules_count)
    assert abs(applied - events * rules_count / 10) <= events, (applied, events, rules_count)


if __name__ == "__main__":
    raise SystemExit(main())
