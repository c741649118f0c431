from pathlib import Path

import pytest

from tests.fixtures import raw_records, stack
from tests.fixtures.deadlines import eventually
from tests.relay import rows

COUNT = 200


def _faulty(point: str, action: str) -> dict[str, str]:
    return {**rows.SHORT_LEASES, "FAULTS_ENABLED": "1", "FAILPOINTS": f"{point}=1*{action}"}


def _drained(system: stack.System) -> list[rows.Record]:
    eventually(lambda: rows.all_published(system.database), deadline_seconds=20, what="a drain")
    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    rows.require_order(log)
    rows.require_honest_marks(system.database, log)
    return log


def test_a_relay_killed_between_the_ack_and_the_mark_publishes_again(system: stack.System) -> None:
    first = system.start("relay", wait=False, **_faulty("relay.after_ack_before_mark", "kill"))
    with system.database.connect() as conn:
        rows.insert(conn, system.topics.orders, key="k", seq=1)
    eventually(lambda: not first.child.alive, what="the kill")
    assert rows.unpublished(system.database) == 1

    system.start("relay", wait=False, RELAY_PROBE_RECORDS="0", **rows.SHORT_LEASES)

    log = _drained(system)
    assert rows.sequences(log) == {"k": [1, 1]}
    assert len({record.envelope.event_id for record in log}) == 1


def test_the_last_records_of_the_log_save_the_duplicate(system: stack.System) -> None:
    first = system.start("relay", wait=False, **_faulty("relay.after_ack_before_mark", "kill"))
    rows.insert_many(system.database, system.topics.orders, keys=3, per_key=2)
    eventually(lambda: not first.child.alive, what="the kill")

    second = system.start("relay", wait=False, **rows.SHORT_LEASES)

    assert len(_drained(system)) == 6
    assert "probe done" in second.child.tail(200)


@pytest.mark.parametrize(
    "point",
    [
        "relay.after_lease_take",
        "relay.before_produce",
        "relay.after_produce_before_ack",
        "relay.after_mark_before_commit",
        "relay.after_mark_commit",
    ],
)
@pytest.mark.parametrize("action", ["kill", "raise"])
def test_nothing_is_lost_or_reordered_at_any_crash_point(
    system: stack.System, point: str, action: str
) -> None:
    rows.insert_many(system.database, system.topics.orders, keys=20, per_key=COUNT // 20)
    first = system.start("relay", wait=False, **_faulty(point, action))
    if action == "kill":
        eventually(lambda: not first.child.alive, what="the kill")
        system.start("relay", wait=False, **rows.SHORT_LEASES)

    log = _drained(system)

    # At most what was in flight at the crash is there twice; an exception loses no outcome at all.
    assert COUNT <= len(log) <= (2 * COUNT if action == "kill" else COUNT)


def test_a_frozen_relay_that_wakes_after_its_lease_marks_nothing(system: stack.System) -> None:
    frozen = system.start(
        "relay", name="frozen", wait=False, **_faulty("relay.after_ack_before_mark", "stop")
    )
    rows.insert_many(system.database, system.topics.orders, keys=10, per_key=5)
    eventually(lambda: _stopped(frozen.child.pid), what="the freeze")
    system.start("relay", name="second", wait=False, RELAY_PROBE_RECORDS="0", **rows.SHORT_LEASES)
    _drained(system)
    marked = system.database.rows(
        "select id, kafka_partition, kafka_offset from outbox order by id"
    )

    frozen.resume()

    eventually(lambda: "marks fenced" in frozen.child.tail(200), what="the fenced mark")
    rows.insert_many(system.database, system.topics.events, keys=10, per_key=5)
    log = _drained(system)
    # What was in flight at the freeze is there twice: a new relay has a row per partition there.
    assert 50 < len(log) <= 100
    assert marked == system.database.rows(
        "select id, kafka_partition, kafka_offset from outbox where topic = %s order by id",
        system.topics.orders,
    )


def test_a_fenced_relay_marks_nothing_where_nobody_else_has_marked(system: stack.System) -> None:
    frozen = system.start(
        "relay", name="frozen", wait=False, **_faulty("relay.after_ack_before_mark", "stop")
    )
    rows.insert_many(system.database, system.topics.orders, keys=10, per_key=5)
    eventually(lambda: _stopped(frozen.child.pid), what="the freeze")
    # It takes its share over and stops there: every row is still unpublished.
    taking_over = _faulty("relay.after_lease_take", "stop")
    second = system.start(
        "relay",
        name="second",
        wait=False,
        **{**taking_over, "LEASE_SECONDS": "60", "RELAY_PROBE_RECORDS": "0"},
    )
    eventually(lambda: _stopped(second.child.pid), what="the takeover")

    frozen.resume()

    eventually(lambda: "marks fenced" in frozen.child.tail(200), what="the fenced mark")
    marked = "select count(*) from outbox join relay_shards using (shard) where published_at "
    assert system.database.value(f"{marked} is not null and owner like 'second:%'") == 0
    assert system.database.value(f"{marked} is null and owner like 'second:%'") > 0
    second.resume()
    _drained(system)


def test_sigterm_marks_what_was_acknowledged_and_releases_the_shards(system: stack.System) -> None:
    total = rows.insert_many(system.database, system.topics.orders, keys=50, per_key=100)
    relay = system.start("relay", wait=False)
    eventually(lambda: rows.unpublished(system.database) < total, what="some progress")

    assert relay.stop() == 0

    log = rows.read_log(system.topics.bootstrap_servers, system.topics.orders)
    rows.require_order(log)
    assert len(log) == total - rows.unpublished(system.database)
    assert system.database.value("select count(*) from relay_shards where owner is not null") == 0
    assert system.database.value("select count(*) from relays") == 0


def _stopped(pid: int | None) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def _arm(system: stack.System, knob: str, mode: str) -> None:
    """What the api does on POST /faults; one hit only."""
    with system.database.connect() as conn, conn.transaction():
        conn.execute(
            "insert into fault_rules (knob, mode, max_hits, expires_at) "
            "values (%s, %s, 1, now() + interval '60 s')",
            [knob, mode],
        )
        conn.execute("update fault_state set version = version + 1")


@pytest.mark.parametrize(
    ("knob", "mode", "copies"),
    [
        ("breakBroker", "before_send", 1),
        ("breakBroker", "after_ack", 2),
        ("breakBroker", "timeout", 2),
        ("duplicateEvents", "2", 3),
    ],
)
def test_a_fault_knob_costs_duplicates_but_neither_loss_nor_order(
    system: stack.System, knob: str, mode: str, copies: int
) -> None:
    _arm(system, knob, mode)
    rows.insert_many(system.database, system.topics.orders, keys=1, per_key=3)

    system.start("relay", FAULTS_ENABLED="1")

    log = _drained(system)
    assert len(log) == 2 + copies
    assert system.database.value("select count(*) from fault_hits where knob = %s", knob) == 1


def test_a_header_whose_name_is_no_text_does_not_stop_a_takeover(system: stack.System) -> None:
    raw_records.send(system.topics.bootstrap_servers, system.topics.orders, header=b"\xff\xfe")
    first = system.start("relay", wait=True, **rows.SHORT_LEASES)
    first.kill()
    with system.database.connect() as conn:
        rows.insert(conn, system.topics.orders, key="k", seq=1)

    second = system.start("relay", wait=False, **rows.SHORT_LEASES)

    eventually(lambda: rows.all_published(system.database), what="published")
    eventually(second.ready, what="ready")
