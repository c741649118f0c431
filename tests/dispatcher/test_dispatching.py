"""A plain day: everything is sent once, traced, counted; bad settings end the process."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import standardwebhooks
from standardwebhooks import webhooks as published

from services.consumer.dispatcher import status
from shared import sealing, webhook_secrets
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


def test_a_request_to_a_target_carries_its_headers_and_the_secrets_in_force(
    system: stack.System, receiver: sink.Sink
) -> None:
    database = system.database
    sealer = sealing.Sealer.from_keys(stack.SECRETS_KEY)
    present, old, over = (webhook_secrets.make_secret() for _ in range(3))
    target = ledger.add_target(database, receiver.url("/ok"))
    (delivery,) = ledger.add(database, [ledger.Delivery(target_id=target)])
    body = '{"price": 1.10, "exact": 12345678901234567890.123}'
    request = f'{{"method":"POST","headers":{{"Authorization":"mine","x-own":"1"}},"body":{body}}}'
    with database.connect() as conn:
        conn.execute(
            "update targets set headers_sealed = %s, header_names = '{authorization}'",
            [sealer.seal(b'{"authorization":"Bearer theirs"}')],
        )
        conn.execute("update delivery_requests set request = %s", [request])
        for secret, ends in ((over, "-1 second"), (old, "1 hour"), (present, None)):
            conn.execute(
                "insert into target_secrets (target_id, sealed, expires_at)"
                " values (%s, %s, now() + %s::interval)",
                [target, sealer.seal(secret.encode()), ends],
            )
    system.start("dispatcher", wait=False)

    eventually(lambda: ledger.state(database, delivery) == "confirmed", what="confirmed")

    (hit,) = receiver.hits
    assert (hit.headers["authorization"], hit.headers["x-own"]) == ("Bearer theirs", "1")
    assert hit.body == body.encode()
    for secret in (present, old):
        standardwebhooks.Webhook(secret).verify(hit.body, hit.headers)
    with pytest.raises(published.WebhookVerificationError):
        standardwebhooks.Webhook(over).verify(hit.body, hit.headers)


def test_a_target_s_own_timeout_bounds_the_attempt_and_its_lease(
    system: stack.System, receiver: sink.Sink
) -> None:
    urls = receiver.url("/hold/patient"), receiver.url("/hang")
    patient = ledger.add_target(system.database, urls[0], timeout_ms=60_000)
    hasty = ledger.add_target(system.database, urls[1], timeout_ms=100)
    ids = ledger.add(
        system.database, [ledger.Delivery(target_id=target) for target in (patient, hasty)]
    )
    system.start("dispatcher", wait=False, DELIVERY_TIMEOUT_MS="5000")

    eventually(lambda: ledger.outcomes(system.database, ids[1]) == ["unknown"], what="given up")
    eventually(lambda: "/hold/patient" in {hit.path for hit in receiver.hits}, what="sent")

    lease = (
        "select lease_expires_at > sending_since + interval '60 s' from deliveries where id = %s"
    )
    assert system.database.value(lease, ids[0])
    took = "select total_ms < 2000 from delivery_attempts where delivery_id = %s"
    assert system.database.value(took, ids[1])


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
