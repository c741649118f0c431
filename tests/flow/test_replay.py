"""Replays through all services: what is sent, booked and told in each mode with each effect."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests import invariants
from tests.api import rules
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually
from tests.fixtures.sink import Sink

ENV: dict[str, Any] = {
    "FAULTS_ENABLED": "1",
    "RETRY_SCHEDULE_SECONDS": "[0.1]",
    "WAITING_POLL_SECONDS": "0.1",
    "DISPATCH_POLL_MS": "50",
}
# Everything that a replay with dedupe, or with no effects, must leave as it is.
LEDGER = """
    select 'delivery', t::text from deliveries t where event_id = %(event)s
    union all select 'request', q.delivery_id || q.request::text from delivery_requests q
      join deliveries d on d.id = q.delivery_id where d.event_id = %(event)s
    union all select 'attempt', t::text from delivery_attempts t
      join deliveries d on d.id = t.delivery_id where d.event_id = %(event)s
    union all select 'entry', t::text from ledger_entries t where t.event_id = %(event)s
    union all select 'order', t::text from orders t
      join events e on e.aggregate_id = t.id::text where e.id = %(event)s
    order by 1, 2"""
MADE = """
    select r.name, v.version, d.replay_scope, d.replay, d.state,
      d.repeats_id is not distinct from f.id and f.id <> d.id as repeats_the_first
    from deliveries d
    join rules r on r.id = d.rule_id
    join rule_versions v on v.id = d.version_id
    left join deliveries f on f.event_id = d.event_id and f.rule_id = d.rule_id
      and f.action_key = d.action_key and f.replay_scope = 0
    where d.event_id = %s and d.replay_scope = %s
    order by r.name"""


class Running:
    """All services and a sink."""

    def __init__(self, system: stack.System, sink: Sink) -> None:
        self.system = system
        self.database = system.database
        self.sink = sink
        for kind in ("relay", "consumer", "dispatcher"):
            system.start(kind, wait=False, **ENV)
        self.url = system.start("api", **ENV).url
        for process in system.services:
            process.wait_ready(30)

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = client.call(self.url, method, path, body)
        assert answer.status == status, answer
        return answer.body

    def send(self, event_type: str, data: Any) -> str:
        body = {"id": str(uuid.uuid4()), "type": event_type, "data": data}
        return str(self.ask("POST", "/events", body, status=201)["id"])

    def wait_for(self, event_id: str, status: str, replay: int = 0) -> None:
        query = "select status, replay from events where id = %s"
        eventually(
            lambda: self.database.rows(query, event_id) == [(status, replay)],
            deadline_seconds=20,
            what=f"{event_id} to be {status} in run {replay}",
        )

    def replay(self, event_id: str, **body: Any) -> dict[str, Any]:
        """Replay an event, and what its run says when it is over."""
        number = self.ask("POST", f"/events/{event_id}/replay", body, status=202)["replay"]
        self.wait_for(event_id, "processed", number)
        return self.ask("GET", f"/events/{event_id}/replays/{number}")

    def ledger(self, event_id: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as conn:
            return conn.execute(LEDGER.encode(), {"event": event_id}).fetchall()

    def break_on_purpose(self, **faults: Any) -> None:
        version = self.ask("POST", "/faults", faults)["version"]

        def known() -> bool:
            seen = self.ask("GET", "/faults")["services"]
            return any(
                each["service"] == "consumer" and each["seen_version"] >= version for each in seen
            )

        eventually(known, what="the consumer to know the faults")


@pytest.fixture(scope="module")
def running(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with stack.fresh_database(servers.postgres) as database, Sink() as sink:
        system = stack.System(
            database=database,
            topics=stack.fresh_topics(servers),
            log_dir=tmp_path_factory.mktemp("replay"),
        )
        try:
            yield Running(system, sink)
        finally:
            system.stop()


def _hook(running: Running, version: int) -> dict[str, Any]:
    params = {
        "url": running.sink.url(f"/v{version}"),
        "body": {"version": version, "amount": "{{ data.amount }}"},
    }
    return {"type": "call_webhook", "key": "tell", "params": params}


def _edited_rules(running: Running) -> tuple[str, str]:
    """A rule that is to be edited to another URL and body, and one whose condition will no longer
    match; both match a first event.
    """
    common = {"event_type": "sold", "condition": {">=": [{"var": "amount"}, 100]}}
    elsewhere = rules.create(running.url, name="elsewhere", action=_hook(running, 1), **common)
    no_more = rules.create(running.url, name="no more", action=_hook(running, 1), **common)
    return elsewhere["id"], no_more["id"]


def _edit(running: Running, rule_id: str, name: str, **changes: Any) -> None:
    shown = client.call(running.url, "GET", f"/rules/{rule_id}")
    body = rules.rule(name=name, event_type="sold", **changes)
    answer = rules.send(
        running.url, "PUT", f"/rules/{rule_id}", body, if_match=shown.headers["etag"]
    )
    assert answer.status == 200, answer


def _expected(mode: str, replay: int) -> list[tuple[Any, ...]]:
    """What a forced run sends, by rule: version, scope, run, state, linked to the first."""
    versions = {"current": [("elsewhere", 2)], "pinned": [("elsewhere", 1)]}.get(
        mode, [("elsewhere", 1), ("no more", 1)]
    )
    return [(name, version, replay, replay, "confirmed", True) for name, version in versions]


def test_matrix_of_modes_and_effects_on_an_event_whose_rules_were_edited(running: Running) -> None:
    elsewhere, no_more = _edited_rules(running)
    event_id = running.send("sold", {"amount": 150})
    running.wait_for(event_id, "processed")
    never = {">=": [{"var": "amount"}, 10_000]}
    same = {">=": [{"var": "amount"}, 100]}
    _edit(running, elsewhere, "elsewhere", condition=same, action=_hook(running, 2))
    _edit(running, no_more, "no more", condition=never, action=_hook(running, 1))
    asked: dict[str, dict[str, Any]] = {
        "current": {},
        "original": {"mode": "original"},
        "pinned": {"mode": "pinned", "rule_versions": {elsewhere: 1}},
    }
    differ = {
        "current": {elsewhere: "version", no_more: "version"},
        "original": {},
        "pinned": {no_more: "missing"},
    }
    deduped = {"current": [elsewhere], "original": [elsewhere, no_more], "pinned": [elsewhere]}
    first = running.ledger(event_id)
    assert [kind for kind, _ in first] == ["attempt"] * 2 + ["delivery"] * 2 + ["request"] * 2
    sent = 2
    for mode, body in asked.items():
        for effects in ("dedupe", "none", "force"):
            before = running.ledger(event_id)
            told = running.replay(event_id, **body, effects=effects, reason="matrix")
            number = told["run"]["replay"]
            found = {one["rule_id"]: one["why"] for one in told["comparison"]["differences"]}
            assert found == differ[mode], (mode, effects)
            assert told["comparison"]["verdict"] == ("diverged" if found else "identical")
            made = running.database.rows(MADE, event_id, number)
            if effects == "force":
                assert made == _expected(mode, number)
                sent += len(made)
                assert [one["made"] for one in told["deliveries_made"]] == [True] * len(made)
            else:
                assert running.ledger(event_id) == before, (mode, effects)
            if effects == "dedupe":
                rule_ids = sorted(one["rule_id"] for one in told["deliveries_deduped"])
                assert rule_ids == sorted(deduped[mode])
            assert len(running.sink.hits) == sent
    assert {line for line in first if line[0] != "order"} <= set(running.ledger(event_id))
    ids = [hit.webhook_id for hit in running.sink.hits]
    assert len(set(ids)) == sent == 6
    assert [hit.path for hit in running.sink.hits].count("/v2") == 1
    results = (
        "select r.effects, array_agg(distinct x.result) from rule_executions x"
        " join event_replays r using (event_id, replay) where event_id = %s group by 1 order by 1"
    )
    assert running.database.rows(results, event_id) == [
        ("dedupe", ["deduped"]),
        ("force", ["applied"]),
        ("none", ["applied"]),
    ]
    records = [
        record.envelope.replay
        for record in invariants.read_topics(running.system.topics)
        if record.envelope and str(record.envelope.event_id) == event_id
    ]
    assert sorted(set(records)) == list(range(10))


def test_replayed_paid_order_books_nothing_again(running: Running) -> None:
    order = {"customer_id": "ada", "currency": "EUR", "amount": 1999}
    order_id = running.ask("POST", "/orders", order, status=201)["id"]
    running.ask("POST", f"/orders/{order_id}/pay")
    query = "select id::text from events where aggregate_id = %s and event_type = 'order.paid'"
    event_id = running.database.value(query, order_id)
    running.wait_for(event_id, "processed")
    before = running.ledger(event_id)
    assert [kind for kind, _ in before] == ["entry", "entry", "order"]
    for number, effects in enumerate(("dedupe", "force", "none"), 1):
        told = running.replay(event_id, effects=effects, reason="again")
        assert (told["run"]["replay"], told["run"]["status_before"]) == (number, "processed")
        assert running.ledger(event_id) == before, effects


def test_event_that_failed_before_it_was_booked_is_booked_by_its_replay_once(
    running: Running,
) -> None:
    settings = {"retry_limit": 0, "key_policy": "wait"}
    path = "/event-types/order.paid"
    assert client.call(running.url, "PUT", path, settings).status in {200, 201}
    running.break_on_purpose(successOnAttempt=9, match={"event_type": "order.paid"}, ttl_s=300)
    order = {"customer_id": "bob", "currency": "EUR", "amount": 500}
    order_id = running.ask("POST", "/orders", order, status=201)["id"]
    running.ask("POST", f"/orders/{order_id}/pay")
    query = "select id::text from events where aggregate_id = %s and event_type = 'order.paid'"
    event_id = running.database.value(query, order_id)
    running.wait_for(event_id, "failed")
    running.break_on_purpose()
    told = running.replay(event_id)
    assert told["comparison"]["verdict"] == "first"
    booked = running.ledger(event_id)
    assert [kind for kind, _ in booked] == ["entry", "entry", "order"]
    running.replay(event_id, effects="force", reason="again")
    assert running.ledger(event_id) == booked
    letters = "select state, resolution_reason from dead_letters where event_id = %s"
    assert running.database.rows(letters, event_id) == [("discarded", "replayed as run 1")]


def test_bulk_replay_goes_through_the_log_and_sends_nothing_twice(running: Running) -> None:
    rules.create(
        running.url, name="bulk", event_type="bulk", condition=True, action=_hook(running, 3)
    )
    events = [running.send("bulk", {"amount": number}) for number in range(20)]
    for event_id in events:
        running.wait_for(event_id, "processed")
    sent = len(running.sink.hits)
    body = {"filter": {"type": "bulk"}, "mode": "original", "reason": "to be sure"}
    job = running.ask("POST", "/replays", body, status=202)["id"]
    for event_id in events:
        running.wait_for(event_id, "processed", 1)
    shown = running.ask("GET", f"/replays/{job}/events")["events"]
    assert {(one["status"], one["verdict"]) for one in shown} == {("processed", "identical")}
    assert [one["event_id"] for one in shown] == events
    assert running.ask("GET", f"/replays/{job}")["replayed"] == 20
    assert len(running.sink.hits) == sent
    eventually(lambda: invariants.violations(running.database) == [], what="all invariants")
