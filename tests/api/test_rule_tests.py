"""POST /rules/test: it says what a rule makes of an event and why, and does nothing."""

import uuid
from typing import Any

import pytest

from tests.api import history
from tests.api.conftest import Api
from tests.fixtures import client

FRAUD = {"and": [{">": [{"var": "amount"}, 10_000]}, {"==": [{"var": "country"}, "BR"]}]}
BRAZIL = {"amount": 20_000, "country": "BR"}
_TABLES = """
    select relname from pg_class
    where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition
      and relname <> 'rulebook_readers'"""


def _row_counts(api: Api) -> dict[str, int]:
    return {
        name: api.database.value(f"select count(*) from {name}")
        for (name,) in api.database.rows(_TABLES)
    }


def _test(api: Api, **body: Any) -> client.Answer:
    return client.call(api.url, "POST", "/rules/test", body)


def _pointers(answer: client.Answer) -> list[str]:
    assert answer.status == 422, answer
    return sorted(error["pointer"] for error in answer.body["errors"])


@pytest.mark.parametrize("engine", ["datalogic", "json-logic-qubit"])
def test_condition_is_told_node_by_node(api: Api, engine: str) -> None:
    answer = _test(api, condition=FRAUD, engine=engine, event={"type": "t", "data": BRAZIL})

    assert answer.status == 200, answer
    assert (answer.body["matched"], answer.body["outcome"]) == (True, "matched")
    assert answer.body["error"] is None
    assert answer.body["engine"] == engine
    assert answer.body["why"]
    steps = {step["pointer"]: step["value"] for step in answer.body["trace"]}
    assert steps["/and/0"] is True
    assert steps["/and/1"] is True


def test_no_match_says_what_is_missing(api: Api) -> None:
    answer = _test(api, condition=FRAUD, event={"data": {"amount": 20_000}})

    assert (answer.body["matched"], answer.body["outcome"]) == (False, "not_matched")
    assert answer.body["missing"] == ["country"]


def test_failed_evaluation_is_not_a_no_match(api: Api) -> None:
    condition = {">": [{"var": "amount"}, 100]}
    answer = _test(api, condition=condition, event={"data": {"amount": {"value": 1}}})

    assert answer.status == 200, answer
    assert (answer.body["matched"], answer.body["outcome"]) == (None, "failed")
    assert answer.body["error"]["class"]
    assert answer.body["error"]["message"]
    assert answer.body["actions"] == []


def test_actions_are_rendered_and_not_run(api: Api) -> None:
    before = _row_counts(api)
    action = {"type": "log", "params": {"message": "{{ data.amount }} by {{ data.nobody }}"}}

    answer = _test(api, condition=True, action=action, event={"id": "e-1", "data": BRAZIL})

    assert [action["type"] for action in answer.body["actions"]] == ["log"]
    assert "20000" in answer.body["actions"][0]["params"]["message"]
    assert answer.body["missing"] == ["data.nobody"]
    assert _row_counts(api) == before


def test_stored_version_is_tested_on_a_stored_event(api: Api) -> None:
    rule_id, _ = history.insert_rule(
        api.database,
        history.version(False, state="retired"),
        history.version(FRAUD, event_type="payment.*"),
        history.version(True, state="draft", event_type="order.created"),
    )
    event_id = history.post_events(api.url, [("payment.completed", BRAZIL)])[0]

    published = _test(api, rule_id=rule_id, event_id=event_id).body
    draft = _test(api, rule_id=rule_id, version=3, event_id=event_id).body

    assert (published["version"], published["matched"], published["type_matches"]) == (
        2,
        True,
        True,
    )
    assert (draft["version"], draft["matched"], draft["type_matches"]) == (3, True, False)
    assert published["event_id"] == event_id
    assert published["event_type"] == "payment.completed"


def test_rule_without_a_published_version_is_tested_by_its_newest(api: Api) -> None:
    rule_id, _ = history.insert_rule(
        api.database,
        history.version(True, state="draft"),
        history.version(False, state="draft"),
    )
    answer = _test(api, rule_id=rule_id, event={"data": {}})
    assert (answer.body["version"], answer.body["matched"]) == (2, False)
    # The rule's own type, since the event brought none.
    assert (answer.body["event_type"], answer.body["type_matches"]) == ("t", True)


def test_both_engines_are_compared_on_request(api: Api) -> None:
    agreed = _test(api, condition=FRAUD, event={"data": BRAZIL}, both_engines=True).body
    assert agreed["compared_with"]["engine"] == "json-logic-qubit"
    assert agreed["compared_with"]["agrees"] is True
    assert _test(api, condition=FRAUD, event={"data": BRAZIL}).body["compared_with"] is None


def test_everything_that_is_wrong_is_pointed_at(api: Api) -> None:
    answer = _test(
        api,
        condition={"and": [{"method": ["x", "lower"]}, {"nobody_knows": []}]},
        engine="other",
        event={"type": 7, "colour": "red"},
        version=1,
        surprise=True,
    )
    assert _pointers(answer) == sorted([
        "/condition/and/0",
        "/condition/and/1",
        "/engine",
        "/event/colour",
        "/event/data",
        "/event/type",
        "/surprise",
        "/version",
    ])  # fmt: skip


def test_one_subject_and_one_event_are_wanted(api: Api) -> None:
    assert _pointers(_test(api)) == ["/condition", "/event"]
    answer = _test(api, condition=True, rule_id=str(uuid.uuid4()), event={"data": {}})
    assert _pointers(answer) == ["/condition"]


def test_unknown_rule_version_and_event_are_pointed_at(api: Api) -> None:
    rule_id, _ = history.insert_rule(api.database, history.version(True))
    nobody = str(uuid.uuid4())
    event: Any = {"data": {}}
    assert _pointers(_test(api, rule_id=nobody, event=event)) == ["/rule_id"]
    assert _pointers(_test(api, rule_id=rule_id, version=9, event=event)) == ["/version"]
    assert _pointers(_test(api, rule_id=rule_id, event_id=nobody)) == ["/event_id"]


def test_expired_payload_cannot_be_tested(api: Api) -> None:
    event_id = history.post_events(api.url, [("t", BRAZIL)])[0]
    history.expire(api.database, event_id)
    answer = _test(api, condition=True, event_id=event_id)
    assert (answer.status, answer.body["type"]) == (409, "/problems/payload-expired")


def test_rule_over_its_budget_is_stopped_and_the_api_goes_on(api: Api) -> None:
    doubling = {"reduce": [{"var": "items"}, {"cat": [{"var": "accumulator"}] * 2}, "x"]}
    answer = _test(api, condition=doubling, event={"data": {"items": [1] * 40}})
    assert answer.status == 200, answer
    assert answer.body["outcome"] == "failed"
    assert client.call(api.url, "GET", "/health/live").status == 200
