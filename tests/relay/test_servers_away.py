import threading

import psycopg
import pytest

from tests.fixtures import stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows

pytestmark = pytest.mark.chaos

KEYS = 20


def _write_steadily(system: stack.System, stop: threading.Event, written: list[int]) -> None:
    """A writer that outlives a restart of Postgres: a transaction of one row for every key."""
    seq = 0
    while not stop.wait(0.01):
        try:
            with psycopg.connect(system.database.url(), connect_timeout=2) as conn:
                while not stop.wait(0.01):
                    for number in range(KEYS):
                        rows.insert(conn, system.topics.orders, key=f"key-{number}", seq=seq + 1)
                    conn.commit()
                    seq += 1
        except psycopg.OperationalError:
            # The outcome of the last commit may be unknown: look.
            seq = _last_sequence(system, seq, stop)
    written.append(seq * KEYS)


def _last_sequence(system: stack.System, seq: int, stop: threading.Event) -> int:
    while not stop.wait(0.05):
        try:
            return system.database.value("select coalesce(max(aggregate_seq), 0) from outbox")
        except psycopg.OperationalError:
            continue
    return seq


def test_a_killed_broker_loses_nothing_and_readiness_tells_the_truth(
    private_system: stack.System, private_servers: stack.Servers
) -> None:
    relay = private_system.start("relay")
    stop, written = threading.Event(), list[int]()
    writer = threading.Thread(target=_write_steadily, args=(private_system, stop, written))
    writer.start()
    try:
        eventually(
            lambda: private_system.database.value("select count(published_at) from outbox") > 100,
            what="a flow",
        )
        broker = private_servers.kafka.brokers[0]
        broker.kill()
        eventually(lambda: not relay.ready(), what="not ready without a broker")
        before = rows.unpublished(private_system.database)
        eventually(lambda: rows.unpublished(private_system.database) > before, what="a backlog")
        assert relay.child.alive
        broker.start()
        broker.wait_ready()
        eventually(relay.ready, deadline_seconds=30, what="ready again")
    finally:
        stop.set()
        writer.join()

    eventually(
        lambda: rows.all_published(private_system.database), deadline_seconds=30, what="a drain"
    )
    log = rows.read_log(private_system.topics.bootstrap_servers, private_system.topics.orders)
    rows.require_order(log)
    rows.require_honest_marks(private_system.database, log)
    assert {record.envelope.outbox_id for record in log} == {
        row[0] for row in private_system.database.rows("select id from outbox")
    }
    assert private_system.database.value("select count(*) from dead_letters") == 0


def test_a_restarted_postgres_loses_nothing_and_readiness_tells_the_truth(
    private_system: stack.System, private_servers: stack.Servers
) -> None:
    relay = private_system.start("relay", wait=True, **rows.SHORT_LEASES)
    stop, written = threading.Event(), list[int]()
    writer = threading.Thread(target=_write_steadily, args=(private_system, stop, written))
    writer.start()
    try:
        eventually(
            lambda: private_system.database.value("select count(published_at) from outbox") > 100,
            what="a flow",
        )
        private_servers.postgres.stop("immediate")
        eventually(lambda: not relay.ready(), what="not ready without Postgres")
        private_servers.postgres.start()
        eventually(relay.ready, deadline_seconds=20, what="ready again")
    finally:
        stop.set()
        writer.join()

    eventually(
        lambda: rows.all_published(private_system.database), deadline_seconds=30, what="a drain"
    )
    log = rows.read_log(private_system.topics.bootstrap_servers, private_system.topics.orders)
    rows.require_order(log)
    assert {record.envelope.outbox_id for record in log} == {
        row[0] for row in private_system.database.rows("select id from outbox")
    }
