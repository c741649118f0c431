"""Random faults under load, by a seed that is written before the start: `make chaos`.

CHAOS_SECONDS (60) of faults, CHAOS_SEED (drawn and printed). A quarter of the periods is calm, so
that the system can recover instead of being simply dead. A run in which too little happened is a
failure: it proved nothing.
"""

import contextlib
import json
import os
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cli.stack import services
from tests import invariants
from tests.consumer import rule_rows
from tests.fixtures import client, sink, stack
from tests.fixtures.deadlines import eventually

PERIOD_SECONDS = (1.0, 4.0)
FREEZE_SECONDS_MAX = 14.0
DRAIN_SECONDS = 120.0
ACCEPTED_MIN_PER_FAULT = 5

FAULTS = {
    "kill api": 2,
    "kill relay": 3,
    "kill consumer": 3,
    "kill dispatcher": 3,
    "freeze relay": 2,
    "freeze consumer": 2,
    "freeze dispatcher": 2,
    "stop relay": 1,
    "stop consumer": 1,
    "stop dispatcher": 1,
    "kill broker": 2,
    "freeze broker": 1,
    "restart postgres": 1,
    "crash postgres": 1,
    "calm": 6,
}


MEMBERS: tuple[tuple[services.Kind, int], ...] = (
    ("relay", 2),
    ("consumer", 2),
    ("dispatcher", 2),
    ("api", 1),
)
# A receiver that is well, one that is away now and then, and one that takes a request and resets
# the connection now and then: nobody can know what became of those.
RECEIVERS = {
    "well": ["ok"],
    "shaky": [*["ok"] * 4, "status/503"] * 5_000,
    "torn": [*["ok"] * 4, "reset"] * 5_000,
}
QUICK_SCHEDULE = {
    "DELIVERY_SCHEDULE_SECONDS": "[0.2,0.5,1,2,2,2,2,2,2,2]",
    "DELIVERY_LEASE_MARGIN_SECONDS": "5",
    "BREAKER_SECONDS": "1",
    "DELIVERY_TIMEOUT_MS": "3000",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One fault of the schedule, with which instance it hits and how long it lasts."""

    fault: str
    instance: int
    seconds: float


def schedule(seed: int, *, seconds: float) -> list[Step]:
    """The whole plan, drawn before the start: a replay does not depend on timing."""
    chance = random.Random(seed)
    steps: list[Step] = []
    while sum(step.seconds for step in steps) < seconds:
        fault = chance.choices(list(FAULTS), weights=list(FAULTS.values()))[0]
        steps.append(
            Step(
                fault=fault,
                instance=chance.randrange(2),
                seconds=round(chance.uniform(*PERIOD_SECONDS), 2),
            )
        )
    return steps


@pytest.fixture
def stack_of_receivers() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as opened:
        yield opened


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_nothing_is_lost_and_nothing_happens_twice_under_random_faults(
    private_system: stack.System,
    private_servers: stack.Servers,
    stack_of_receivers: contextlib.ExitStack,
    tmp_path: Path,
) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
    seconds = float(os.environ.get("CHAOS_SECONDS") or 60)
    steps = schedule(seed, seconds=seconds)
    (tmp_path / "schedule.json").write_bytes(msgspec.json.encode(steps))
    print(f"\nseed {seed}: {json.dumps(Counter(step.fault for step in steps))}")
    system = private_system
    members: dict[str, list[services.ServiceProcess]] = {
        kind: [
            system.start(kind, name=f"{kind}-{number}", wait=True, **QUICK_SCHEDULE)
            for number in range(count)
        ]
        for kind, count in MEMBERS
    }
    receivers = _receivers(stack_of_receivers)
    rule_rows.store(system.database, True, event_type="order.paid", actions=_webhooks(receivers))
    load = client.Load(members["api"][0].url, threads=6)
    load.start()
    try:
        for step in steps:
            _perform(step, members, private_servers)
    finally:
        _heal(members, private_servers)
        load.stop()

    eventually(
        lambda: invariants.violations(system.database) == [],
        deadline_seconds=DRAIN_SECONDS,
        what="the drain",
    )
    records = invariants.read_topics(system.topics)
    dropped = system.database.rows("select verdict, count(*) from dropped_records group by verdict")
    print(
        f"accepted {load.accepted}, retried {load.retries}, records {len(records)}, "
        f"published again {invariants.duplicates_in(records)}, dropped {dict(dropped)}"
    )
    assert invariants.log_violations(system.database, records) == []
    _nothing_lost(system, load)
    _every_webhook_arrived_under_its_id(system, load, receivers)
    faults = sum(step.fault != "calm" for step in steps)
    assert load.accepted >= ACCEPTED_MIN_PER_FAULT * faults, "inconclusive: too little was accepted"


def _receivers(opened: contextlib.ExitStack) -> dict[str, sink.Sink]:
    receivers = {name: opened.enter_context(sink.Sink()) for name in RECEIVERS}
    for name, receiver in receivers.items():
        receiver.script(name, *RECEIVERS[name], "ok")
    return receivers


def _webhooks(receivers: dict[str, sink.Sink]) -> list[dict[str, Any]]:
    return [
        {
            "key": name,
            "type": "call_webhook",
            "params": {"url": receiver.url(f"/script/{name}"), "body": {"id": "{{ external_id }}"}},
        }
        for name, receiver in receivers.items()
    ]


def _every_webhook_arrived_under_its_id(
    system: stack.System, load: client.Load, receivers: dict[str, sink.Sink]
) -> None:
    """I16 and I17, from both sides: what the ledger says and what the receivers saw."""
    hits = [hit for receiver in receivers.values() for hit in receiver.hits]
    bodies: dict[str, set[str]] = {}
    for hit in hits:
        bodies.setdefault(hit.webhook_id, set()).add(hit.body_hash)
    ledger = {
        str(row[0]): row[1] for row in system.database.rows("select id, state from deliveries")
    }
    attempts = Counter(
        dict(
            system.database.rows("select outcome, count(*) from delivery_attempts group by outcome")
        )
    )
    print(f"deliveries {len(ledger)}, requests {len(hits)}, attempts {dict(attempts)}")
    assert set(ledger.values()) == {"confirmed"}
    assert len(ledger) == len(RECEIVERS) * len(load.paid)
    assert bodies.keys() == ledger.keys()
    assert {len(seen) for seen in bodies.values()} == {1}
    assert attempts["confirmed"] == len(ledger)
    assert len(hits) <= attempts.total()


def _perform(
    step: Step, members: dict[str, list[services.ServiceProcess]], servers: stack.Servers
) -> None:
    verb, _, target = step.fault.partition(" ")
    broker = servers.kafka.brokers[0]
    match verb, target:
        case "calm", _:
            _hold(step.seconds)
        case "kill", "broker":
            broker.kill()
            _hold(step.seconds)
            broker.start()
            broker.wait_ready()
        case "freeze", "broker":
            broker.pause()
            _hold(step.seconds)
            broker.resume()
        case _, "postgres":
            servers.postgres.stop("immediate" if verb == "crash" else "fast")
            _hold(step.seconds / 2)
            servers.postgres.start()
        case _:
            process = members[target][step.instance % len(members[target])]
            _break_service(verb, process, seconds=step.seconds)


def _break_service(verb: str, process: services.ServiceProcess, *, seconds: float) -> None:
    if verb == "freeze":
        process.pause()
        # Sometimes longer than a lease or a session (10 s), so that another one takes over.
        _hold(min(seconds * 4, FREEZE_SECONDS_MAX))
        process.resume()
        return
    if verb == "kill":
        process.kill()
    else:
        process.stop()
    _hold(seconds / 2)
    process.start()


def _heal(members: dict[str, list[services.ServiceProcess]], servers: stack.Servers) -> None:
    servers.kafka.brokers[0].resume()
    servers.kafka.brokers[0].start()
    servers.kafka.brokers[0].wait_ready()
    servers.postgres.start()
    for process in (process for group in members.values() for process in group):
        process.resume()
        if not process.child.alive:
            process.start()
    for process in (process for group in members.values() for process in group):
        process.wait_ready(60)


def _hold(seconds: float) -> None:
    """Let a fault last: its duration is part of the schedule, and nothing is waited for."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, deadline_seconds=seconds + 5)


def _nothing_lost(system: stack.System, load: client.Load) -> None:
    orders = system.database.rows("select id::text, status from orders")
    assert load.orders <= {row[0] for row in orders}
    assert load.paid <= {row[0] for row in orders if row[1] == "paid"}
    ingested = system.database.rows(
        "select external_id from events where source <> 'oncely:orders'"
    )
    assert load.events <= {row[0] for row in ingested}
    assert system.database.value("select count(*) from dead_letters") == 0
