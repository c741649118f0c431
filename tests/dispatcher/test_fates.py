"""What becomes of deliveries that are given up, and of the events that they belong to."""

import asyncio
import functools
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat

from services.consumer.queries import recording
from shared import database as shared_database
from tests.dispatcher import ledger
from tests.fixtures import sink, stack
from tests.fixtures.deadlines import eventually
from tests.fixtures.notices import Notices

QUICK = {
    "DISPATCH_POLL_MS": "50",
    "UPKEEP_SECONDS": "0.1",
    "DELIVERY_SCHEDULE_SECONDS": "[0.02, 0.02]",
    "DELIVERY_TIMEOUT_MS": "200",
    "BREAKER_FAILURES": "1000",
}


@pytest.fixture
def receiver() -> Iterator[sink.Sink]:
    with sink.Sink() as started:
        yield started


def test_a_spent_schedule_ends_in_a_dead_letter_and_a_redrive_sends_it_once_more(
    system: stack.System, receiver: sink.Sink
) -> None:
    failing = receiver.script("failing", *["status/500"] * 3, "hold/again", "ok")
    perhaps = receiver.script("perhaps", "hang", *["status/500"] * 2, "ok")
    discarded = receiver.script("discarded", "status/500")
    urls = [receiver.url(path) for path in (failing, perhaps, discarded)]
    patient = {"DELIVERY_TIMEOUT_MS": "3000", "LIVE_INTERVAL_MS": "10"}
    system.start("dispatcher", wait=True, **QUICK | patient)
    ids = ledger.add(system.database, [ledger.Delivery(url=url) for url in urls])
    eventually(lambda: ledger.states(system.database, ids) == {"failed", "unknown"}, what="over")

    assert [ledger.state(system.database, one) for one in ids] == ["failed", "unknown", "failed"]
    assert ledger.outcomes(system.database, ids[1]) == ["unknown", "failed", "failed"]
    assert {ledger.event_status(system.database, one) for one in ids} == {"failed"}
    letters = system.database.rows(
        "select delivery_id, attempts, error_class from dead_letters"
        " where stage = 'delivery' and state = 'open' and topic is null order by delivery_id"
    )
    assert letters == [(one, 3, "HttpStatus") for one in ids]

    with Notices(system.database) as notices:
        _ask(system, ids[:2], "redrive_requested")
        _ask(system, ids[2:], "discard_requested")
        event = system.database.value("select event_id from deliveries where id = %s", ids[0])
        notices.wait(("event", "processing", str(event)))
        receiver.release("again")
        notices.wait(("event", "processed", str(event)))
    eventually(lambda: ledger.states(system.database, ids[:2]) == {"confirmed"}, what="redriven")
    eventually(lambda: _letters(system) == {"redriven", "discarded"}, what="the requests answered")

    assert [ledger.event_status(system.database, one) for one in ids] == [
        "processed",
        "processed",
        "failed",
    ]
    assert len(ledger.outcomes(system.database, ids[0])) == 4
    schedules = "select schedule_from from deliveries where id = any(%s) order by id"
    assert system.database.rows(schedules, ids) == [(3,), (3,), (0,)]  # a redrive begins a new one
    assert ledger.ids_at(receiver, failing) == [str(ids[0])] * 4


def _ask(system: stack.System, ids: list[UUID], state: str) -> None:
    system.database.rows(
        "update dead_letters set state = %s where delivery_id = any(%s) returning id", state, ids
    )


def _letters(system: stack.System) -> set[str]:
    return {row[0] for row in system.database.rows("select state from dead_letters")}


def test_what_failed_together_is_not_tried_together_again(
    system: stack.System, receiver: sink.Sink
) -> None:
    wanted = [ledger.Delivery(url=receiver.url("/status/404"))] * 20
    system.start("dispatcher", wait=False, **QUICK | {"DELIVERY_SCHEDULE_SECONDS": "[100]"})
    ids = ledger.add(system.database, wanted)
    tried = "select count(*) from delivery_attempts"
    eventually(lambda: system.database.value(tried) == len(ids), what="each tried once")

    shortest, longest = system.database.rows(
        "select min(w)::float8, max(w)::float8 from (select"
        " extract(epoch from d.next_attempt_at - a.finished_at) as w from deliveries d"
        " join delivery_attempts a on a.delivery_id = d.id) found"
    )[0]
    assert 79.5 < shortest < longest - 5
    assert longest < 120.5


def test_an_event_has_its_status_when_its_last_delivery_is_over_also_at_the_same_moment(
    system: stack.System, receiver: sink.Sink
) -> None:
    events = [uuid_utils.compat.uuid7() for _ in range(40)]
    good = [
        ledger.Delivery(url=receiver.url(path), event_id=event, destination=path)
        for event in events[:20]
        for path in ("/hold/one", "/hold/one?second", "/ok?early")
    ]
    mixed = [
        ledger.Delivery(url=receiver.url(path), event_id=event, destination=path)
        for event in events[20:]
        for path in ("/ok", "/status/410")
    ]
    for _ in range(2):
        system.start(
            "dispatcher",
            wait=False,
            **QUICK | {"DELIVERY_TIMEOUT_MS": "20000", "DESTINATION_IN_FLIGHT_MAX": "20"},
        )
    ids = ledger.add(system.database, [*good, *mixed])
    eventually(lambda: receiver.open_requests == 40, what="both of each event under way")
    early = [one for one, wanted in zip(ids, good, strict=False) if wanted.place == "/ok?early"]
    eventually(
        lambda: ledger.states(system.database, early) == {"confirmed"}, what="the early ones"
    )
    statuses = "select status, count(*) from events where id = any(%s) group by status"
    assert system.database.rows(statuses, events[:20]) == [("processing", 20)]

    receiver.release("one")
    eventually(
        lambda: ledger.states(system.database, ids) == {"confirmed", "failed"}, what="all over"
    )

    assert system.database.rows(statuses, events[:20]) == [("processed", 20)]
    assert system.database.rows(statuses, events[20:]) == [("failed", 20)]


def test_two_deliveries_that_end_at_once_in_two_dispatchers_finish_their_event(
    database: stack.Database,
) -> None:
    event = uuid_utils.compat.uuid7()
    wanted = [ledger.Delivery(url=f"http://{n}.test/", event_id=event) for n in ("a", "b")]
    ids = ledger.add(database, wanted)
    database.rows(
        "update deliveries set state = 'sending', next_attempt_at = null, leased_by = 'd',"
        " sending_since = now(), lease_expires_at = now() returning id"
    )
    confirm = (
        "update deliveries set state = 'confirmed', finished_at = now(), leased_by = null,"
        " sending_since = null, lease_expires_at = null where id = %s"
    )

    async def end_one(conn: Any, delivery: UUID) -> None:
        await conn.execute(confirm, [delivery])
        await recording.finish_events(conn, event_ids={event})

    async def run() -> None:
        connect = functools.partial(shared_database.connect_async, application_name="test")
        url = database.url("oncely_dispatcher")
        async with await connect(url) as first, await connect(url) as second:
            await end_one(first, ids[0])
            other = asyncio.create_task(end_one(second, ids[1]))
            await asyncio.wait({other}, timeout=0.3)  # it waits for the first one's lock
            await first.commit()
            await other

    asyncio.run(run())

    assert ledger.event_status(database, ids[0]) == "processed"


def test_what_may_have_arrived_is_not_hidden_when_its_target_is_switched_off(
    system: stack.System, receiver: sink.Sink
) -> None:
    target = ledger.add_target(system.database, receiver.url("/hang"), timeout_ms=100)
    gone = receiver.script("gone", "gone", "ok")
    system.start("dispatcher", wait=True, **QUICK | {"DELIVERY_SCHEDULE_SECONDS": "[30]"})
    perhaps, failed = ledger.add(
        system.database,
        [ledger.Delivery(target_id=target), ledger.Delivery(url=receiver.url(gone))],
    )
    eventually(
        lambda: (
            ledger.outcomes(system.database, perhaps) == ["unknown"]
            and ledger.state(system.database, failed) == "failed"
        ),
        what="the first attempts",
    )
    with system.database.connect() as conn:
        conn.execute("update targets set disabled_at = now(), disabled_reason = 'by hand'")
        conn.execute("update deliveries set next_attempt_at = now() where id = %s", [perhaps])
        # The other's event was run again, and that run failed before it came to deliveries.
        for change in ("replay = 1, status = 'pending'", "status = 'failed'"):
            conn.execute(
                f"update events set {change} where id = (".encode()
                + b"select event_id from deliveries where id = %s)",
                [failed],
            )
    _ask(system, [failed], "redrive_requested")

    eventually(lambda: ledger.state(system.database, perhaps) == "unknown", what="the skip")
    eventually(lambda: ledger.state(system.database, failed) == "confirmed", what="the redrive")
    assert ledger.event_status(system.database, perhaps) == "failed"
    assert ledger.event_status(system.database, failed) == "failed"
    assert system.database.rows(
        "select error_class, error_message from dead_letters where delivery_id = %s", perhaps
    ) == [
        (
            "OutcomeUnknown",
            "an attempt may have arrived, and the target is disabled: by hand",
        )
    ]


def test_what_cannot_be_sent_says_why(system: stack.System, receiver: sink.Sink) -> None:
    sealed = ledger.add_target(system.database, receiver.url("/ok"))
    system.database.rows(
        "insert into target_secrets (target_id, sealed) values (%s, 'x') returning id", sealed
    )
    wanted = [
        ledger.Delivery(target_id=sealed),
        ledger.Delivery(email_to="a@example.com"),
        ledger.Delivery(url=receiver.url("/ok")),
        ledger.Delivery(url=receiver.url("/ok"), body='"text"'),
    ]
    ids = ledger.add(system.database, wanted)
    system.database.rows(
        "delete from delivery_requests where delivery_id = %s returning delivery_id", ids[2]
    )
    system.start("dispatcher", wait=True, SECRETS_KEY="", EMAIL_MODE="disabled", **QUICK)
    over = {"failed", "skipped", "confirmed"}
    eventually(lambda: ledger.states(system.database, ids) == over, what="all over")

    found = system.database.rows(
        "select state, reason, last_error from deliveries order by array_position(%s, id)", ids
    )
    assert [row[0] for row in found] == ["failed", "skipped", "failed", "confirmed"]
    assert "SECRETS_KEY" in found[0][2]
    assert found[1][1] == "EMAIL_MODE is disabled"
    assert "RequestExpired" in found[2][2]
    assert [hit.body for hit in receiver.hits] == [b'"text"']
