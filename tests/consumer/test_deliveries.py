from typing import Any

import msgspec

from tests.consumer import checks, rule_rows, samples
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually

WEBHOOK: dict[str, Any] = {
    "key": "tell",
    "type": "call_webhook",
    "params": {
        "url": "https://hooks.example.com/payments/{{ data.n }}",
        "body": {"id": "{{ external_id }}", "amount": "{{ data.amount }}"},
    },
}
PLAIN: dict[str, Any] = {
    "key": "plain",
    "type": "call_webhook",
    "params": {"url": "http://hooks.example.com:8080/all"},
}
MAIL: dict[str, Any] = {
    "key": "mail",
    "type": "send_email",
    "params": {"to": "ops@example.com", "subject": "paid {{ data.n }}", "body": "look"},
}
TO_TARGET: dict[str, Any] = {
    "key": "shop",
    "type": "call_webhook",
    "params": {"target": "shop", "body": {}},
}
UNRENDERABLE: dict[str, Any] = {
    "key": "broken",
    "type": "call_webhook",
    "params": {"url": "https://hooks.example.com/{{ data.missing }}"},
}


def _ledger(database: stack.Database, event: samples.Sample) -> dict[str, tuple[Any, ...]]:
    rows = database.rows(
        "select d.action_key, d.kind, d.destination, d.state, d.reason, q.request::text,"
        " d.traceparent, d.id from deliveries d left join delivery_requests q"
        " on q.delivery_id = d.id where d.event_id = %s",
        event.id,
    )
    return {row[0]: row[1:] for row in rows}


def _target(database: stack.Database, name: str, *, disabled: str | None = None) -> None:
    with database.connect() as conn:
        conn.execute(
            "insert into targets (id, name, url, disabled_at, disabled_reason)"
            " values (gen_random_uuid(), %s, 'https://shop.example.com/', case when %s::text is not"
            " null then now() end, %s)",
            [name, disabled, disabled],
        )


def _run(system: stack.System, event: samples.Sample) -> None:
    samples.accept(system.database, [event])
    samples.Publisher(system.topics).send([event])
    checks.wait_processed(system.database, 1)


def test_what_a_rule_sends_is_a_row_of_the_event_s_own_transaction(system: stack.System) -> None:
    database = system.database
    _target(database, "shop")
    with database.connect() as conn:
        conn.execute("listen oncely_deliveries")
        rule = rule_rows.store(
            database, True, actions=[WEBHOOK, PLAIN, MAIL, TO_TARGET, UNRENDERABLE]
        )
        rule_rows.store(database, True, state="shadow", actions=[{**WEBHOOK, "key": "shadow"}])
        rule_rows.store(database, False, actions=[{**WEBHOOK, "key": "unmatched"}])
        system.start("consumer")
        event = samples.ingested(n="a/b", amount=3)

        _run(system, event)

        assert next(conn.notifies(timeout=10)).channel == "oncely_deliveries"
    ledger = _ledger(database, event)
    assert set(ledger) == {"tell", "plain", "mail", "shop", "broken"}
    kind, destination, state, reason, request, traceparent, delivery_id = ledger["tell"]
    assert (kind, destination, state, reason) == (
        "webhook",
        "https://hooks.example.com:443",
        "pending",
        None,
    )
    assert msgspec.json.decode(request) == {
        "method": "POST",
        "url": "https://hooks.example.com/payments/a%2Fb",
        "headers": {},
        "body": {
            "id": f"{event.envelope.aggregate_id}-{event.envelope.event_type}",
            "amount": 3,
        },
    }
    assert traceparent.split("-")[1] == samples.TRACEPARENT.split("-")[1]
    assert traceparent.split("-")[2] == delivery_id.hex[-16:]
    assert ledger["plain"][1] == "http://hooks.example.com:8080"
    told = msgspec.json.decode(ledger["plain"][4])["body"]
    assert told["type"] == "payment.completed"
    assert told["event_id"] == str(event.id)
    assert told["data"] == {"n": "a/b", "amount": 3}
    assert ledger["mail"][:3] == ("email", "email", "pending")
    assert msgspec.json.decode(ledger["mail"][4])["subject"] == "paid a/b"
    assert ledger["shop"][1].startswith("target/")
    assert msgspec.json.decode(ledger["shop"][4])["url"] is None
    assert ledger["broken"][2] == "skipped"
    assert "cannot be rendered" in ledger["broken"][3]
    assert ledger["broken"][4] is None
    assert database.rows("select status from events") == [("processing",)]
    assert database.rows("select name from destinations where name not like 'target/%'") != []
    assert rule_rows.executions(database, event.id)[rule.version_id] == "applied"


def test_a_redelivered_event_makes_no_second_delivery(system: stack.System) -> None:
    database = system.database
    rule_rows.store(database, True, actions=[PLAIN])
    system.start("consumer")
    event = samples.ingested(n=1)
    _run(system, event)

    samples.Publisher(system.topics).send([event, event])

    eventually(
        lambda: checks.count(database, "dropped_records") == 2, what="both copies to be dropped"
    )
    assert checks.count(database, "deliveries") == 1


def test_a_target_that_is_gone_or_disabled_gets_nothing_and_the_ledger_says_why(
    system: stack.System,
) -> None:
    database = system.database
    _target(database, "shop", disabled="it answered 410")
    _target(database, "closed")
    closed = database.value(
        "update targets set archived_at = now() where name = 'closed' returning id::text"
    )
    others = [
        {**TO_TARGET, "key": key, "params": {"target": named}}
        for key, named in (("nowhere", "nobody"), ("by name", "closed"), ("by id", closed))
    ]
    rule_rows.store(database, True, actions=[TO_TARGET, *others])
    system.start("consumer")
    event = samples.ingested(n=1)

    _run(system, event)

    ledger = _ledger(database, event)
    assert ledger["shop"][2:4] == ("skipped", "the target is disabled: it answered 410")
    for key, named in (("nowhere", "nobody"), ("by name", "closed"), ("by id", closed)):
        assert ledger[key][2:4] == ("skipped", f"there is no target {named} any more")
    assert database.rows("select status from events") == [("processed",)]
    # Somebody may enable the target and retry: a delivery without its destination is never claimed.
    assert database.rows(
        "select d.action_key from deliveries d join destinations n on n.name = d.destination"
    ) == [("shop",)]
