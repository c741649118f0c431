"""Throws rules, data, actions and templates at shared.rules: `python -m tests.fuzz.rules --seconds
10 --seed 1`. Only refusals may come out, in bounded time, the same each time it is asked.
"""

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import psutil

from shared import rules, templates
from shared.rules import actions, allowed, patterns, port, tracing
from tests.shared.rules import hostile, samples

SECONDS_MAX = 1.0
GROWTH_BYTES_MAX = 256 * 1024 * 1024
_LIMITS = samples.LIMITS
_encode = msgspec.json.encode

_OPERATORS = [
    *allowed.OPERATORS["datalogic"],
    "method",
    "log",
    "now",
    "val",
    "",
    "a.b",
    "__class__",
]
_LOOPS = ["map", "filter", "all", "some", "none", "reduce"]
_NAMES = (
    ["", "xs", "big", "zero", "text", "digits", "accumulator", "current", "current.x", "xs.0"],
    ["xs.9", "xs.-1", "event.id", "o.a.b", "__class__", "a" * 300, "0" * 90, "text.0", "\u00e9"],
)
_SCALARS: list[Any] = [None, True, False, 0, 1, -1, 2.5, -0.0, 1e300, 2**53, 2**64, 10**30, 1e-320]
_TEXTS = [
    "",
    "a",
    "1",
    "1e3",
    "nan",
    "9" * 400,
    "a" * 3_000,
    "\0",
    "\ud800",
    "{{ id }}",
    "%s",
    "\n",
]
_TEMPLATES = [
    "{{ id }}",
    "{{ data.xs.0 }}",
    "{{",
    "}}",
    "{{ data }}",
    "{{ a }}",
    "{{x()}}",
    "/",
    "\r\n",
]
_LIKELY = {"level": "info", "method": "PUT", "to": "a@b.c", "body": {"a": "{{ data.xs.0 }}"}}


class Fuzzer:
    """One run: a seeded source of chance, and what was seen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.seen: Counter[str] = Counter()
        self.slowest = (0.0, "")
        self.events = [samples.facts(hostile.data(name)) for name in hostile.DATA]

    def scalar(self) -> Any:
        pool = self.random.choice([_SCALARS, _TEXTS, _NAMES[0], _NAMES[1]])
        return self.random.choice(pool)

    def node(self, depth: int) -> Any:
        chance = self.random.random()
        if depth <= 0 or chance < 0.2:
            return self.scalar()
        if chance < 0.45:
            return {"var": self.random.choice(self.random.choice(_NAMES))}
        if chance < 0.55:
            return [self.node(depth - 1) for _ in range(self.random.randint(0, 4))]
        if chance < 0.57:
            return {"a": 1, "b": self.node(depth - 1)}
        return self.operator(depth)

    def operator(self, depth: int) -> Any:
        name = self.random.choice(self.random.choice([_OPERATORS, _LOOPS]))
        known = allowed.OPERATORS["datalogic"].get(name)
        least = known.arguments_min if known else 0
        most = (known.arguments_max if known else None) or least + 2
        operands = [self.node(depth - 1) for _ in range(self.random.randint(least, most))]
        if name == "reduce" and len(operands) == 3 and self.random.random() < 0.8:
            operands[2] = self.random.choice([0, "", 1, "ab"])
        if self.random.random() < 0.05:
            operands.pop() if operands else operands.append(1)
        return {
            name: operands[0] if len(operands) == 1 and self.random.random() < 0.3 else operands
        }

    def mutated(self, value: Any) -> Any:
        """The same JSON with some bytes changed; None when it is no JSON any more."""
        try:
            data = bytearray(_encode(value))
            for _ in range(self.random.randint(1, 3)):
                place = self.random.randrange(len(data))
                other = self.random.randrange(len(data))
                match self.random.randint(0, 2):
                    case 0:
                        data[place] = self.random.choice(b'{}[]":,0129.eaE-\\u')
                    case 1:
                        del data[place : place + self.random.randint(1, 4)]
                    case _:
                        data[place:place] = data[other : other + self.random.randint(1, 20)]
                if not data:
                    return None
            return msgspec.json.decode(bytes(data))
        except (UnicodeEncodeError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def condition(self) -> Any:
        match self.random.randint(0, 9):
            case 0:
                known = self.random.choice([hostile.BOUNDED, hostile.REFUSED])
                chosen = self.random.choice(list(known))
                return (
                    None if "100000" in chosen or "2000" in chosen else self.mutated(known[chosen])
                )
            case 1:
                return self.mutated(self.operator(4))
            case _:
                return self.operator(self.random.randint(1, 6))

    def template(self) -> str:
        pieces = self.random.choices(
            [*_TEMPLATES, *_TEXTS, *_NAMES[0]], k=self.random.randint(0, 6)
        )
        return "".join(pieces)

    def action(self) -> Any:
        kind = self.random.choice(["log", "noop", "call_webhook", "send_email", "sms", None])
        names = self.random.choice([["message", "level"], ["method", "headers", "body", "target"]])
        names = self.random.choice([names, ["to", "subject", "body", "url"]])
        params: dict[str, Any] = {}
        for name in self.random.sample(names, k=self.random.randint(0, len(names))):
            likely = _LIKELY.get(name, self.template())
            params[name] = self.random.choice([likely, likely, self.template(), self.node(2)])
        if self.random.random() < 0.5:
            params["url"] = "https://example.com/" + self.template()
        if self.random.random() < 0.3:
            params["headers"] = {self.template() or "A": self.template()}
        entry = {"type": kind, **({"params": params} if self.random.random() < 0.5 else params)}
        return self.random.choice([entry, [entry], [entry, entry]])

    def timed(self, what: str, call: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = call()
        self.slowest = max(self.slowest, (time.perf_counter() - started, what))
        self.seen[what] += 1
        return result

    def try_condition(self) -> None:
        condition = self.condition()
        for engine in port.ENGINES:
            flaws = self.timed("check", lambda e=engine: _check(condition, e))
            assert flaws == _check(condition, engine)
            assert len(flaws) <= allowed.FLAWS_MAX
            assert all(_names_a_place(condition, flaw.pointer) for flaw in flaws), flaws
            if flaws:
                continue
            compiled = self.timed(
                "compile",
                lambda e=engine: rules.compile_condition(condition, engine=e, limits=_LIMITS),
            )
            facts = self.random.choice(self.events)
            outcome = self.timed(f"evaluate {engine}", lambda c=compiled, f=facts: c.evaluate(f))
            self.seen[outcome.result] += 1
            assert compiled.evaluate(facts) == outcome
            assert outcome.pointer is None or _names_a_place(condition, outcome.pointer)
            if self.random.random() < 0.1:
                self.try_trace(compiled, facts, outcome)

    def try_trace(self, compiled: port.Condition, facts: port.Facts, outcome: port.Outcome) -> None:
        trace = self.timed(f"trace {compiled.engine}", lambda: compiled.trace(facts))
        assert trace.outcome == outcome
        assert len(trace.steps) <= tracing.STEPS_MAX
        assert 0 < len(trace.why) <= 300
        _encode(trace)

    def try_action(self) -> None:
        value = self.action()
        try:
            read = self.timed("read", lambda: actions.read(value, limits=_LIMITS))
        except port.Refused:
            self.seen["refused"] += 1
            return
        assert actions.read(value, limits=_LIMITS) == read
        for action in read:
            facts = self.random.choice(self.events)
            rendered = self.timed(
                "render", lambda a=action, f=facts: actions.render(a, f, limits=_LIMITS)
            )
            assert len(_encode(rendered.params)) <= _LIMITS.output_bytes_max
            url = str(rendered.params.get("url", "https://example.com/"))
            assert url.startswith("https://example.com/")
            assert url.isprintable()
            assert not {"\r", "\n"} & set("".join(rendered.params.get("headers", {}).values()))

    def try_text(self) -> None:
        text = self.template()
        try:
            self.timed("parse", lambda: templates.parse(text))
        except templates.Malformed:
            self.seen["malformed"] += 1
        if not patterns.check(text):
            assert text in patterns.candidates(text)

    def step(self) -> None:
        self.random.choice([self.try_condition] * 6 + [self.try_action] * 3 + [self.try_text])()


def _check(condition: Any, engine: port.EngineName) -> list[port.Flaw]:
    return rules.check(condition, engine=engine, limits=_LIMITS)


def _names_a_place(condition: Any, pointer: str) -> bool:
    node: Any = condition
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        try:
            node = node[int(name) if isinstance(node, list) else name]
        except (KeyError, IndexError, TypeError, ValueError):
            return False
    return True


def run(*, seconds: float, seed: int) -> Fuzzer:
    """Fuzz for so long. Raises on the first finding, which the seed and the step number repeat."""
    fuzzer = Fuzzer(seed)
    process = psutil.Process()
    before = process.memory_info().rss
    ends = time.monotonic() + seconds
    step = 0
    while time.monotonic() < ends:
        step += 1
        state = fuzzer.random.getstate()
        try:
            fuzzer.step()
            assert fuzzer.slowest[0] < SECONDS_MAX, fuzzer.slowest
        except Exception as error:
            fuzzer.random.setstate(state)
            error.add_note(f"seed {seed}, step {step}")
            raise
    growth = process.memory_info().rss - before
    assert growth < GROWTH_BYTES_MAX, growth
    fuzzer.seen["steps"] = step
    fuzzer.seen["rss growth"] = growth
    return fuzzer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    try:
        fuzzer = run(seconds=given.seconds, seed=given.seed)
    except Exception:  # noqa: BLE001 - a finding is told as a whole
        traceback.print_exc()
        return 1
    for what, count in sorted(fuzzer.seen.items()):
        print(f"{what:28} {count}")
    print(f"slowest: {fuzzer.slowest[1]}, {fuzzer.slowest[0] * 1000:.1f} ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
