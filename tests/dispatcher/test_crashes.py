"""Dispatchers that die, freeze, wait in vain or meet: one confirmed, and the unknown is seen."""

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.dispatcher import ledger
from tests.fixtures import sink, stack
from tests.fixtures.deadlines import eventually

# A lease of a second and a half, and retries that do not wait.
QUICK = {
    "DELIVERY_TIMEOUT_MS": "1000",
    "DELIVERY_LEASE_MARGIN_SECONDS": "0.5",
    "DELIVERY_SCHEDULE_SECONDS": "[0.05, 0.05, 0.05, 0.05]",
    "DISPATCH_POLL_MS": "50",
    "UPKEEP_SECONDS": "0.1",
}
# At which point it dies, how often the sink then sees the delivery, what the history says.
CRASHES = {
    "dispatcher.after_claim": (1, ["unknown", "confirmed"]),
    "dispatcher.before_send": (1, ["unknown", "confirmed"]),
    "dispatcher.after_send_before_record": (2, ["unknown", "confirmed"]),
    "dispatcher.after_record_before_next": (1, ["confirmed"]),
}


@pytest.fixture
def receiver() -> Iterator[sink.Sink]:
    with sink.Sink() as started:
        yield started


def _confirmed(system: stack.System, delivery_id: UUID) -> bool:
    return ledger.state(system.database, delivery_id) == "confirmed"


@pytest.mark.parametrize("point", CRASHES)
def test_a_dispatcher_killed_at_any_point_leaves_one_confirmed_under_the_same_id(
    system: stack.System, receiver: sink.Sink, point: str
) -> None:
    hits, history = CRASHES[point]
    (delivery,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))])
    first = system.start(
        "dispatcher", wait=False, FAULTS_ENABLED="1", FAILPOINTS=f"{point}=1*kill", **QUICK
    )
    first.child.wait(deadline_seconds=30)

    system.start("dispatcher", wait=False, **QUICK)
    eventually(lambda: _confirmed(system, delivery), what="confirmed")

    assert ledger.ids_at(receiver, "/ok") == [str(delivery)] * hits
    assert ledger.outcomes(system.database, delivery) == history
    assert ledger.event_status(system.database, delivery) == "processed"


def test_a_timeout_while_the_receiver_succeeded_is_unknown_and_sent_again_under_the_same_id(
    system: stack.System, receiver: sink.Sink
) -> None:
    path = receiver.script("slow-once", "after/30", "ok")
    (delivery,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url(path))])
    system.start("dispatcher", wait=False, **QUICK | {"DELIVERY_TIMEOUT_MS": "300"})

    eventually(lambda: _confirmed(system, delivery), what="confirmed")

    assert ledger.ids_at(receiver, path) == [str(delivery)] * 2
    assert ledger.outcomes(system.database, delivery) == ["unknown", "confirmed"]


def test_the_late_answer_of_a_frozen_dispatcher_is_kept_apart_and_changes_nothing(
    system: stack.System, receiver: sink.Sink
) -> None:
    path = receiver.script("frozen", "hold/first", "hold/second")
    (delivery,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url(path))])
    frozen = system.start("dispatcher", wait=False, **QUICK)
    eventually(lambda: receiver.open_requests == 1, what="sent")
    frozen.pause()
    receiver.release("first")

    system.start("dispatcher", wait=False, **QUICK | {"DELIVERY_TIMEOUT_MS": "20000"})
    eventually(lambda: len(receiver.hits) == 2, what="sent by the other")
    frozen.resume()
    late = "select late_answer from delivery_attempts where delivery_id = %s and attempt_no = 1"
    eventually(lambda: system.database.value(late, delivery), what="the late answer")

    assert ledger.state(system.database, delivery) == "sending"
    receiver.release("second")
    eventually(lambda: _confirmed(system, delivery), what="confirmed by the other")
    assert ledger.outcomes(system.database, delivery) == ["unknown", "confirmed"]
    assert ledger.ids_at(receiver, path) == [str(delivery)] * 2


def test_a_dispatcher_that_froze_between_claim_and_send_does_not_send_after_its_lease(
    system: stack.System, receiver: sink.Sink
) -> None:
    (delivery,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))])
    frozen = system.start(
        "dispatcher",
        wait=False,
        FAULTS_ENABLED="1",
        FAILPOINTS="dispatcher.before_send=1*wait",
        **QUICK,
    )
    waiting = system.log_dir / "dispatcher.before_send.waiting"
    eventually(waiting.exists, what="claimed and frozen")
    system.start("dispatcher", wait=False, **QUICK)
    eventually(lambda: _confirmed(system, delivery), what="confirmed by the other")
    (system.log_dir / "dispatcher.before_send.go").touch()
    late = "select late_answer from delivery_attempts where delivery_id = %s and attempt_no = 1"
    eventually(lambda: system.database.value(late, delivery), what="the late answer")

    assert system.database.value(late, delivery) == "failed: NotSent"
    assert ledger.ids_at(receiver, "/ok") == [str(delivery)]
    assert frozen.child.alive


def test_two_dispatchers_never_send_one_delivery_at_the_same_time(
    system: stack.System, receiver: sink.Sink
) -> None:
    target = ledger.add_target(system.database, receiver.url("/after/0.02"), in_flight_max=100)
    for _ in range(2):
        system.start(
            "dispatcher", CLAIM_BATCH_MAX="20", DELIVERY_IN_FLIGHT_MAX="40", DISPATCH_POLL_MS="20"
        )
    ids = ledger.add(system.database, [ledger.Delivery(target_id=target)] * 500)

    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    assert sorted(ledger.ids_at(receiver, "/after")) == sorted(map(str, ids))
    shares = system.database.rows(
        "select dispatcher, count(*) from delivery_attempts group by dispatcher"
    )
    assert len(shares) == 2
    assert min(share for _, share in shares) >= 20  # both took part, whoever was quicker


def test_sigterm_waits_for_answers_and_records_what_it_cuts_off_as_unknown(
    system: stack.System, receiver: sink.Sink
) -> None:
    urls = [receiver.url("/after/0.5"), receiver.url("/hang")]
    answered, hanging = ledger.add(system.database, [ledger.Delivery(url=url) for url in urls])
    process = system.start("dispatcher", DRAIN_SECONDS="1")
    eventually(lambda: receiver.open_requests == 2, what="both sent")

    status = process.stop(10)

    assert status == 0
    assert ledger.state(system.database, answered) == "confirmed"
    assert ledger.state(system.database, hanging) == "pending"
    assert ledger.outcomes(system.database, hanging) == ["unknown"]


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_first_and_later_attempts_that_end_together_are_recorded_together(
    system: stack.System, receiver: sink.Sink, end: str
) -> None:
    paths = [
        receiver.script("first", "hang", "ok"),
        receiver.script("later", "status/500", "hang", "ok"),
    ]
    ids = ledger.add(system.database, [ledger.Delivery(url=receiver.url(path)) for path in paths])
    patient = QUICK | {"DELIVERY_TIMEOUT_MS": "5000", "DRAIN_SECONDS": "0.1"}
    process = system.start("dispatcher", wait=False, **patient)
    eventually(
        lambda: receiver.open_requests == 2 and len(receiver.hits) == 3,
        what="a first and a second attempt under way",
    )

    if end == "kill":
        process.kill()
        over = "select count(*) from deliveries where lease_expires_at < now()"
        eventually(lambda: system.database.value(over) == 2, what="both leases over")
    else:
        assert process.stop(10) == 0
    system.start("dispatcher", wait=False, **QUICK)
    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    assert [ledger.outcomes(system.database, one) for one in ids] == [
        ["unknown", "confirmed"],
        ["failed", "unknown", "confirmed"],
    ]


def test_what_was_recorded_when_postgres_broke_the_connection_is_recorded_once(
    system: stack.System, receiver: sink.Sink
) -> None:
    process = system.start("dispatcher", wait=True, **QUICK)
    ids = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/after/0.1"))] * 30)
    eventually(lambda: receiver.open_requests > 0, what="some are under way")
    system.database.rows(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where usename = 'oncely_dispatcher' and datname = current_database()"
    )

    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    assert process.child.alive
    assert sorted(ledger.ids_at(receiver, "/after")) == sorted(map(str, ids))
