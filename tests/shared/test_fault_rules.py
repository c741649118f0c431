import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg.types.json
import pytest

from shared import errors, fault_rules, faults
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

PROJECT = Path(__file__).resolve().parents[2]
TYPE = "order.paid"

type Start = Callable[..., fault_rules.FaultRules]


@pytest.fixture
def start(database: stack.Database) -> Iterator[Start]:
    """Starts FaultRules as a service would; closed and disarmed at the end."""
    faults.configure(enabled=True, failpoints="")
    started: list[fault_rules.FaultRules] = []

    def start_one(service: str = "relay", instance: str = "one") -> fault_rules.FaultRules:
        made = fault_rules.FaultRules(
            service=service, instance=instance, dsn=database.url(f"oncely_{service}")
        )
        started.append(made)
        made.start()
        return made

    yield start_one
    for made in started:
        made.close()
    faults.configure(enabled=False, failpoints="")


def put(
    database: stack.Database,
    knob: str,
    mode: str,
    *,
    ttl_s: float = 300,
    max_hits: int | None = None,
    **match: object,
) -> None:
    """What the api does on POST /faults, notification included."""
    with database.connect() as conn, conn.transaction():
        conn.execute("update fault_state set version = version + 1")
        conn.execute("delete from fault_rules")
        conn.execute(
            """
            insert into fault_rules (knob, mode, match, max_hits, created_at, expires_at)
            values (%s, %s, %s, %s, clock_timestamp(),
              clock_timestamp() + make_interval(secs => %s))
            """,
            [knob, mode, psycopg.types.json.Jsonb(match), max_hits, ttl_s],
        )
    database.rows("select pg_notify('oncely_faults', '')")


def reset(database: stack.Database) -> None:
    with database.connect() as conn, conn.transaction():
        conn.execute("update fault_state set version = version + 1")
        conn.execute("delete from fault_rules")


def hit_count(database: stack.Database) -> int:
    return int(database.value("select count(*) from fault_hits"))


def breaks(failpoint: str) -> bool:
    try:
        faults.hit(failpoint)
    except errors.InjectedFault:
        return True
    return False


def mode(rules: fault_rules.FaultRules, aggregate_id: str = "a", event_type: str = TYPE) -> bool:
    return rules.broker_mode(aggregate_id=aggregate_id, event_type=event_type) is not None


def test_nothing_is_broken_and_nothing_recorded_without_a_rule(
    database: stack.Database, start: Start
) -> None:
    rules = start()
    assert rules.broker_mode(aggregate_id="a", event_type=TYPE) is None
    assert rules.duplicates(aggregate_id="a", event_type=TYPE) == 0
    assert rules.success_on_attempt(aggregate_id="a", event_type=TYPE) == 0
    assert not breaks("relay.before_produce")
    assert faults.health() == {}
    assert hit_count(database) == 0


def test_rules_that_are_there_hold_from_the_first_moment(
    database: stack.Database, start: Start
) -> None:
    put(database, "breakBroker", "after_ack")
    rules = start()
    assert rules.broker_mode(aggregate_id="a", event_type=TYPE) == "after_ack"
    assert faults.health() == {"degraded": "faults active", "faults": ["breakBroker"]}
    rules.close()
    assert faults.health() == {}


@pytest.mark.parametrize("notified", [True, False])
def test_change_and_reset_are_in_force_within_two_seconds(
    database: stack.Database, start: Start, *, notified: bool
) -> None:
    rules = start()
    put(database, "duplicateEvents", "3")
    eventually(lambda: rules.duplicates(aggregate_id="a", event_type=TYPE) == 3, deadline_seconds=2)
    reset(database)
    if notified:
        database.rows("select pg_notify('oncely_faults', '')")
    # No hit is claimed after the reset has committed, not even before the service has heard of it.
    assert rules.duplicates(aggregate_id="a", event_type=TYPE) == 0
    eventually(lambda: rules.active() == [], deadline_seconds=2)


def test_each_instance_says_what_it_has_seen(database: stack.Database, start: Start) -> None:
    start("relay", "one")
    start("consumer", "two")
    put(database, "breakBroker", "timeout")
    version = database.value("select version from fault_state")
    expected = [
        ("consumer", "two", version, ["breakBroker"]),
        ("relay", "one", version, ["breakBroker"]),
    ]
    seen = "select service, instance, seen_version, active from fault_seen order by 1"
    eventually(
        lambda: database.rows(seen) == expected, deadline_seconds=2, what="both have seen it"
    )


def test_rule_expires_by_itself(database: stack.Database, start: Start) -> None:
    rules = start()
    put(database, "breakBroker", "before_send", ttl_s=1)
    eventually(lambda: mode(rules), deadline_seconds=2, what="the rule is in force")
    eventually(lambda: not mode(rules), deadline_seconds=3, what="the rule has expired")
    eventually(lambda: rules.active() == [], deadline_seconds=3)


def test_match_names_aggregate_and_type(database: stack.Database, start: Start) -> None:
    put(database, "breakBroker", "timeout", aggregate_id="a", event_type=TYPE)
    rules = start()
    assert mode(rules, "a", TYPE)
    assert not mode(rules, "b", TYPE)
    assert not mode(rules, "a", "order.created")
    assert database.rows(
        "select knob, service, instance, failpoint, aggregate_id from fault_hits"
    ) == [("breakBroker", "relay", "one", "relay.produce", "a")]


def test_percent_chooses_aggregates_and_keeps_to_its_choice(
    database: stack.Database, start: Start
) -> None:
    put(database, "breakBroker", "timeout", percent=30)
    rules = start()
    first = [mode(rules, f"order-{number}") for number in range(200)]
    assert [mode(rules, f"order-{number}") for number in range(200)] == first
    assert 30 < sum(first) < 90


def test_max_hits_holds_across_services_and_restarts(
    database: stack.Database, start: Start
) -> None:
    put(database, "breakBroker", "timeout", max_hits=3)
    first = start("relay", "one")
    second = start("relay", "two")
    assert mode(first)
    assert mode(second)
    first.close()
    third = start("relay", "three")
    assert mode(third)
    assert not any(mode(rules) for rules in (second, third))
    fourth = start("relay", "four")
    assert fourth.active() == []
    assert not mode(fourth)
    assert hit_count(database) == 3


def test_max_hits_holds_for_simultaneous_claims(database: stack.Database, start: Start) -> None:
    put(database, "breakBroker", "timeout", max_hits=5)
    all_rules = [start("relay", f"relay-{number}") for number in range(4)]
    outcomes: list[bool] = []

    def take(rules: fault_rules.FaultRules) -> None:
        outcomes.extend(mode(rules) for _ in range(5))

    threads = [threading.Thread(target=take, args=(rules,)) for rules in all_rules]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sum(outcomes) == 5
    assert hit_count(database) == 5


def test_a_claim_waits_for_the_one_before_it_and_sees_its_hit(
    database: stack.Database, start: Start
) -> None:
    put(database, "breakBroker", "timeout", max_hits=1)
    rules = start()
    outcomes: list[bool] = []
    waiting = """
        select from pg_locks l join pg_database d on d.oid = l.database
        where d.datname = current_database() and l.locktype = 'advisory' and not l.granted"""
    with database.connect(autocommit=False) as conn:
        conn.execute(fault_rules.LOCK_HITS)
        conn.execute(
            "insert into fault_hits (knob, service, instance, failpoint) "
            "values ('breakBroker', 'relay', 'other', 'relay.produce')"
        )
        thread = threading.Thread(target=lambda: outcomes.append(mode(rules)))
        thread.start()
        eventually(lambda: database.rows(waiting) or not thread.is_alive(), what="the claim waits")
        assert thread.is_alive()
        conn.commit()
    thread.join(5)
    assert outcomes == [False]
    assert hit_count(database) == 1


def test_first_n_is_the_first_n_aggregates_each_time_they_come(
    database: stack.Database, start: Start
) -> None:
    put(database, "breakBroker", "timeout", first_n=2)
    rules = start()
    chosen = [mode(rules, name) for name in ("a", "b", "a", "c", "b", "d")]
    assert chosen == [True, True, True, False, True, False]
    restarted = start("relay", "two")
    assert [mode(restarted, name) for name in ("d", "a", "e")] == [False, True, False]


def test_attempts_before_n_are_the_hits(database: stack.Database, start: Start) -> None:
    put(database, "successOnAttempt", "3")
    rules = start("consumer")
    answers = [
        rules.success_on_attempt(aggregate_id="a", event_type=TYPE, attempt_no=number)
        for number in (1, 2, 3, 4)
    ]
    assert answers == [3, 3, 0, 0]
    assert hit_count(database) == 2


@pytest.mark.parametrize(
    ("service", "knob", "point"),
    [
        ("relay", "breakWorker", "relay.after_ack_before_mark"),
        ("consumer", "breakConsumer", "consumer.before_commit"),
    ],
)
def test_failpoint_is_armed_in_its_own_service_only(
    database: stack.Database, start: Start, service: str, knob: str, point: str
) -> None:
    put(database, knob, f"raise@{point}", max_hits=2)
    other = "consumer" if service == "relay" else "relay"
    start(other, "other")
    assert not faults.armed(point)
    start(service, "own")
    assert [breaks(point) for _ in range(3)] == [True, True, False]
    assert (
        database.rows("select service, instance, failpoint from fault_hits")
        == [(service, "own", point)] * 2
    )
    reset(database)
    eventually(lambda: not faults.armed(point), deadline_seconds=2, what="the point is disarmed")


def test_point_of_the_environment_wins_over_a_rule(database: stack.Database, start: Start) -> None:
    faults.configure(enabled=True, failpoints="relay.before_produce=off")
    put(database, "breakWorker", "raise@relay.before_produce")
    rules = start()
    assert rules.active() == ["breakWorker"]
    assert not breaks("relay.before_produce")
    rules.close()
    assert faults.armed("relay.before_produce")


def test_hang_ends_with_the_reset(database: stack.Database, start: Start) -> None:
    put(database, "breakWorker", "hang@relay.before_produce")
    start()
    thread = threading.Thread(target=faults.hit, args=("relay.before_produce",), daemon=True)
    thread.start()
    eventually(lambda: hit_count(database) == 1, what="the hit is recorded")
    assert thread.is_alive()
    started = time.monotonic()
    reset(database)
    thread.join(5)
    assert not thread.is_alive()
    assert time.monotonic() - started < 2


def test_hit_is_in_the_table_although_the_process_ended_itself(
    database: stack.Database, tmp_path: Path
) -> None:
    put(database, "breakWorker", "exit@relay.before_produce")
    code = (
        "from shared import fault_rules, faults\n"
        "faults.configure(enabled=True, failpoints='')\n"
        f"dsn = {database.url('oncely_relay')!r}\n"
        "fault_rules.FaultRules(service='relay', instance='x', dsn=dsn).start()\n"
        "faults.hit('relay.before_produce')\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False, timeout=30)
    assert ended.returncode == 1
    assert hit_count(database) == 1


def test_nothing_is_broken_while_the_tables_cannot_be_asked(
    private_servers: stack.Servers,
) -> None:
    with stack.fresh_database(private_servers.postgres) as database:
        put(database, "breakBroker", "timeout")
        rules = fault_rules.FaultRules(
            service="relay", instance="one", dsn=database.url("oncely_relay")
        )
        rules.start()
        assert mode(rules)
        private_servers.postgres.stop("immediate")
        assert not mode(rules)
        private_servers.postgres.start()
        eventually(lambda: mode(rules), deadline_seconds=10, what="it goes on after the outage")
        rules.close()


def test_a_service_cannot_write_rules(database: stack.Database) -> None:
    for role in ("oncely_relay", "oncely_consumer", "oncely_api"):
        with (
            database.connect(role) as conn,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            conn.execute(
                "insert into fault_rules (knob, mode, expires_at) values ('breakBroker', '', now())"
            )


def test_killed_while_claiming_leaves_no_lock(database: stack.Database, start: Start) -> None:
    put(database, "breakBroker", "timeout", max_hits=1000)
    code = (
        "from shared import fault_rules\n"
        f"dsn = {database.url('oncely_relay')!r}\n"
        "rules = fault_rules.FaultRules(service='relay', instance='x', dsn=dsn)\n"
        "rules.start()\n"
        "while True: rules.broker_mode(aggregate_id='a', event_type='t')\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT) as child:
        eventually(lambda: hit_count(database) > 5, what="the child claims hits")
        os.kill(child.pid, signal.SIGKILL)
    rules = start()
    eventually(lambda: mode(rules), deadline_seconds=5, what="another one can claim")
