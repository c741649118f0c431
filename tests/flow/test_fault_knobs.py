"""Each knob of POST /faults on the real three services: it breaks what it says, and the order is
settled once all the same.
"""

import time
from functools import partial
from typing import Any

import pytest

from cli.stack import services
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

AMOUNT = 4200


KNOBS: list[tuple[str, Any]] = [
    ("successOnAttempt", 3),
    ("breakBroker", "before_send"),
    ("breakBroker", "after_ack"),
    ("breakBroker", "timeout"),
    ("breakWorker", True),
    ("breakWorker", "raise@relay.after_produce_before_ack"),
    ("breakWorker", "raise@relay.after_mark_before_commit"),
    ("breakConsumer", True),
    ("breakConsumer", "raise@consumer.after_dedupe_insert"),
    ("breakConsumer", "raise@consumer.after_commit_before_offset"),
    ("duplicateEvents", 3),
]


def ask(service: services.ServiceProcess, method: str, path: str, body: object = None) -> Any:
    answer = client.call(service.url, method, path, body)
    assert answer.status < 300, answer
    return answer.body


@pytest.fixture
def api(system: stack.System) -> services.ServiceProcess:
    return system.start_all(FAULTS_ENABLED="1", RETRY_SCHEDULE_SECONDS="[0.2]")


def break_on_purpose(api: services.ServiceProcess, **body: Any) -> None:
    """Set the knobs and wait until every service has them."""
    version = ask(api, "POST", "/faults", body)["version"]
    eventually(lambda: everybody_has(api, version), deadline_seconds=3, what="all have seen it")


def everybody_has(api: services.ServiceProcess, version: int) -> bool:
    seen = ask(api, "GET", "/faults")["services"]
    alive = [row for row in seen if row["alive"]]
    return {row["service"] for row in alive} == {"api", "relay", "consumer"} and all(
        row["seen_version"] == version for row in alive
    )


def pay_an_order(api: services.ServiceProcess) -> str:
    order = {"customer_id": "c-1", "currency": "EUR", "amount": AMOUNT}
    order_id = str(ask(api, "POST", "/orders", order)["id"])
    ask(api, "POST", f"/orders/{order_id}/pay")
    return order_id


def settled(api: services.ServiceProcess, order_id: str) -> bool:
    return bool(ask(api, "GET", f"/orders/{order_id}")["settled_at"])


def hits(database: stack.Database) -> list[tuple[str, str]]:
    """Who has hit the rules that are in force now."""
    return database.rows("""
        select distinct h.knob, h.service from fault_hits h
        join fault_rules r on r.knob = h.knob and h.hit_at >= r.created_at""")


def assert_settled_once(database: stack.Database, order_id: str) -> None:
    assert database.rows(
        "select event_type, side, amount from ledger_entries where order_id = %s order by side",
        order_id,
    ) == [("order.paid", "credit", AMOUNT), ("order.paid", "debit", AMOUNT)]
    assert (
        database.value("select count(*) from processed_events where aggregate_id = %s", order_id)
        == 2
    )


def test_what_is_broken_on_purpose_is_done_once(
    api: services.ServiceProcess, database: stack.Database
) -> None:
    for knob, value in KNOBS:
        break_on_purpose(api, **{knob: value}, max_hits=4)
        order_id = pay_an_order(api)
        eventually(
            partial(settled, api, order_id), deadline_seconds=30, what=f"settled: {knob} {value}"
        )
        assert_settled_once(database, order_id)
        owner = "consumer" if knob in {"successOnAttempt", "breakConsumer"} else "relay"
        eventually(partial(hits, database), what=f"a hit: {knob} {value}")
        assert hits(database) == [(knob, owner)]


def test_attempts_that_were_made_to_fail_say_so(
    api: services.ServiceProcess, database: stack.Database
) -> None:
    break_on_purpose(api, successOnAttempt=3, match={"event_type": "order.paid"})
    order_id = pay_an_order(api)
    eventually(lambda: settled(api, order_id), deadline_seconds=30, what="the order is settled")
    assert database.rows(
        """
        select a.attempt_no, a.status, a.injected from event_attempts a
        join events e on e.id = a.event_id
        where e.aggregate_id = %s and e.event_type = 'order.paid' order by a.attempt_no""",
        order_id,
    ) == [(1, "failed", True), (2, "failed", True), (3, "success", False)]


def test_duplicates_are_new_records_that_are_dropped(
    api: services.ServiceProcess, database: stack.Database
) -> None:
    break_on_purpose(api, duplicateEvents=2, match={"event_type": "order.created"})
    order_id = pay_an_order(api)
    eventually(
        lambda: (
            database.value("select count(*) from dropped_records where aggregate_id = %s", order_id)
            == 2
        ),
        what="both copies are dropped",
    )
    eventually(lambda: settled(api, order_id), what="the order is settled")
    assert_settled_once(database, order_id)


@pytest.mark.parametrize(
    ("knob", "mode"),
    [("breakWorker", "hang@relay.before_produce"), ("breakConsumer", "hang")],
)
def test_hang_holds_until_the_reset_and_no_longer_than_two_seconds_after(
    api: services.ServiceProcess, database: stack.Database, knob: str, mode: str
) -> None:
    break_on_purpose(api, **{knob: mode}, confirm=True)
    order_id = pay_an_order(api)
    eventually(lambda: hits(database), what="it hangs")
    assert not settled(api, order_id)
    ask(api, "POST", "/", {})
    reset_at = time.monotonic()
    eventually(lambda: settled(api, order_id), deadline_seconds=10, what="the order is settled")
    assert time.monotonic() - reset_at < 4
    assert_settled_once(database, order_id)


def test_broken_services_say_that_they_are_degraded(
    api: services.ServiceProcess, system: stack.System
) -> None:
    break_on_purpose(api, breakBroker=True, match={"aggregate_id": "nobody"})
    for process in system.services:
        health = ask(process, "GET", "/health/ready")
        assert health["detail"]["degraded"] == "faults active"
        assert health["detail"]["faults"] == ["breakBroker"]
    break_on_purpose(api)
    for process in system.services:
        assert "degraded" not in ask(process, "GET", "/health/ready")["detail"]


@pytest.mark.parametrize(
    ("kind", "knob"), [("relay", "breakWorker"), ("consumer", "breakConsumer")]
)
def test_a_service_that_ends_itself_is_made_good_by_its_next_start(
    api: services.ServiceProcess,
    system: stack.System,
    database: stack.Database,
    kind: str,
    knob: str,
) -> None:
    broken = next(process for process in system.services if process.kind == kind)
    break_on_purpose(api, **{knob: "exit"}, match={"first_n": 1})
    order_id = pay_an_order(api)
    eventually(lambda: not broken.child.alive, what="the service has ended itself")
    assert hits(database) == [(knob, kind)]
    broken.start()
    eventually(lambda: settled(api, order_id), deadline_seconds=40, what="the order is settled")
    assert_settled_once(database, order_id)
    assert database.value("select count(*) from fault_hits") == 1


def test_services_whose_faults_are_off_break_nothing_whatever_the_rules_say(
    system: stack.System, database: stack.Database
) -> None:
    with database.connect() as conn, conn.transaction():
        for knob, mode in (
            ("successOnAttempt", "99"),
            ("breakBroker", "after_ack"),
            ("breakWorker", "exit@relay.before_produce"),
            ("breakConsumer", "exit@consumer.after_poll"),
            ("duplicateEvents", "3"),
        ):
            conn.execute(
                "insert into fault_rules (knob, mode, expires_at)"
                " values (%s, %s, now() + interval '60 s')",
                [knob, mode],
            )
        conn.execute("update fault_state set version = version + 1")

    api = system.start_all()

    order_id = pay_an_order(api)
    eventually(lambda: settled(api, order_id), what="the order is settled")
    assert_settled_once(database, order_id)
    assert [process.kind for process in system.services if not process.child.alive] == []
    for table in ("fault_hits", "fault_seen", "dropped_records"):
        assert database.rows(f"select * from {table}") == []
