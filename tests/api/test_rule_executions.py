"""What each rule said of an event, read back: attempts, a rule's executions, a rule's events."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.api import deliveries, rules
from tests.api.conftest import Api
from tests.fixtures import client

CONSUMER = "oncely_consumer"


def version_ids(api: Api, rule: dict[str, Any]) -> list[int]:
    return [
        row[0]
        for row in api.database.rows(
            "select id from rule_versions where rule_id = %s order by version", rule["id"]
        )
    ]


def attempt(api: Api, event_id: str, *, attempt_no: int = 1) -> None:
    with api.database.connect(CONSUMER) as conn:
        conn.execute(
            "insert into event_attempts (event_id, attempt_no, trigger, status, duration_ms,"
            " consumer) values (%s, %s, 'received', 'success', 1, 'c-1')",
            [event_id, attempt_no],
        )


def execution(
    api: Api,
    event_id: str,
    version_id: int,
    *,
    result: str = "applied",
    shadow: bool = False,
    attempt_no: int = 1,
) -> None:
    error = ("Budget", "over its budget") if result == "failed" else (None, None)
    with api.database.connect(CONSUMER) as conn:
        conn.execute(
            "insert into rule_executions (event_id, replay, attempt_no, version_id, result, shadow,"
            " error_class, reason, duration_us) values (%s, 0, %s, %s, %s, %s, %s, %s, 7)",
            [event_id, attempt_no, version_id, result, shadow, *error],
        )


def skips(
    api: Api, event_id: str, version_ids: list[int], *, in_shadow: tuple[int, ...] = ()
) -> None:
    with api.database.connect(CONSUMER) as conn:
        conn.execute(
            "insert into rule_skips values (%s, 0, 1, %s, %s, %s)",
            [
                event_id,
                version_ids,
                [version_id in in_shadow for version_id in version_ids],
                [1.5] * len(version_ids),
            ],
        )


def read(api: Api, event_id: str) -> list[dict[str, Any]]:
    answer = client.call(api.url, "GET", f"/events/{event_id}/attempts")
    assert answer.status == 200, answer
    assert answer.body["rule_executions_cut_off"] is False
    return answer.body["attempts"][0]["rule_executions"]


def pages(api: Api, path: str) -> list[dict[str, Any]]:
    """A list to its end, at most ten pages of it."""
    found = [client.call(api.url, "GET", path).body]
    while found[-1]["next_cursor"] is not None and len(found) < 10:
        found.append(client.call(api.url, "GET", f"{path}&cursor={found[-1]['next_cursor']}").body)
    assert found[-1]["next_cursor"] is None
    return found


def test_applied_skipped_failed_and_shadow_stand_beside_each_other(api: Api) -> None:
    event = rules.accept_event(api.url, data={"amount": 20_000, "country": "BR"})
    applied = rules.create(
        api.url,
        action=None,
        actions=[
            {"type": "log"},
            {
                "type": "call_webhook",
                "params": {"url": "https://example.com/", "method": "POST", "body": {}},
            },
        ],
    )
    skipped = rules.create(api.url, condition={"<": [{"var": "amount"}, 5]})
    failed = rules.create(api.url)
    rules.send(api.url, "POST", f"/rules/{applied['id']}/versions", rules.version(state="shadow"))
    ids = {name: version_ids(api, rule) for name, rule in (("a", applied), ("f", failed))}
    attempt(api, event)
    execution(api, event, ids["a"][0])
    execution(api, event, ids["a"][1], shadow=True)
    execution(api, event, ids["f"][0], result="failed")
    skips(api, event, version_ids(api, skipped))

    found = read(api, event)

    assert [(f["rule_id"], f["version"], f["result"], f["shadow"]) for f in found] == [
        (applied["id"], 1, "applied", False),
        (applied["id"], 2, "applied", True),
        (skipped["id"], 1, "skipped", False),
        (failed["id"], 1, "failed", False),
    ]
    acted, shadowed, missed, broken = found
    assert [(a["key"], a["outcome"]) for a in acted["actions"]] == [
        ("log", "done"),
        ("call_webhook", "not_made"),
    ]
    assert [a["outcome"] for a in shadowed["actions"]] == ["shadow"]
    assert (missed["actions"], missed["duration_us"]) == ([], 1.5)
    assert acted["reason"]
    assert missed["reason"]
    assert (broken["error_class"], broken["reason"]) == ("Budget", "over its budget")
    assert {f["reason_note"] for f in found} == {None}


def test_an_action_tells_the_state_of_its_run_s_delivery(api: Api) -> None:
    hook = {"url": "https://example.com/", "method": "POST"}
    actions: list[dict[str, Any]] = [{"type": "log"}, {"type": "call_webhook", "params": hook}]
    event = rules.accept_event(api.url)
    rule = rules.create(api.url, action=None, actions=actions)
    version_id = version_ids(api, rule)[0]
    first, forced = (
        deliveries.insert(
            api.database, event, rule["id"], version_id, replay=run, replay_scope=run, state=state
        )
        for run, state in ((0, "unknown"), (2, "pending"))
    )
    for run, effects in ((0, None), (1, "dedupe"), (2, "force"), (3, "none")):
        if effects:
            deliveries.ask_replay(api.database, event, run, effects=effects)
        deliveries.attempt(api.database, event, replay=run)
        deliveries.execution(
            api.database, event, version_id, replay=run, result="deduped" if run == 1 else "applied"
        )

    told = client.call(api.url, "GET", f"/events/{event}/attempts").body["attempts"]

    found = [
        [
            (action["outcome"], action["delivery_id"])
            for action in attempt["rule_executions"][0]["actions"]
        ]
        for attempt in told
    ]
    assert found == [
        [("done", None), ("unknown", first)],
        [("deduped", None), ("deduped", first)],
        [("done", None), ("pending", forced)],
        [("not_made", None), ("not_made", None)],
    ]
    why = told[1]["rule_executions"][0]["actions"][1]["why"]
    assert why == "made by the first run, which is unknown"


def test_a_version_skipped_in_shadow_says_so(api: Api) -> None:
    event = rules.accept_event(api.url)
    rule = rules.create(api.url, state="shadow")
    attempt(api, event)
    ids = version_ids(api, rule)
    skips(api, event, ids, in_shadow=tuple(ids))
    rules.send(api.url, "POST", f"/rules/{rule['id']}/versions/1/publish")
    assert [f["shadow"] for f in read(api, event)] == [True]


@pytest.mark.parametrize("table", ["rule_executions", "rule_skips"])
def test_what_was_recorded_never_changes_even_for_its_owner(api: Api, table: str) -> None:
    event = rules.accept_event(api.url)
    ids = version_ids(api, rules.create(api.url))
    execution(api, event, ids[0])
    skips(api, event, ids)
    with api.database.connect() as conn:
        for change in (f"update {table} set attempt_no = 2", f"delete from {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                conn.execute(change.encode())


def test_a_reason_that_cannot_be_told_again_says_why(api: Api) -> None:
    event = rules.accept_event(api.url, data={"amount": 1})
    wrong = rules.create(api.url)
    attempt(api, event)
    execution(api, event, version_ids(api, wrong)[0])
    assert read(api, event)[0]["reason"] is None
    assert "evaluated again it is not_matched" in read(api, event)[0]["reason_note"]
    with api.database.connect() as conn:
        conn.execute(
            "update events set payload = 'null', payload_expired_at = now() where id = %s", [event]
        )
    assert "has expired" in read(api, event)[0]["reason_note"]


def test_many_rules_are_explained_in_part_and_cut_off_at_the_bound(api: Api) -> None:
    event = rules.accept_event(api.url)
    rule = rules.create(api.url, event_type=f"many.{uuid.uuid4().hex}", condition=False)
    with api.database.connect() as conn:
        made = conn.execute(
            "insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) select rule_id, n, 'retired', event_type, condition, actions,"
            " engine, engine_version from rule_versions, generate_series(2, 2100) n"
            " where rule_id = %s and version = 1 returning id",
            [rule["id"]],
        ).fetchall()
    attempt(api, event)
    skips(api, event, [row[0] for row in made])
    answer = client.call(api.url, "GET", f"/events/{event}/attempts")
    assert answer.body["rule_executions_cut_off"] is True
    found = answer.body["attempts"][0]["rule_executions"]
    assert len(found) == 2000
    told = [f for f in found if not f["reason"].startswith("not told here")]
    assert 1 <= len(told) <= 50


@pytest.fixture
def acted(api: Api) -> tuple[dict[str, Any], list[str]]:
    """A rule with two versions, and five events in the order of their arrival."""
    rule = rules.create(api.url)
    rules.send(api.url, "PUT", f"/rules/{rule['id']}", rules.rule(condition=True))
    first, second = version_ids(api, rule)
    events = [rules.accept_event(api.url, type="acted" if n % 2 else "other") for n in range(5)]
    execution(api, events[0], first)
    execution(api, events[1], first, result="failed")
    execution(api, events[1], second, attempt_no=2)
    execution(api, events[2], second)
    execution(api, events[3], second, shadow=True)
    return rule, events


def test_events_are_found_by_the_rule_that_acted_or_failed(
    api: Api, acted: tuple[dict[str, Any], list[str]]
) -> None:
    rule, events = acted
    found: list[str] = []
    for page in pages(api, f"/events?rule_id={rule['id']}&limit=1"):
        found += [event["id"] for event in page["events"]]
    assert found == [events[2], events[1], events[0]]
    narrowed = client.call(api.url, "GET", f"/events?rule_id={rule['id']}&type=acted").body
    assert [event["id"] for event in narrowed["events"]] == [events[1]]
    assert client.call(api.url, "GET", f"/events?rule_id={uuid.uuid4()}").body["events"] == []


def test_executions_of_a_rule_come_newest_first_each_once(
    api: Api, acted: tuple[dict[str, Any], list[str]]
) -> None:
    rule, events = acted
    path = f"/rules/{rule['id']}/executions"
    found: list[tuple[str, int, str]] = []
    for page in pages(api, f"{path}?limit=1"):
        found += [(e["event_id"], e["version"], e["result"]) for e in page["executions"]]
    assert found == [
        (events[3], 2, "applied"),
        (events[2], 2, "applied"),
        (events[1], 2, "applied"),
        (events[1], 1, "failed"),
        (events[0], 1, "applied"),
    ]
    for query, count in (("version=1", 2), ("result=failed", 1), ("version=2&result=failed", 0)):
        assert len(client.call(api.url, "GET", f"{path}?{query}").body["executions"]) == count
