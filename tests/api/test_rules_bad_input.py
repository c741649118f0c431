"""Every bad rule of reliability.md section 6: refused at save with the place, nothing stored."""

import itertools
import json
import time
from typing import Any

import pytest

from tests.api import rules
from tests.api.conftest import Api
from tests.fixtures import client

JSON = {"Content-Type": "application/json"}
WRONG: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, 1e300, "", " ", "x" * 10_000, "a\nb", "\u202ea", [], {}, [[]], [None],
    {"": None}, [{"type": "log"}] * 11, "published",
)  # fmt: skip
MEMBERS = ("name", "event_type", "condition", "action", "actions", "active", "engine", "id", "note")


# name -> (condition, where the first flaw is)
HOSTILE: dict[str, tuple[Any, str]] = {
    "unknown operator": ({"and": [True, {"frobnicate": [1]}]}, "/condition/and/1"),
    "method": ({"method": ["", "format", [1]]}, "/condition"),
    "method below": ({"if": [{"method": ["x", "ljust", [9]]}, 1, 2]}, "/condition/if/0"),
    "log": ({"or": [{"log": "x"}]}, "/condition/or/0"),
    "throw": ({"throw": "x"}, "/condition"),
    "clock": ({"now": []}, "/condition"),
    "two operators": ({"==": [1, 1], "!=": [1, 2]}, "/condition"),
    "no operator": ({"and": [{}]}, "/condition/and/0"),
    "80,000 nodes": ({"and": [1] * 80_000}, "/condition"),
    "600 nodes": ({"and": [{"var": "a"}] * 600}, "/condition"),
    "a literal of 20,000 characters": ({"==": [{"var": "a"}, "x" * 20_000]}, "/condition"),
    "a literal of 2**64": ({"==": [{"var": "a"}, 2**64]}, "/condition/==/1"),
    "nan": ({"==": [1, float("nan")]}, ""),
    "infinity": ({"==": [1, float("inf")]}, ""),
    "nul": ({"==": [1, "\0"]}, "/condition/==/1"),
}
# name -> (changed members, where the flaws are)
BODIES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "no name": ({"name": None}, {"/name"}),
    "no type": ({"event_type": None}, {"/event_type"}),
    "no condition": ({"condition": None}, {"/condition"}),
    "no action": ({"action": None}, {"/actions"}),
    "both": ({"actions": [{"type": "log"}]}, {"/action"}),
    "an array as the action": ({"action": [{"type": "log"}]}, {"/action"}),
    "an object as the actions": ({"action": None, "actions": {"type": "log"}}, {"/actions"}),
    "unknown kind": ({"action": {"type": "eval"}}, {"/action/type"}),
    "unknown member": ({"a/b": 1}, {"/a~1b"}),
    "what the service sets": ({"revision": 1, "published_at": 1}, {"/revision", "/published_at"}),
    "a star inside": ({"event_type": "pay*.x"}, {"/event_type"}),
    "state retired": ({"state": "retired"}, {"/state"}),
    "engine": ({"engine": "js"}, {"/engine"}),
    "id": ({"id": "{0198f3a0-0000-7000-8000-000000000001}"}, {"/id"}),
    "control in a note": ({"note": "a\tb"}, {"/note"}),
    "all at once": (
        {"name": 1, "event_type": "", "condition": {"log": 1}, "action": 1, "active": 1, "zz": 1},
        {"/name", "/event_type", "/condition", "/action", "/active", "/zz"},
    ),
}


@pytest.mark.parametrize("engine", ["datalogic", "json-logic-qubit"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_condition_is_refused_with_its_place(api: Api, name: str, engine: str) -> None:
    condition, place = HOSTILE[name]
    before = rules.counts(api.database)
    started = time.monotonic()
    answer = client.call(api.url, "POST", "/rules", rules.rule(condition=condition, engine=engine))
    assert time.monotonic() - started < 1
    assert answer.status in {400, 422}, answer
    assert answer.body["errors"][0]["pointer"].startswith(place), answer.body
    assert rules.counts(api.database) == before


@pytest.mark.parametrize("depth", [33, 2000, 50_000])
def test_a_deep_condition_is_refused(api: Api, depth: int) -> None:
    text = '{"!":' * depth + "true" + "}" * depth
    raw = json.dumps(rules.rule(condition="here")).replace('"here"', text).encode()
    before = rules.counts(api.database)
    answer = client.call(api.url, "POST", "/rules", raw=raw[:250_000], headers=JSON)
    assert answer.status in {400, 422}, answer
    assert rules.counts(api.database) == before


def test_a_condition_of_the_allowed_depth_is_taken(api: Api) -> None:
    """Each operator is an object and an array: 30 of them are deeper than other bodies may be."""
    condition: Any = {"var": "a"}
    for _ in range(30):
        condition = {"!": [condition]}
    rules.create(api.url, condition=condition)


@pytest.mark.parametrize("name", BODIES)
def test_every_flaw_of_a_body_is_told_at_once(api: Api, name: str) -> None:
    changes, places = BODIES[name]
    before = rules.counts(api.database)
    answer = client.call(api.url, "POST", "/rules", rules.rule(**changes))
    assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-request")
    found = {error["pointer"] for error in answer.body["errors"]}
    assert {place for place in places if any(p.startswith(place) for p in found)} == places
    assert all(any(p.startswith(place) for place in places) for p in found), found
    assert rules.counts(api.database) == before


def test_wrong_types_everywhere_are_4xx_and_store_nothing(api: Api) -> None:
    rule = rules.create(api.url)
    calls = (("POST", "/rules"), ("PATCH", f"/rules/{rule['id']}"))
    before = rules.counts(api.database)
    for member, value, (method, path) in itertools.product(MEMBERS, WRONG, calls):
        body = {member: value} if method == "PATCH" else {**rules.rule(), member: value}
        answer = client.call(api.url, method, path, body)
        after = rules.counts(api.database)
        assert answer.status in {200, 201, 422}, (method, member, value, answer)
        if answer.status == 422:
            assert answer.body["errors"], (method, member, value)
            assert after == before, (method, member, value)
        before = after


@pytest.mark.parametrize("body", [None, [], "x", 7, [[]]])
def test_a_body_that_is_no_object_is_refused(api: Api, body: object) -> None:
    rule = rules.create(api.url)
    raw = json.dumps(body).encode()
    for method, path in (
        ("POST", "/rules"),
        ("PUT", f"/rules/{rule['id']}"),
        ("PATCH", f"/rules/{rule['id']}"),
        ("POST", f"/rules/{rule['id']}/versions"),
    ):
        answer = client.call(api.url, method, path, raw=raw, headers=JSON)
        assert (answer.status, answer.body["errors"][0]["pointer"]) == (422, "")
        assert client.call(api.url, method, path).status == 400


def test_a_command_takes_no_members(api: Api) -> None:
    rule = rules.create(api.url)
    for path in ("/versions/1/retire", "/versions/1/resume", "/restore"):
        answer = client.call(api.url, "POST", f"/rules/{rule['id']}{path}", {"force": True})
        assert answer.status == 422
    assert client.call(api.url, "POST", f"/rules/{rule['id']}/versions/1/retire", {}).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/rules/0",
        "/rules/%00",
        "/rules/%F0%9F%98%80",
        "/rules/" + "a" * 5000,
        "/rules/{id}/versions/0",
        "/rules/{id}/versions/-1",
        "/rules/{id}/versions/99",
        "/rules/{id}/versions/2147483648",
        "/rules/{id}/versions/99999999999999999999",
        "/rules/{id}/versions/one",
        "/rules/{id}/versions/1/diff?to=0",
        "/rules/{id}/versions/1/diff?to=x",
        "/rules/{id}/versions?cursor=forged",
        "/rules/{id}/versions?limit=0",
        "/rules/{id}/executions?version=0",
        "/rules/{id}/executions?result=skipped",
        "/rules/{id}/executions?cursor=forged",
        "/rules?state=gone",
        "/rules?active=perhaps",
        "/rules?limit=201",
        "/rules?cursor=forged",
        "/rules?rule=1",
        "/rules?matching=",
        "/events?rule_id=0",
        "/rules/00000000-0000-7000-8000-000000000000",
        "/rules/00000000-0000-7000-8000-000000000000/versions",
        "/rules/00000000-0000-7000-8000-000000000000/versions/1",
        "/rules/00000000-0000-7000-8000-000000000000/executions",
    ],
)
def test_a_bad_address_is_4xx(api: Api, path: str) -> None:
    rule = rules.create(api.url, state="draft")
    answer = client.call(api.url, "GET", path.replace("{id}", rule["id"]))
    assert answer.status in {404, 422}, answer
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_is_not_there_cannot_be_changed(api: Api) -> None:
    gone = "/rules/00000000-0000-7000-8000-000000000000"
    before = rules.counts(api.database)
    for method, path, body in (
        ("PUT", gone, rules.rule()),
        ("PATCH", gone, {"active": False}),
        ("DELETE", gone, None),
        ("POST", f"{gone}/restore", None),
        ("POST", f"{gone}/versions", rules.version()),
        ("POST", f"{gone}/versions/1/publish", None),
        ("POST", f"{gone}/versions/1/resume", None),
    ):
        answer = rules.send(api.url, method, path, body)
        assert (answer.status, answer.body["type"]) == (404, "/problems/not-found")
    assert rules.counts(api.database) == before


def test_what_is_stored_is_what_was_checked(api: Api) -> None:
    """jsonb keeps numbers as decimals: none may come back as another number or kind."""
    condition = {"in": [{"var": "a"}, [1, 1.0, 1.5, -0.5, 1e-10, 2**53 - 1, "1", True, None, ""]]}
    for engine in ("datalogic", "json-logic-qubit"):
        rule = rules.create(api.url, condition=condition, engine=engine)
        assert json.dumps(rule["published"]["condition"]) == json.dumps(condition)
