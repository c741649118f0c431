"""A replay of one event: what is asked for is stored and sent once, or refused with its flaws."""

import uuid
from typing import Any

import pytest

from services.api import database_pool, problems
from services.api.replays import runs
from shared import events
from tests.api import history, replay_rows, samples
from tests.api.conftest import Api
from tests.fixtures import client
from tests.fixtures.watcher import Watcher

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _accept(api: Api, *, status: str | None = "processed", **changes: Any) -> str:
    """An event that was accepted, and finished as a consumer finishes it."""
    answer = client.call(
        api.url, "POST", "/events", samples.event(**changes), headers={"traceparent": TRACE}
    )
    assert answer.status == 201, answer
    event_id = str(answer.body["id"])
    if status is not None:
        replay_rows.apply_run(api.database, event_id, status=status)
    return event_id


def _replay(api: Api, event_id: str, body: Any = None) -> client.Answer:
    return client.call(api.url, "POST", f"/events/{event_id}/replay", body)


def _detail(api: Api, event_id: str, replay: int = 1) -> dict[str, Any]:
    answer = client.call(api.url, "GET", f"/events/{event_id}/replays/{replay}")
    assert answer.status == 200, answer
    return answer.body


def _pointers(answer: client.Answer) -> list[str]:
    assert answer.status == 422, answer
    return sorted(error["pointer"] for error in answer.body["errors"])


def test_empty_body_sends_the_event_once_more_by_the_present_rules(api: Api) -> None:
    event_id = _accept(api, subject="customer-7")
    answer = _replay(api, event_id)
    assert (answer.status, answer.headers["location"]) == (202, f"/events/{event_id}/replays/1")
    assert answer.body == {
        "event_id": event_id, "replay": 1, "mode": "current", "effects": "dedupe",
        "status": "pending", "status_before": "processed", "version_ids": None, "receipt": None,
        "reason": None,
    }  # fmt: skip
    columns = (
        "select shard, aggregate_id, aggregate_seq, event_type, source, subject, occurred_at,"
        " traceparent, topic, kafka_key, convert_from(payload, 'UTF8')::jsonb from outbox"
        " where event_id = %s and replay = %s"
    )
    assert api.database.rows(columns, event_id, 1) == api.database.rows(columns, event_id, 0)
    stored = "select status, replay, replayed_at is not null from events where id = %s"
    assert api.database.rows(stored, event_id) == [("pending", 1, True)]
    shown = client.call(api.url, "GET", f"/events/{event_id}").body
    assert (shown["status"], shown["replay"]) == ("pending", 1)
    audited = "select count(*) from audit_log where action = 'event.replay' and target = %s"
    assert api.database.value(audited, f"events/{event_id}") == 1
    detail = _detail(api, event_id)
    assert detail["comparison"]["verdict"] == "not_applied"
    assert detail["comparison"]["notes"] == ["not applied yet"]
    assert _replay(api, event_id).body["state"] == "pending"


def test_order_s_event_goes_to_its_topic_under_its_order(api: Api) -> None:
    order_id = samples.create_order(api.url)
    event_id = api.database.value("select id::text from events where aggregate_id = %s", order_id)
    replay_rows.apply_run(api.database, event_id)
    assert _replay(api, event_id).status == 202
    query = "select topic, kafka_key, replay from outbox where event_id = %s order by replay"
    topic = "tests-api.orders"
    assert api.database.rows(query, event_id) == [(topic, order_id, 0), (topic, order_id, 1)]


def test_event_is_found_by_the_sender_s_id(api: Api) -> None:
    body = samples.event(id="a/b c", source="shop")
    event_id = client.call(api.url, "POST", "/events", body).body["id"]
    replay_rows.apply_run(api.database, event_id)
    path = "/events/a%2Fb%20c/replay?by=external&source=shop"
    answer = client.call(api.url, "POST", path)
    assert (answer.status, answer.body["event_id"]) == (202, event_id)
    assert client.call(api.url, "POST", path + "x").status == 404


def test_unfinished_event_is_refused_with_its_state(api: Api) -> None:
    event_id = _accept(api, status=None)
    answer = _replay(api, event_id)
    assert (answer.status, answer.body["type"]) == (409, "/problems/event-not-finished")
    assert answer.body["state"] == "pending"
    assert _replay(api, str(uuid.uuid4())).status == 404
    assert _replay(api, "x").status == 404


def test_of_simultaneous_replays_one_is_taken(api: Api) -> None:
    event_id = _accept(api)
    answers = client.at_once(8, lambda _: _replay(api, event_id))
    assert sorted(answer.status for answer in answers) == [202] + [409] * 7
    count = "select count(*) from outbox where event_id = %s and replay > 0"
    assert api.database.value(count, event_id) == 1


def test_expired_payload_is_not_replayed(api: Api) -> None:
    event_id = _accept(api)
    history.expire(api.database, event_id)
    assert _replay(api, event_id).body["type"] == "/problems/payload-expired"


def test_open_dead_letter_lets_its_key_go_on_but_not_without_effects(api: Api) -> None:
    event_id = _accept(api, status="failed")
    for stage, topic in (("consumer", "t"), ("relay", "r")):
        api.database.rows(
            "insert into dead_letters (id, stage, event_id, topic, kafka_partition, kafka_offset,"
            " payload_bytes, error_class, error_message)"
            " values (uuidv7(), %s, %s, %s, 0, 0, 0, 'E', 'e') returning id",
            stage,
            event_id,
            topic + event_id,
        )
    letter = "select id::text from dead_letters where event_id = %s and stage = 'consumer'"
    refused = _replay(api, event_id, {"effects": "none"})
    assert (refused.status, refused.body["type"]) == (409, "/problems/dead-letter-open")
    assert refused.body["dead_letter_id"] == api.database.value(letter, event_id)
    with Watcher(api.url) as watcher:
        watcher.subscribe({"kinds": ["dead_letter"]})
        assert _replay(api, event_id).body["status_before"] == "failed"
        closed = ("dead_letter", refused.body["dead_letter_id"], "discard_requested", None)
        watcher.wait(lambda: watcher.updates() == [closed], "the letter that it closes")
    query = (
        "select stage, state, resolution_reason from dead_letters where event_id = %s order by 1"
    )
    assert api.database.rows(query, event_id) == [
        ("consumer", "discard_requested", "replayed as run 1"),
        ("relay", "open", None),
    ]


def test_a_replay_does_not_let_later_events_of_the_key_overtake_it(api: Api) -> None:
    event_id = _accept(api, status="failed")
    with api.database.connect() as conn:
        conn.execute(
            "insert into dead_letters (id, stage, event_id, topic, kafka_partition, kafka_offset,"
            " kafka_key, payload_bytes, error_class, error_message)"
            " values (uuidv7(), 'consumer', %s, 't', 0, 7, %s, 0, 'E', 'e')",
            [event_id, event_id],
        )
        conn.execute(
            "insert into waiting_events (topic, kafka_partition, kafka_offset, kafka_key, event_id,"
            " replay, value, headers) values ('t', 0, 8, %s, uuidv7(), 0, '', '{}')",
            [event_id],
        )
    refused = _replay(api, event_id)
    assert (refused.status, refused.body["type"]) == (409, "/problems/dead-letter-open")
    assert "redrive" in refused.body["detail"]
    with api.database.connect() as conn:
        conn.execute("delete from waiting_events where kafka_key = %s", [event_id])
    assert _replay(api, event_id).status == 202


def test_original_takes_the_versions_of_the_first_run_that_was_applied(api: Api) -> None:
    _, ids = history.insert_rule(
        api.database,
        history.version(True, state="retired"),
        history.version(True),
        history.version(True, state="shadow"),
    )
    event_id = _accept(api, status=None)
    replay_rows.apply_run(
        api.database, event_id, replay=0, results={ids[0]: "applied"}, skipped=[ids[1]]
    )
    api.database.rows(
        "insert into rule_executions (event_id, replay, attempt_no, version_id, result, shadow,"
        " duration_us) values (%s, 0, 1, %s, 'applied', true, 1) returning version_id",
        event_id, ids[2],
    )  # fmt: skip
    answer = _replay(api, event_id, {"mode": "original"})
    assert answer.body["version_ids"] == ids[:2]
    replay_rows.apply_run(api.database, event_id, replay=1, results={ids[1]: "applied"})
    assert _replay(api, event_id, {"mode": "original"}).status == 202
    asked = "select mode, version_ids from event_replays where event_id = %s"
    assert api.database.rows(asked, event_id) == [("original", ids[:2])] * 2
    never = client.call(api.url, "POST", "/events", samples.event()).body["id"]
    api.database.rows("update events set status = 'failed' where id = %s returning id", never)
    assert _pointers(_replay(api, never, {"mode": "original"})) == ["/mode"]
    assert _replay(api, never).status == 202
    before = "select status_before from event_replays where event_id = %s"
    assert api.database.rows(before, never) == [("failed",)]
    without_rules = _accept(api)
    assert _replay(api, without_rules, {"mode": "original"}).body["version_ids"] == []


def test_pinned_takes_exactly_the_named_versions(api: Api) -> None:
    rule_id, ids = history.insert_rule(
        api.database,
        history.version(True, event_type="payment.*", state="retired"),
        history.version(True, event_type="other"),
        history.version(True, event_type="payment.*", state="draft"),
    )
    event_id = _accept(api)
    other = str(uuid.uuid4())
    for named in ({other: 1}, {rule_id: 9}, {rule_id: 2}, {rule_id: 3}):
        body = {"mode": "pinned", "rule_versions": named}
        assert _pointers(_replay(api, event_id, body)) == [f"/rule_versions/{next(iter(named))}"]
    answer = _replay(api, event_id, {"mode": "pinned", "rule_versions": {rule_id: 1}})
    assert (answer.status, answer.body["version_ids"]) == (202, ids[:1])


def test_receipt_s_payload_runs_instead_of_the_event_s(api: Api) -> None:
    body = samples.event()
    event_id = client.call(api.url, "POST", "/events", body).body["id"]
    replay_rows.apply_run(api.database, event_id)
    for changes in ({"data": {"a": 2}}, {"data": {"a": 3}, "subject": "other"}):
        assert client.call(api.url, "POST", "/events", {**body, **changes}).status == 409
    receipts = client.call(api.url, "GET", f"/events/{event_id}/receipts").body["receipts"]
    kept, foreign = (receipt["id"] for receipt in receipts)
    other = {**body, "id": str(uuid.uuid4())}
    other_id = client.call(api.url, "POST", "/events", other).body["id"]
    assert client.call(api.url, "POST", "/events", {**other, "data": {"a": 4}}).status == 409
    listed = client.call(api.url, "GET", f"/events/{other_id}/receipts").body["receipts"]
    for receipt in (10**12, foreign, listed[0]["id"]):
        assert _pointers(_replay(api, event_id, {"receipt": receipt})) == ["/receipt"]
    assert _replay(api, event_id, {"receipt": kept}).status == 202
    sent = bytes(
        api.database.value(
            "select payload from outbox where event_id = %s and replay = 1", event_id
        )
    )
    assert sent == b'{"a": 2}'
    asked = "select payload_hash from event_replays where event_id = %s and receipt_id = %s"
    stored = bytes(api.database.value(asked, event_id, kept))
    assert stored == events.payload_hash(body["type"], None, sent)


def test_number_that_the_database_writes_otherwise_is_still_the_same_event(api: Api) -> None:
    body = b'{"id": "%s", "type": "t", "data": {"a": 1e2}}' % str(uuid.uuid4()).encode()
    headers = {"Content-Type": "application/json"}
    answer = client.call(api.url, "POST", "/events", raw=body, headers=headers)
    event_id = answer.body["id"]
    replay_rows.apply_run(api.database, event_id)
    assert _replay(api, event_id).status == 202
    row = api.database.rows(
        "select o.payload, r.payload_hash from outbox o join event_replays r"
        " using (event_id, replay) where event_id = %s",
        event_id,
    )[0]
    assert bytes(row[1]) == events.payload_hash("t", None, bytes(row[0]))


def test_force_needs_a_reason(api: Api) -> None:
    event_id = _accept(api)
    assert _pointers(_replay(api, event_id, {"effects": "force"})) == ["/reason"]
    body = {"effects": "force", "reason": "the receiver lost it"}
    assert _replay(api, event_id, body).status == 202
    audited = "select detail from audit_log where action = 'event.replay' and target = %s"
    detail = api.database.value(audited, f"events/{event_id}")
    assert (detail["effects"], detail["reason"]) == ("force", "the receiver lost it")


def test_under_one_key_a_forced_replay_is_one(api: Api) -> None:
    event_id = _accept(api)
    body = {"effects": "force", "reason": "the receiver lost it"}
    key = {"Idempotency-Key": str(uuid.uuid4())}
    path = f"/events/{event_id}/replay"
    answers = client.at_once(8, lambda _: client.call(api.url, "POST", path, body, headers=key))
    assert {answer.status for answer in answers} == {202}
    assert {answer.body["replay"] for answer in answers} == {1}
    assert {answer.headers["location"] for answer in answers} == {f"/events/{event_id}/replays/1"}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    replay_rows.apply_run(api.database, event_id, replay=1)
    again = client.call(api.url, "POST", path, body, headers=key)
    assert (again.body["replay"], again.headers["idempotent-replayed"]) == (1, "true")
    other = client.call(api.url, "POST", path, {**body, "reason": "x"}, headers=key)
    assert (other.status, other.body["type"]) == (422, "/problems/idempotency-key-reused")
    flawed = client.call(api.url, "POST", path, body, headers={"Idempotency-Key": "x" * 256})
    assert flawed.body["errors"][0]["header"] == "Idempotency-Key"
    assert client.call(api.url, "GET", f"/events/{event_id}").body["replay"] == 1


def test_lost_answer_of_a_forced_replay_says_where_to_look() -> None:
    for place, looked in (("/events/1/replays", True), (None, False)):
        with pytest.raises(problems.Problem) as caught, runs.told_where_to_look(place):
            raise database_pool.outcome_unknown()
        assert ("GET /events/1/replays first" in caught.value.detail) is looked


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        ({"mode": "best", "effects": 1}, ["/effects", "/mode"]),
        ({"mode": ["current"], "surprise": 1}, ["/mode", "/surprise"]),
        ({"mode": "pinned"}, ["/rule_versions"]),
        ({"mode": "pinned", "rule_versions": {}}, ["/rule_versions"]),
        ({"mode": "pinned", "rule_versions": {"x": 1}}, ["/rule_versions/x"]),
        ({"rule_versions": {str(uuid.UUID(int=1)): 1}}, ["/rule_versions"]),
        (
            {"mode": "pinned", "rule_versions": {str(uuid.UUID(int=1)): "1"}},
            [f"/rule_versions/{uuid.UUID(int=1)}"],
        ),
        ({"receipt": 0, "reason": ""}, ["/reason", "/receipt"]),
        ({"receipt": True, "reason": "x" * 1001}, ["/reason", "/receipt"]),
        ({"receipt": 2**63 - 1, "reason": " x"}, ["/reason"]),
    ],
)
def test_body_is_refused_with_every_flaw(api: Api, body: Any, pointers: list[str]) -> None:
    event_id = _accept(api)
    assert _pointers(_replay(api, event_id, body)) == pointers
    assert client.call(api.url, "GET", f"/events/{event_id}/replays").body["replays"] == []


def test_query_of_a_replay_is_checked(api: Api) -> None:
    event_id = _accept(api)
    for query in ("force=1", "by=subject", "source=shop"):
        answer = client.call(api.url, "POST", f"/events/{event_id}/replay?{query}")
        assert answer.status == 422, query


def test_comparison_says_which_rules_differ_and_why(api: Api) -> None:
    rules = [
        history.insert_rule(
            api.database, history.version(True, state="retired"), history.version(True)
        )
        for _ in range(6)
    ]
    same, edited, other, gone, new, failing = (ids for _, ids in rules)
    event_id = _accept(api, status=None)
    replay_rows.apply_run(
        api.database,
        event_id,
        results={same[0]: "applied", edited[0]: "applied", other[0]: "applied"},
        skipped=[gone[0], failing[0]],
    )
    assert _replay(api, event_id).status == 202
    replay_rows.apply_run(
        api.database,
        event_id,
        replay=1,
        results={same[0]: "deduped", edited[1]: "applied", failing[0]: "failed"},
        skipped=[other[0], new[0]],
    )
    detail = _detail(api, event_id)
    why = {one["rule_id"]: one["why"] for one in detail["comparison"]["differences"]}
    assert why == {
        rules[1][0]: "version", rules[2][0]: "result", rules[3][0]: "missing",
        rules[4][0]: "new", rules[5][0]: "result",
    }  # fmt: skip
    assert detail["comparison"]["verdict"] == detail["run"]["verdict"] == "diverged"
    two = next(o for o in detail["comparison"]["differences"] if o["rule_id"] == rules[1][0])
    assert (two["first"], two["this"]) == (
        {"version": 1, "result": "matched"},
        {"version": 2, "result": "matched"},
    )
    assert _replay(api, event_id, {"mode": "original", "effects": "none"}).status == 202
    replay_rows.apply_run(
        api.database,
        event_id,
        replay=2,
        results={same[0]: "applied", edited[0]: "applied", other[0]: "applied"},
        skipped=[failing[0], gone[0]],
    )
    detail = _detail(api, event_id, 2)
    assert (detail["comparison"]["verdict"], detail["comparison"]["differences"]) == (
        "identical",
        [],
    )
    listed = client.call(api.url, "GET", f"/events/{event_id}/replays").body["replays"]
    assert [(one["replay"], one["verdict"], one["superseded"]) for one in listed] == [
        (2, "identical", False),
        (1, "diverged", True),
    ]


def test_run_that_a_later_one_replaced_was_never_applied(api: Api) -> None:
    event_id = _accept(api, status="failed")
    assert _replay(api, event_id).status == 202
    api.database.rows("update events set status = 'failed' where id = %s returning id", event_id)
    assert _replay(api, event_id).body["replay"] == 2
    notes = _detail(api, event_id)["comparison"]["notes"]
    assert notes == ["never applied: a later run took its place"]
    for number in ("3", "0", "x", "9" * 12):
        answer = client.call(api.url, "GET", f"/events/{event_id}/replays/{number}")
        assert answer.status == 404
