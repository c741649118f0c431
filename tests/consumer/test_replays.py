from typing import Any, LiteralString

import msgspec

from tests.consumer import checks, rule_rows, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

WEBHOOK: dict[str, Any] = {
    "key": "tell",
    "type": "call_webhook",
    "params": {"url": "https://hooks.example.com/a"},
}
QUICK = {"RETRY_SCHEDULE_SECONDS": "[0.1]", "WAITING_POLL_SECONDS": "0.1"}


class Pipeline:
    """One consumer, one event that it has applied, and runs after that."""

    def __init__(self, system: stack.System, event: samples.Sample, **env: str) -> None:
        self.database = system.database
        self.event = event
        self.publisher = samples.Publisher(system.topics)
        samples.accept(self.database, [event])
        system.start("consumer", wait=True, **env)
        self.send(event)

    def send(self, sample: samples.Sample) -> None:
        self.publisher.send([sample])
        eventually(
            lambda: self.runs(sample) == 1, what=f"run {sample.envelope.replay} to be applied"
        )

    def runs(self, sample: samples.Sample) -> int:
        return self.database.value(
            "select count(*) from processed_events where event_id = %s and replay = %s",
            sample.id,
            sample.envelope.replay,
        )

    def finish_deliveries(self) -> None:
        """What the dispatcher does when all went well."""
        with self.database.connect() as conn:
            conn.execute(
                "update deliveries set state = 'sending', next_attempt_at = null, leased_by = 'd',"
                " sending_since = now(), lease_expires_at = now() where state = 'pending'"
            )
            conn.execute(
                "update deliveries set state = 'confirmed', leased_by = null, sending_since = null,"
                " lease_expires_at = null, finished_at = now() where state = 'sending'"
            )
            conn.execute("update events set status = 'processed' where status = 'processing'")

    def replay(self, **asked: Any) -> samples.Sample:
        self.finish_deliveries()
        again = samples.replay(self.database, self.event, **asked)
        self.send(again)
        return again

    def scopes(self) -> list[tuple[Any, ...]]:
        return self.database.rows(
            "select replay_scope, replay, repeats_id is not null from deliveries order by 1, 2"
        )

    def result(self, sample: samples.Sample, version_id: int) -> str:
        return self.database.value(
            "select result from rule_executions where event_id = %s and replay = %s"
            " and version_id = %s",
            sample.id,
            sample.envelope.replay,
            version_id,
        )


def _fail_first_attempts(database: stack.Database) -> None:
    _change_faults(
        database,
        "insert into fault_rules (knob, mode, expires_at)"
        " values ('successOnAttempt', '2', now() + interval '1 minute')",
    )


def _heal(database: stack.Database) -> None:
    _change_faults(database, "delete from fault_rules")


def _change_faults(database: stack.Database, statement: LiteralString) -> None:
    with database.connect() as conn, conn.transaction():
        conn.execute(statement)
        row = conn.execute(
            "update fault_state set version = version + 1 returning version"
        ).fetchone()
    assert row is not None
    eventually(
        lambda: database.value("select max(seen_version) from fault_seen") == row[0],
        what="the faults to be seen",
    )


def _wait_for_status(database: stack.Database, status: str) -> None:
    eventually(
        lambda: (
            database.rows(
                "select e.status from events e where not exists (select from event_attempts a"
                " where a.event_id = e.id having count(distinct a.replay) <= e.replay)"
            )
            == [(status,)]
        ),
        what=f"the run to leave the event {status}",
    )


def test_an_edited_rule_sends_nothing_again_on_replay_unless_it_is_forced(
    system: stack.System,
) -> None:
    rule = rule_rows.store(system.database, True, actions=[WEBHOOK, *rule_rows.LOG])
    pipeline = Pipeline(system, samples.ingested(n=1))
    with system.database.connect() as conn, conn.transaction():
        conn.execute("update rule_versions set state = 'retired' where id = %s", [rule.version_id])
        row = conn.execute(
            "insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) select rule_id, 2, 'published', event_type, condition,"
            " actions, engine, engine_version from rule_versions where id = %s returning id",
            [rule.version_id],
        ).fetchone()
        assert row is not None
        rule_rows.raise_version(conn)

    deduped = pipeline.replay()
    assert pipeline.scopes() == [(0, 0, False)]
    assert pipeline.result(deduped, row[0]) == "deduped"
    assert pipeline.database.rows("select status, replay from events") == [("processed", 1)]

    original = pipeline.replay(mode="original", version_ids=[rule.version_id])
    assert pipeline.scopes() == [(0, 0, False)]
    assert pipeline.result(original, rule.version_id) == "deduped"

    forced = pipeline.replay(effects="force")
    assert pipeline.scopes() == [(0, 0, False), (3, 3, True)]
    assert pipeline.result(forced, row[0]) == "applied"

    other = rule_rows.store(system.database, True, event_type="payment.failed")
    pinned = [rule.version_id, other.version_id]
    silent = pipeline.replay(effects="none", mode="pinned", version_ids=pinned)
    assert pipeline.scopes() == [(0, 0, False), (3, 3, True)]
    assert pipeline.result(silent, rule.version_id) == "applied"
    assert other.version_id not in rule_rows.executions(system.database, pipeline.event.id)
    lines = system.services[0].child.log_path.read_text().count("rule applied")
    assert lines == 2  # the first run's and the forced one's
    attempts = system.database.rows(
        "select replay, attempt_no, trigger, status from event_attempts order by 1"
    )
    assert attempts == [
        (0, 1, "received", "success"),
        *((number, 1, "replay", "success") for number in (1, 2, 3, 4)),
    ]


def test_a_replayed_payment_is_booked_once_whatever_is_asked_for(system: stack.System) -> None:
    pipeline = Pipeline(system, samples.paid())
    before = pipeline.database.rows("select * from ledger_entries order by side")
    settled = pipeline.database.rows("select * from orders")

    for effects in ("dedupe", "force", "none"):
        pipeline.replay(effects=effects)

    assert pipeline.database.rows("select * from ledger_entries order by side") == before
    assert pipeline.database.rows("select * from orders") == settled


def test_a_failed_payment_is_booked_by_the_first_run_that_may_have_effects(
    system: stack.System,
) -> None:
    database = system.database
    event = samples.paid()
    samples.accept(database, [event])
    publisher = samples.Publisher(system.topics)
    with database.connect() as conn:
        conn.execute("insert into event_types (event_type, retry_limit) values ('order.paid', 0)")
    system.start("consumer", wait=True, FAULTS_ENABLED="1", **QUICK)
    _fail_first_attempts(database)
    publisher.send([event])
    _wait_for_status(database, "failed")
    _heal(database)
    with database.connect() as conn:
        # What the api does with the letter of an event that is replayed.
        conn.execute("update dead_letters set state = 'discard_requested'")
    eventually(lambda: checks.count(database, "waiting_events") == 0, what="the key to go on")

    silent = samples.replay(database, event, effects="none")
    publisher.send([event])  # of the first run, which is over
    eventually(
        lambda: database.rows("select verdict from dropped_records") == [("superseded",)],
        what="the late record to be dropped",
    )
    publisher.send([silent])
    _wait_for_status(database, "failed")
    assert checks.count(database, "ledger_entries") == 0
    publisher.send([samples.replay(database, event)])
    _wait_for_status(database, "processed")
    publisher.send([samples.replay(database, event, effects="force")])
    _wait_for_status(database, "processed")

    assert database.rows("select replay, side from ledger_entries order by side") == [
        (2, "credit"),
        (2, "debit"),
    ]
    assert checks.count(database, "orders", "settled_at is not null") == 1


def test_what_a_replay_makes_of_its_event_counts_the_deliveries_of_all_runs(
    system: stack.System,
) -> None:
    database = system.database
    rule_rows.store(database, True, actions=[WEBHOOK])
    pipeline = Pipeline(system, samples.ingested(n=1))
    _give_up(database)

    pipeline.send(samples.replay(database, pipeline.event))
    assert _status(database) == "failed", "its delivery is given up still"
    pipeline.send(samples.replay(database, pipeline.event, effects="none"))
    assert _status(database) == "failed"

    while_pending = samples.replay(database, pipeline.event)
    with database.connect() as conn:
        # Somebody retries the delivery while the replay is on its way.
        conn.execute(
            "update deliveries set state = 'pending', next_attempt_at = now(), finished_at = null"
        )
    pipeline.send(while_pending)
    assert _status(database) == "processing"
    _give_up(database)

    forced = samples.replay(database, pipeline.event, effects="force")
    pipeline.send(forced)
    assert _status(database) == "processing"
    _confirm(database)
    pipeline.send(samples.replay(database, pipeline.event))
    assert _status(database) == "processed", "what was given up is repeated and confirmed"


def _give_up(database: stack.Database) -> None:
    _end(database, "failed")


def _confirm(database: stack.Database) -> None:
    _end(database, "confirmed")


def _end(database: stack.Database, state: str) -> None:
    """What the dispatcher does with whatever is pending, and then with its event."""
    with database.connect() as conn:
        conn.execute(
            "update deliveries set state = 'sending', next_attempt_at = null, leased_by = 'd',"
            " sending_since = now(), lease_expires_at = now() where state = 'pending'"
        )
        conn.execute(
            "update deliveries set state = %s, leased_by = null, sending_since = null,"
            " lease_expires_at = null, finished_at = now() where state = 'sending'",
            [state],
        )
        conn.execute("update events set status = delivery_verdict(id)")


def _status(database: stack.Database) -> str:
    return database.value("select status from events")


def test_a_run_that_nobody_asked_for_has_no_effect_and_an_old_one_is_superseded(
    system: stack.System,
) -> None:
    database = system.database
    pipeline = Pipeline(system, samples.ingested(n=1))
    first = samples.replay(database, pipeline.event)
    with database.connect() as conn:
        # The first replay's record got lost on its way; somebody replays once more.
        conn.execute("update events set status = 'failed'")
    second = samples.replay(database, pipeline.event)
    pipeline.publisher.send([first])  # late, and the present run is still open
    pipeline.send(second)

    pipeline.publisher.send([samples.in_run(pipeline.event, 7), second])

    eventually(
        lambda: checks.count(database, "dropped_records") == 2, what="two records to be dropped"
    )
    eventually(
        lambda: (
            database.rows("select error_class, replay from dead_letters") == [("UnknownReplay", 7)]
        ),
        what="the forged run to be a dead letter",
    )
    assert database.rows("select replay, verdict from dropped_records order by 1") == [
        (1, "superseded"),
        (2, "duplicate"),
    ]
    assert database.rows("select replay from processed_events order by 1") == [(0,), (2,)]


def test_a_replay_that_fails_is_retried_as_the_same_run(system: stack.System) -> None:
    rule = rule_rows.store(system.database, True, actions=[WEBHOOK])
    pipeline = Pipeline(system, samples.ingested(n=1), FAULTS_ENABLED="1", **QUICK)
    pipeline.finish_deliveries()
    _fail_first_attempts(system.database)
    again = samples.replay(
        system.database, pipeline.event, mode="pinned", version_ids=[rule.version_id]
    )

    pipeline.send(again)

    assert system.database.rows(
        "select replay, attempt_no, trigger, status from event_attempts order by 1, 2"
    ) == [
        (0, 1, "received", "success"),
        (1, 1, "replay", "failed"),
        (1, 2, "retry", "success"),
    ]
    assert pipeline.result(again, rule.version_id) == "deduped"


def test_a_run_of_a_kept_receipt_takes_its_payload_and_no_other(system: stack.System) -> None:
    database = system.database
    rule_rows.store(database, True, actions=[WEBHOOK])
    pipeline = Pipeline(system, samples.ingested(n=1))
    kept = msgspec.structs.replace(pipeline.event, data=b'{"n":2}')
    pipeline.finish_deliveries()
    with database.connect() as conn, conn.transaction():
        conn.execute(
            "insert into event_replays (event_id, replay, mode, effects, payload_hash,"
            " status_before, requested_by)"
            " values (%s, 1, 'current', 'force', %s, 'processed', 'test')",
            [kept.id, kept.payload_hash],
        )
        conn.execute("update events set status = 'pending', replay = 1, replayed_at = now()")

    pipeline.publisher.send([samples.in_run(pipeline.event, 1)])
    pipeline.send(samples.in_run(kept, 1))

    assert database.rows("select error_class from dead_letters") == [("ForgedRecord",)]
    sent = "select request -> 'body' -> 'data' from delivery_requests order by delivery_id"
    assert database.rows(sent) == [({"n": 1},), ({"n": 2},)]
