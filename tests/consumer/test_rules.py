from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

import msgspec
import psutil
import pytest

from services.consumer import evaluation, plans, rulebook
from services.consumer.queries import rules as queries
from shared import live
from shared.rules import port
from tests.consumer import checks, rule_rows, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually
from tests.fixtures.notices import Notices

SLOW_RULES = 30
QUICK = {"RETRY_SCHEDULE_SECONDS": "[0.1]", "WAITING_POLL_SECONDS": "0.1"}


def _send(system: stack.System, sent: Sequence[samples.Sample]) -> None:
    samples.accept(system.database, sent)
    samples.Publisher(system.topics).send(sent)


def _store_slow_rules(database: stack.Database) -> None:
    """Rules that take longer than their type may."""
    for _ in range(SLOW_RULES):
        rule_rows.store(database, {"all": [[*range(250)], {"all": [[*range(250)], True]}]})
    rule_rows.change(
        database,
        "insert into event_types (event_type, processing_timeout_ms, retry_limit)"
        " values ('payment.completed', 1, 1)",
    )


def _executions_by_attempt(
    database: stack.Database, event: samples.Sample
) -> list[tuple[int, int]]:
    return database.rows(
        "select attempt_no, count(*) from rule_executions where event_id = %s group by 1", event.id
    )


def test_applied_skipped_and_failed_rules_stand_beside_each_other_in_one_attempt(
    system: stack.System,
) -> None:
    database = system.database
    applied = rule_rows.store(database, {">=": [{"var": "amount"}, 100]})
    by_pattern = rule_rows.store(database, {"var": "event.subject"}, event_type="payment.*")
    skipped = rule_rows.store(database, {"<": [{"var": "amount"}, 100]})
    failed = rule_rows.store(database, {"+": [{"var": "country"}, 1]})
    endless = rule_rows.store(database, rule_rows.NEVER_ENDING, engine="json-logic-qubit")
    shadow = rule_rows.store(database, True, state="shadow")
    shadow_skipped = rule_rows.store(database, False, state="shadow")
    unreadable = rule_rows.store(database, {"an operator": "of another build"})
    draft = rule_rows.store(database, True, state="draft")
    stranger = rule_rows.store(database, True, event_type="order.created")
    event = samples.ingested(amount=120, country="BR", subject="customer-7")
    system.start("consumer", wait=True)

    _send(system, [event])

    checks.wait_processed(database, 1)
    found = rule_rows.executions(database, event.id)
    assert found == {
        applied.version_id: "applied",
        by_pattern.version_id: "applied",
        skipped.version_id: "skipped",
        failed.version_id: "failed",
        endless.version_id: "failed",
        shadow.version_id: "applied",
        shadow_skipped.version_id: "skipped",
        unreadable.version_id: "failed",
    }
    assert draft.version_id not in found
    assert stranger.version_id not in found
    classes = dict(
        database.rows("select version_id, error_class from rule_executions where result = 'failed'")
    )
    assert classes[endless.version_id] == "BudgetExceeded"
    assert classes[unreadable.version_id] == "Uncompilable"
    assert database.rows("select version_id from rule_executions where shadow") == [
        (shadow.version_id,)
    ]
    assert database.rows("select version_ids, shadows from rule_skips") == [
        ([skipped.version_id, shadow_skipped.version_id], [False, True])
    ]
    checks.each_took_effect_once(database, [event])


def test_a_change_that_is_committed_before_an_event_is_accepted_counts_for_it(
    system: stack.System,
) -> None:
    """No promise about how long news travels: the version is read before each transaction."""
    database = system.database
    system.start("consumer", wait=True)
    publisher = samples.Publisher(system.topics)
    rule = rule_rows.store(database, True)
    for number in range(30):
        active = number % 2 == 0
        rule_rows.change(database, "update rules set active = %s", active)
        event = samples.ingested(n=number)

        samples.accept(database, [event])
        publisher.send([event])

        checks.wait_processed(database, number + 1)
        expected = {rule.version_id: "applied"} if active else {}
        assert rule_rows.executions(database, event.id) == expected


def test_each_state_of_a_rule_counts_for_the_next_event(system: stack.System) -> None:
    database = system.database
    system.start("consumer", wait=True)
    publisher = samples.Publisher(system.topics)
    rule = rule_rows.store(database, True, state="shadow")
    changes: list[tuple[LiteralString, list[bool]]] = [
        ("update rules set name = 'in shadow'", [True]),
        ("update rule_versions set state = 'published'", [False]),
        ("update rules set archived_at = now()", []),
        ("update rules set archived_at = null", [False]),
        ("update rule_versions set state = 'retired'", []),
    ]
    for number, (statement, in_shadow) in enumerate(changes):
        rule_rows.change(database, statement)
        event = samples.ingested(n=number)

        samples.accept(database, [event])
        publisher.send([event])

        checks.wait_processed(database, number + 1)
        found = database.rows(
            "select version_id, shadow from rule_executions where event_id = %s", event.id
        )
        assert found == [(rule.version_id, shadow) for shadow in in_shadow], statement


def test_a_redelivered_event_is_judged_once(system: stack.System) -> None:
    database = system.database
    rule_rows.store(database, True)
    event = samples.ingested(amount=1)
    samples.accept(database, [event])
    publisher = samples.Publisher(system.topics)
    publisher.send([event])
    system.start("consumer", wait=True)
    checks.wait_processed(database, 1)
    rule_rows.store(database, True)

    publisher.send([event, event])

    eventually(lambda: checks.count(database, "dropped_records") == 2, what="both duplicates")
    assert checks.count(database, "rule_executions") == 1


def test_a_batch_whose_rules_make_too_many_rows_is_cut_short_and_nothing_is_lost(
    system: stack.System,
) -> None:
    database = system.database
    for _ in range(3):
        rule_rows.store(database, True)
    skipped = [rule_rows.store(database, False).version_id for _ in range(2)]
    sent = [samples.ingested(n=number, subject=f"s-{number % 7}") for number in range(200)]
    _send(system, sent)

    system.start("consumer", wait=True, RULE_ROWS_PER_BATCH_MAX="10")

    checks.wait_processed(database, 200)
    checks.each_took_effect_once(database, sent)
    assert checks.count(database, "rule_executions") == 600
    assert database.rows("select version_ids from rule_skips") == [(skipped,)] * 200
    batches = database.value("select count(distinct xmin::text) from processed_events")
    assert batches >= 200 // 4


def test_a_batch_that_new_rules_make_too_large_is_applied_in_pieces(system: stack.System) -> None:
    database = system.database
    for _ in range(3):
        rule_rows.store(database, True)
    rule_rows.change(database, "update rules set active = false")
    sent = [samples.ingested(n=number) for number in range(100)]
    samples.accept(database, sent)
    system.start("consumer", wait=True, RULE_ROWS_PER_BATCH_MAX="10", WAITING_POLL_SECONDS="60")
    waiting = (
        "select count(*) from pg_stat_activity"
        " where wait_event_type = 'Lock' and datname = current_database()"
    )

    # The batch is planned, and then the rules are others.
    with database.connect(autocommit=False) as conn:
        conn.execute("lock table rulebook_state in access exclusive mode")
        samples.Publisher(system.topics).send(sent)
        eventually(lambda: database.value(waiting) > 0, what="the writer to ask for the version")
        conn.execute("update rules set active = true")
        rule_rows.raise_version(conn)
        conn.commit()

    checks.wait_processed(database, 100)
    checks.each_took_effect_once(database, sent)
    assert checks.count(database, "rule_executions") == 300
    assert database.value("select count(distinct xmin::text) from processed_events") >= 100 // 4


def test_an_event_whose_rules_take_too_long_fails_is_retried_and_ends_in_the_dead_letters(
    system: stack.System,
) -> None:
    database = system.database
    _store_slow_rules(database)
    slow_event, other = samples.ingested(n=1), samples.ingested("order.note", n=2)
    system.start("consumer", wait=True, **QUICK)

    _send(system, [slow_event, other])

    eventually(
        lambda: checks.count(database, "dead_letters", "error_class = 'ProcessingTimeout'") == 1,
        what="the dead letter",
    )
    attempts = database.rows(
        "select attempt_no, trigger, status, error_class from event_attempts"
        " where event_id = %s order by attempt_no",
        slow_event.id,
    )
    assert attempts == [
        (1, "received", "failed", "ProcessingTimeout"),
        (2, "retry", "failed", "ProcessingTimeout"),
    ]
    assert rule_rows.executions(database, slow_event.id) == {}
    eventually(lambda: checks.count(database, "processed_events") == 1, what="the other event")

    rule_rows.change(database, "update event_types set processing_timeout_ms = 60000")
    with database.connect() as conn:
        conn.execute("update dead_letters set state = 'redrive_requested'")

    checks.wait_processed(database, 2)
    assert _executions_by_attempt(database, slow_event) == [(3, SLOW_RULES)]


def test_a_retried_event_is_judged_by_the_rules_of_its_retry(system: stack.System) -> None:
    database = system.database
    _store_slow_rules(database)
    event = samples.ingested(n=1)
    system.start("consumer", wait=True, **{**QUICK, "RETRY_SCHEDULE_SECONDS": "[2]"})
    _send(system, [event])
    eventually(lambda: checks.count(database, "event_attempts") == 1, what="the first attempt")

    rule_rows.change(database, "update event_types set processing_timeout_ms = 60000")
    rule_rows.store(database, True)

    checks.wait_processed(database, 1)
    assert _executions_by_attempt(database, event) == [(2, SLOW_RULES + 1)]


def test_a_rule_that_goes_over_its_budget_again_and_again_is_suspended_and_others_go_on(
    system: stack.System,
) -> None:
    database = system.database
    endless = rule_rows.store(database, rule_rows.NEVER_ENDING)
    good = rule_rows.store(database, True)
    sent = [samples.ingested(n=number) for number in range(100)]
    consumer = system.start(
        "consumer", wait=True, RULE_OVERRUNS_MAX="5", WAITING_POLL_SECONDS="0.1"
    )
    process = psutil.Process(consumer.child.pid)
    before = process.memory_info().rss

    with Notices(database) as notices:
        _send(system, sent)
        checks.wait_processed(database, 100)
        notices.wait(("rule", "suspended", str(endless.rule_id)))
    assert checks.count(database, "rule_suspensions") == 1
    results = dict(
        database.rows("select error_class, count(*) from rule_executions group by error_class")
    )
    assert results[None] == 100
    assert results["BudgetExceeded"] == 5
    assert results["Suspended"] == 95
    assert process.memory_info().rss - before < 40 * 1024 * 1024
    assert {endless.version_id: "failed", good.version_id: "applied"} == rule_rows.executions(
        database, sent[-1].id
    )

    rule_rows.change(database, "update rule_suspensions set resumed_at = now()")
    again = samples.ingested(n=101)
    _send(system, [again])

    checks.wait_processed(database, 101)
    assert (
        database.value(
            "select error_class from rule_executions where event_id = %s and result = 'failed'",
            again.id,
        )
        == "BudgetExceeded"
    )


def test_an_applied_log_action_writes_its_rendered_message_within_the_bound(
    system: stack.System,
) -> None:
    database = system.database
    message = "{{ external_id }} of {{ data.amount }}"
    rule_rows.store(database, True, state="shadow")
    rule_rows.store(database, {"+": [{"var": "country"}, 1]})
    rule_rows.store(
        database,
        True,
        actions=[
            {"key": key, "type": "log", "params": {"message": message}} for key in ("log", "again")
        ],
    )
    event = samples.ingested(amount=7, country="BR")
    consumer = system.start("consumer", wait=True, LOG_FORMAT="json", RULE_LOGS_PER_BATCH_MAX="1")

    _send(system, [event])

    checks.wait_processed(database, 1)
    external_id = database.value("select external_id from events")
    lines = eventually(
        lambda: [
            line
            for line in consumer.child.log_path.read_text().splitlines()
            if "rule applied" in line
        ],
        what="the line",
    )
    assert len(lines) == 1
    line = msgspec.json.decode(lines[0][lines[0].index("{") :])
    assert line["message"] == f"{external_id} of 7"
    assert line["event_id"] == str(event.id)


def test_each_consumer_tells_which_rules_it_has_in_force(system: stack.System) -> None:
    database = system.database
    system.start("consumer", wait=True, WAITING_POLL_SECONDS="0.1")
    rule_rows.store(database, True)

    version = database.value("select version from rulebook_state")

    eventually(
        lambda: database.rows("select seen_version, rules from rulebook_readers") == [(version, 1)],
        what="the reader's report",
    )


def _book(*, overruns_max: int) -> rulebook.Rulebook:
    quiet = live.Announcer("", instance="one")  # never started
    return rulebook.Rulebook(
        limits=port.Limits(), overruns_max=overruns_max, consumer="one", announcer=quiet
    )


def test_a_book_knows_what_others_suspended_and_resumed(database: stack.Database) -> None:
    stored = rule_rows.store(database, True)
    book = _book(overruns_max=1)
    with database.connect("oncely_consumer") as conn:
        book.look(conn)
        queries.suspend(conn, version_id=stored.version_id, reason="slow", consumer="another")
        book.look(conn)
        assert book.book.suspended == {stored.version_id}
        with database.connect() as operator:
            operator.execute("update rule_suspensions set resumed_at = now()")
        book.look(conn)
    assert book.book.suspended == frozenset()


def test_overruns_that_are_far_apart_suspend_nothing(
    database: stack.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rulebook, "OVERRUN_SECONDS", 0.0)
    rule_rows.store(database, rule_rows.NEVER_ENDING)
    event = samples.ingested()
    book = _book(overruns_max=2)
    with database.connect("oncely_consumer") as conn:
        for _ in range(4):
            book.look(conn)
            found = evaluation.evaluate(
                book.book, event.envelope, event.data, timeout_ms_default=60_000
            )
            assert found is not None
            assert found.executions[0].error_class == "BudgetExceeded"
    assert checks.count(database, "rule_suspensions") == 0


def test_a_batch_whose_rules_take_long_is_cut_after_its_first_records() -> None:
    entry = evaluation.Entry(
        version_id=1, rule_id=UUID(int=1), version=1, shadow=False, event_type="*", condition=None
    )
    patient, hasty = (
        plans.Rules(
            book=evaluation.Book(version=1, entries=[entry]),
            timeout_ms=60_000,
            seconds_max=seconds_max,
            rows_max=1000,
        )
        for seconds_max in (60.0, 0.0)
    )
    batch = [samples.ingested(n=number).record_at(number) for number in range(3)]

    planned = plans.make(batch, hasty)

    assert plans.make(batch, patient).taken == 3
    assert planned.taken == 1
    assert [event.record.offset for event in planned.events] == [0]


def test_due_retries_are_judged_a_few_at_a_time_and_all_of_them_come_to_their_turn(
    system: stack.System,
) -> None:
    database = system.database
    _store_slow_rules(database)
    rule_rows.change(database, "update event_types set retry_limit = 100")
    good = rule_rows.store(database, {"==": [{"var": "n"}, 7]})
    sent = [samples.ingested(n=number) for number in range(40)]
    system.start("consumer", wait=True, **QUICK, PLAN_SECONDS_MAX="0.001")
    _send(system, sent)
    eventually(
        lambda: checks.count(database, "waiting_events") == 40,
        deadline_seconds=30,
        what="40 scheduled retries",
    )

    rule_rows.change(database, "update rules set active = false where id <> %s", good.rule_id)

    checks.wait_processed(database, 40)
    checks.each_took_effect_once(database, sent)
    assert checks.count(database, "rule_executions") == 1
    assert rule_rows.executions(database, sent[7].id) == {good.version_id: "applied"}
