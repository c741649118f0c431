"""Broker and database are killed under load: nothing lost, nothing twice, everything drains."""

from collections.abc import Callable

import pytest

from tests import invariants
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

pytestmark = pytest.mark.chaos

DRAIN_SECONDS = 60.0


def _drained(system: stack.System) -> bool:
    return (
        system.database.value(
            "select (select count(*) from events) = (select count(*) from processed_events)"
        )
        and invariants.violations(system.database) == []
    )


def _under_load(
    system: stack.System, api: str, break_it: Callable[[client.Load], None]
) -> client.Load:
    """Load before, during and after; returns when everything that was promised is applied."""
    load = client.Load(api)
    load.start()
    try:
        eventually(lambda: load.accepted > 60, what="load before the fault", deadline_seconds=30)
        break_it(load)
        after = load.accepted
        eventually(
            lambda: load.accepted > after + 60,
            what="load after the fault",
            deadline_seconds=60,
        )
    finally:
        load.stop()
    eventually(lambda: _drained(system), deadline_seconds=DRAIN_SECONDS, what="the drain")
    return load


def _nothing_lost_nothing_twice(system: stack.System, load: client.Load) -> None:
    rows = system.database.rows("select id::text, status from orders")
    assert {row[0] for row in rows} == load.orders
    assert {row[0] for row in rows if row[1] == "paid"} == load.paid
    external = system.database.rows(
        "select external_id from events where source <> 'oncely:orders'"
    )
    assert {row[0] for row in external} == load.events
    assert system.database.value("select count(*) from ledger_entries") == 2 * len(load.paid)
    assert system.database.value("select count(*) from dead_letters") == 0
    assert invariants.violations(system.database) == []
    records = invariants.read_topics(system.topics)
    assert invariants.log_violations(system.database, records) == []


def test_broker_killed_and_started_again_under_load(
    private_system: stack.System, private_servers: stack.Servers
) -> None:
    api = private_system.start_all()
    relay = private_system.services[0]
    broker = private_servers.kafka.brokers[0]

    def kill_and_restart(load: client.Load) -> None:
        broker.kill()
        before = load.accepted
        eventually(lambda: load.accepted > before + 60, what="orders while the broker is away")
        eventually(lambda: not relay.ready(), what="the relay to say so", deadline_seconds=30)
        assert api.ready()
        broker.start()
        broker.wait_ready()
        eventually(relay.ready, what="the relay to be ready again", deadline_seconds=30)

    load = _under_load(private_system, api.url, kill_and_restart)

    _nothing_lost_nothing_twice(private_system, load)


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_postgres_restarted_under_load(
    private_system: stack.System,
    private_servers: stack.Servers,
    mode: stack.postgres.StopMode,
) -> None:
    api = private_system.start_all()

    def restart(_: client.Load) -> None:
        private_servers.postgres.stop(mode)
        for process in private_system.services:
            eventually(
                lambda process=process: not process.ready(),
                what=f"{process.name} to say that it is not ready",
                deadline_seconds=30,
            )
        private_servers.postgres.start()
        for process in private_system.services:
            eventually(
                lambda process=process: process.ready(),
                what=f"{process.name} to be ready again",
                deadline_seconds=30,
            )

    load = _under_load(private_system, api.url, restart)

    _nothing_lost_nothing_twice(private_system, load)


def test_services_killed_in_turn_under_load(system: stack.System) -> None:
    api = system.start_all()
    relay, consumer = system.services[:2]
    system.start("relay", name="relay-b")
    system.start("consumer", name="consumer-b")

    def kill_in_turn(load: client.Load) -> None:
        for process in (relay, consumer, api):
            before = load.accepted
            process.kill()
            process.start()
            process.wait_ready(30)
            eventually(
                lambda before=before: load.accepted > before + 30,
                what=f"load after {process.name} was killed",
                deadline_seconds=30,
            )

    load = _under_load(system, api.url, kill_in_turn)

    _nothing_lost_nothing_twice(system, load)
