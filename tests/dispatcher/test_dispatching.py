"""A plain day: everything is sent once, traced, counted; bad settings end the process."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from services.consumer.dispatcher import status
from tests.consumer import samples
from tests.dispatcher import ledger
from tests.fixtures import sink, stack
from tests.fixtures.deadlines import eventually


@pytest.fixture
def receiver() -> Iterator[sink.Sink]:
    with sink.Sink() as started:
        yield started


def test_deliveries_are_sent_once_in_the_trace_of_their_event_and_counted(
    system: stack.System, receiver: sink.Sink
) -> None:
    process = system.start("dispatcher")
    ids = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))] * 50)
    eventually(lambda: ledger.states(system.database, ids) == {"confirmed"}, what="confirmed")

    assert sorted(ledger.ids_at(receiver, "/ok")) == sorted(map(str, ids))
    assert {hit.headers["traceparent"] for hit in receiver.hits} == {ledger.TRACEPARENT}
    attempts = "oncely_deliveries_attempts_total"
    eventually(
        lambda: samples.metric(process.port, attempts, outcome="confirmed") == 50, what="counted"
    )
    rows = system.database.rows(
        "select distinct outcome, status_code, address, dispatcher like 'dispatcher-1-%'"
        " from delivery_attempts where total_ms > 0 and response_head like 'HTTP/1.1 200%'"
    )
    assert rows == [("confirmed", 200, "127.0.0.1", True)]
    assert process.stop(10) == 0


def test_success_on_attempt_fails_the_attempts_before_it_and_marks_them(
    system: stack.System, receiver: sink.Sink
) -> None:
    system.database.rows(
        "insert into fault_rules (knob, mode, match, expires_at)"
        " values ('successOnAttempt', '3', '{}', now() + interval '1 minute') returning knob"
    )
    system.start("dispatcher", FAULTS_ENABLED="1", DELIVERY_SCHEDULE_SECONDS="[0.01, 0.01]")
    (delivery,) = ledger.add(system.database, [ledger.Delivery(url=receiver.url("/ok"))])

    eventually(lambda: ledger.state(system.database, delivery) == "confirmed", what="confirmed")

    history = "select outcome, injected from delivery_attempts order by attempt_no"
    assert system.database.rows(history) == [
        ("failed", True),
        ("failed", True),
        ("confirmed", False),
    ]
    assert len(receiver.hits) == 1


def test_due_work_that_rests_is_not_ready() -> None:
    found = status.Status(links=[], silence_seconds_max=60, stall_seconds=30)
    assert found.readiness().ready

    found.rests_seconds = 31

    assert not found.readiness().ready


def test_bad_settings_end_the_process_with_78_and_all_of_them_named() -> None:
    bad = {
        "DATABASE_URL": "mysql://x",
        "DELIVERY_SCHEDULE_SECONDS": "[5, -1]",
        "DELIVERY_IN_FLIGHT_MAX": "0",
        "SECRETS_KEY": "not-a-key",
        "WEBHOOK_SECRET": "whsec_c2hvcnQ=",
        "WEBHOOK_ALLOW_CIDRS": "10.0.0.0/99",
        "EMAIL_MODE": "carrier-pigeon",
    }
    done = subprocess.run(
        [sys.executable, "-m", "services.consumer", "dispatch"],
        env={**os.environ, **bad},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 78
    assert [name for name in bad if name not in done.stderr] == []
    assert "not-a-key" not in done.stderr
    assert "c2hvcnQ=" not in done.stderr
