from typing import Any

import pytest

from services.consumer.queries import batch, waiting
from tests.consumer import checks, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

QUICK = {
    "FAULTS_ENABLED": "1",
    "RETRY_SCHEDULE_SECONDS": "[0.2, 0.2]",
    "WAITING_POLL_SECONDS": "0.1",
}


def _let_fail(database: stack.Database, attempt: int, event_type: str) -> None:
    with database.connect() as conn, conn.transaction():
        conn.execute(
            "insert into fault_rules (knob, mode, match, expires_at) values"
            " ('successOnAttempt', %s, jsonb_build_object('event_type', %s::text),"
            " now() + interval '5 minutes')",
            [str(attempt), event_type],
        )
        conn.execute("update fault_state set version = version + 1")


def _heal(database: stack.Database) -> None:
    with database.connect() as conn, conn.transaction():
        conn.execute("delete from fault_rules")
        conn.execute("update fault_state set version = version + 1")
        conn.execute("select pg_notify('oncely_faults', '')")


def _attempts(database: stack.Database, sample: samples.Sample) -> list[tuple[Any, ...]]:
    return database.rows(
        "select attempt_no, trigger, status, injected from event_attempts"
        " where event_id = %s order by attempt_no",
        sample.id,
    )


def _order_of_effects(database: stack.Database, sent: list[samples.Sample]) -> list[int]:
    numbers = {sample.id: number for number, sample in enumerate(sent)}
    rows = database.rows(
        "select p.event_id from processed_events p join event_attempts a using (event_id)"
        " where a.status = 'success' order by p.processed_at, p.kafka_offset"
    )
    return [numbers[event_id] for (event_id,) in rows]


def test_a_failed_event_is_retried_by_schedule_and_its_key_waits_behind_it(
    system: stack.System,
) -> None:
    database = system.database
    failing = samples.ingested("flaky", subject="k")
    followers = [samples.ingested("plain", subject="k", n=number) for number in range(3)]
    innocent = samples.ingested("plain", subject="other")
    sent = [failing, *followers]
    samples.accept(database, [*sent, innocent])
    _let_fail(database, 3, "flaky")
    publisher = samples.Publisher(system.topics)
    publisher.send([*sent[:2], innocent])
    system.start("consumer", wait=True, **QUICK)
    eventually(
        lambda: checks.count(database, "events", "status = 'processing'") == 1,
        what="the retry to be scheduled",
    )
    publisher.send(sent[2:])

    checks.wait_processed(database, 5)

    assert _attempts(database, failing) == [
        (1, "received", "failed", True),
        (2, "retry", "failed", True),
        (3, "retry", "success", False),
    ]
    order = _order_of_effects(database, [*sent, innocent])
    assert [number for number in order if number < 4] == [0, 1, 2, 3]
    checks.each_took_effect_once(database, [*sent, innocent])


def test_attempts_are_counted_in_the_database_and_survive_a_kill(system: stack.System) -> None:
    database = system.database
    failing = samples.ingested("flaky")
    samples.accept(database, [failing])
    _let_fail(database, 3, "flaky")
    samples.Publisher(system.topics).send([failing])
    member = {**QUICK, "GROUP_INSTANCE_ID": "one"}
    first = system.start("consumer", wait=True, **member)
    eventually(lambda: len(_attempts(database, failing)) >= 1, what="the first attempt")
    first.kill()
    system.start("consumer", wait=True, **member)

    checks.wait_processed(database, 1)

    assert [row[0] for row in _attempts(database, failing)] == [1, 2, 3]


@pytest.mark.parametrize("answer", ["redrive_requested", "discard_requested"])
def test_an_exhausted_event_holds_its_key_until_it_is_redriven_or_discarded(
    system: stack.System, answer: str
) -> None:
    database = system.database
    failing = samples.ingested("flaky", subject="k")
    followers = [samples.ingested("plain", subject="k", n=number) for number in range(2)]
    samples.accept(database, [failing, *followers])
    with database.connect() as conn:
        conn.execute("insert into event_types (event_type, retry_limit) values ('flaky', 1)")
    _let_fail(database, 9, "flaky")
    publisher = samples.Publisher(system.topics)
    publisher.send([failing, followers[0]])
    system.start("consumer", wait=True, **QUICK)
    eventually(lambda: checks.count(database, "dead_letters") == 1, what="the dead letter")
    publisher.send(followers[1:])
    eventually(lambda: checks.count(database, "waiting_events") == 3, what="the key to wait")
    assert database.value("select count(*) from waiting_events where next_at is not null") == 0
    assert database.value("select status from events where id = %s", failing.id) == "failed"
    assert checks.count(database, "processed_events") == 0

    _ask(database, "redrive_requested")  # too early: it fails once more, and stays open
    eventually(lambda: _letter(database) == ("open", 3), what="the redrive to fail")
    _heal(database)
    eventually(
        lambda: database.value("select count(*) from fault_seen where active = '[]'") == 1,
        what="the fault to be over",
    )
    _ask(database, answer)

    if answer == "redrive_requested":
        checks.wait_processed(database, 3)
        assert _letter(database) == ("redriven", 4)
        assert _order_of_effects(database, [failing, *followers]) == [0, 1, 2]
        assert _attempts(database, failing)[-1] == (4, "redrive", "success", False)
        checks.each_took_effect_once(database, [failing, *followers])
    else:
        checks.wait_processed(database, 2)
        assert _letter(database) == ("discarded", 3)
        assert database.value("select status from events where id = %s", failing.id) == "failed"
    eventually(lambda: checks.count(database, "waiting_events") == 0, what="nothing to wait")


def test_an_exhausted_event_lets_its_key_pass_when_its_type_says_so(system: stack.System) -> None:
    database = system.database
    failing = samples.ingested("flaky", subject="k")
    follower = samples.ingested("plain", subject="k")
    samples.accept(database, [failing, follower])
    with database.connect() as conn:
        conn.execute("insert into event_types values ('flaky', 'pass', 0)")
    _let_fail(database, 9, "flaky")
    publisher = samples.Publisher(system.topics)
    publisher.send([failing, follower, failing])
    system.start("consumer", wait=True, **QUICK)

    checks.wait_processed(database, 1)
    eventually(lambda: checks.count(database, "dropped_records") == 1, what="the copy to drop")

    assert checks.count(database, "dead_letters") == 1
    assert checks.count(database, "waiting_events") == 0
    _heal(database)
    eventually(
        lambda: database.value("select count(*) from fault_seen where active = '[]'") == 1,
        what="the fault to be over",
    )
    _ask(database, "redrive_requested")
    checks.wait_processed(database, 2)
    checks.each_took_effect_once(database, [failing, follower])


def test_a_forged_dead_letter_changes_nothing_when_it_is_redriven(system: stack.System) -> None:
    database = system.database
    failed, forged = samples.ingested("flaky", subject="k", n=1), b'{"n":2}'
    samples.accept(database, [failed])
    with database.connect() as conn:
        conn.execute("insert into event_types values ('flaky', 'pass', 0)")
    _let_fail(database, 9, "flaky")
    publisher = samples.Publisher(system.topics)
    publisher.send([failed])
    publisher.send_raw(forged, key="k", headers=failed.headers)
    system.start("consumer", wait=True, **QUICK)
    eventually(lambda: checks.count(database, "dead_letters") == 2, what="two dead letters")

    with database.connect() as conn:
        conn.execute(
            "update dead_letters set state = 'redrive_requested' where error_class = 'ForgedRecord'"
        )
    eventually(
        lambda: checks.count(database, "dead_letters", "attempts = 2 and state = 'open'") == 1,
        what="the redrive to fail",
    )

    assert database.value("select status from events where id = %s", failed.id) == "failed"
    assert checks.count(database, "processed_events") == 0


def test_a_bad_record_holds_the_later_records_of_its_key_in_the_same_batch(
    system: stack.System,
) -> None:
    database = system.database
    bad = samples.paid(amount=0)
    refund = samples.order_event("order.refunded", order_id=None, seq=3)
    later = samples.order_event(
        "order.refunded", order_id=samples.UUID(bad.envelope.aggregate_id), seq=3
    )
    samples.accept(database, [bad, later, refund])
    samples.Publisher(system.topics).send([bad, later, refund])
    system.start("consumer", wait=True, **QUICK)

    eventually(lambda: checks.count(database, "waiting_events") == 2, what="the key to wait")
    checks.wait_processed(database, 1)

    assert database.rows("select event_id from processed_events") == [(refund.id,)]
    assert checks.count(database, "dead_letters") == 1


def _ask(database: stack.Database, state: str) -> None:
    with database.connect() as conn:
        conn.execute("update dead_letters set state = %s", [state])


def _letter(database: stack.Database) -> tuple[Any, ...]:
    return database.rows("select state, attempts from dead_letters")[0]


def test_a_key_goes_on_however_many_pieces_wait_behind_it(
    database: stack.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "PIECE_ROWS", 1000)
    for key, first, last in (("k", 1, 3000), ("other", 3001, 4500)):
        database.rows(
            "insert into waiting_events (topic, kafka_partition, kafka_offset, kafka_key, event_id,"
            " replay, value, headers) select 't', 0, n, %s, gen_random_uuid(), 0, '1', '{}'"
            " from generate_series(%s::int, %s::int) n returning 1",
            key,
            first,
            last,
        )
    due = "select kafka_key, count(*) from waiting_events where next_at <= now() group by 1"

    with database.connect() as conn:
        batch.pin_plans(conn)
        with conn.transaction():
            waiting.lock_head(conn, ("t", 0, "k"))
            waiting.release_key(conn, ("t", 0, "k"))
        assert conn.execute(due).fetchall() == [("k", 3000)]
