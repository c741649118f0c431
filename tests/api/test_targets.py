"""Targets: secrets are write-only, changes are versioned and audited, rules name them."""

from collections.abc import Iterator
from typing import Any

import pytest
import uuid_utils.compat

from shared import sealing, webhook_secrets
from tests.api import deliveries, rules, targets
from tests.api.conftest import Api
from tests.fixtures import client, stack


@pytest.fixture(scope="module")
def api(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("targets")
    with targets.serving(servers, folder, networks="10.20.0.0/16") as serving:
        yield serving


@pytest.fixture(autouse=True)
def _room_for_more(api: Api) -> Iterator[None]:
    yield
    with api.database.connect() as conn:
        conn.execute("update targets set archived_at = now() where archived_at is null")


def send(
    api: Api, method: str, path: str, body: object = None, *, if_match: str | None = None
) -> client.Answer:
    return rules.send(api.url, method, path, body, if_match=if_match)


def audited(api: Api, target_id: str) -> list[tuple[Any, ...]]:
    return api.database.rows(
        "select action, detail from audit_log where target = %s order by id", f"targets/{target_id}"
    )


def test_a_new_target_shows_its_secret_once_and_no_header_value_ever(api: Api) -> None:
    headers = {"Authorization": "Bearer hush", "X-Team": "payments"}

    made = targets.create(api, headers=headers, rate_per_second=0.5, in_flight_max=3)

    assert webhook_secrets.read_secret(made["secret"])
    shown = send(api, "GET", f"/targets/{made['id']}")
    assert {**shown.body, "secret": made["secret"]} == made
    assert shown.headers["etag"] == '"1"'
    assert shown.body["header_names"] == ["Authorization", "X-Team"]
    assert [s["expires_at"] for s in shown.body["secrets"]] == [None]
    assert shown.body["health"] == {
        "breaker": "closed", "open_until": None, "paused_until": None, "failures": 0,
        "in_flight": 0, "pending": 0, "pending_capped": False, "last_attempt": None,
    }  # fmt: skip
    listed = send(api, "GET", "/targets").body
    everything = f"{shown.body}{listed}{api.database.rows('select * from audit_log')}"
    assert "hush" not in everything
    assert made["secret"] not in everything


def test_what_is_stored_is_sealed_and_opens_with_the_key(api: Api) -> None:
    given = webhook_secrets.make_secret()

    made = targets.create(api, secret=given, headers={"X-Key": "hush"})

    assert made["secret"] is None  # the request brought it
    sealer = sealing.Sealer.from_keys(targets.KEY)
    headers = api.database.value("select headers_sealed from targets where id = %s", made["id"])
    secret = api.database.value(
        "select sealed from target_secrets where target_id = %s", made["id"]
    )
    assert b"hush" not in headers
    assert (sealer.open(headers), sealer.open(secret)) == (b'{"X-Key":"hush"}', given.encode())


def test_without_a_key_nothing_secret_is_stored(api: Api, system: stack.System) -> None:
    bare = Api(url=system.start("api", SECRETS_KEY="").url, database=system.database)

    refused = client.call(bare.url, "POST", "/targets", targets.target())

    assert (refused.status, refused.body["type"]) == (503, "/problems/secrets-key-missing")
    assert "SECRETS_KEY" in refused.body["detail"]
    assert client.call(bare.url, "GET", "/targets").body["targets"] == []
    assert targets.counts(bare.database) == (0, 0, 0, 0)


def test_an_inner_network_is_open_when_the_operator_names_it(api: Api) -> None:
    targets.create(api, url="http://10.20.0.1:8080/in")
    for url in ("http://10.21.0.1/", "http://localhost/", "http://127.0.0.1:8080/"):
        refused = send(api, "POST", "/targets", targets.target(url=url))
        assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, "/url"), url


def test_a_name_belongs_to_one_target_until_that_is_archived(api: Api) -> None:
    made = targets.create(api, name="billing")
    other = targets.create(api, name="shipping")

    for answer in (
        send(api, "POST", "/targets", targets.target(name="billing")),
        send(api, "PATCH", f"/targets/{other['id']}", {"name": "billing"}),
    ):
        assert (answer.status, answer.body["type"]) == (409, "/problems/target-exists")
        assert answer.body["target_id"] == made["id"]
    archived = send(api, "DELETE", f"/targets/{made['id']}")
    assert archived.status == 200
    assert archived.body["archived_at"] is not None
    assert targets.create(api, name="billing")["id"] != made["id"]
    assert made["id"] in {
        t["id"] for t in send(api, "GET", "/targets?archived=true").body["targets"]
    }
    gone = send(api, "PATCH", f"/targets/{made['id']}", {"timeout_ms": 500})
    assert (gone.status, gone.body["type"]) == (409, "/problems/target-archived")


def test_many_at_once_with_one_name_are_one_target(api: Api) -> None:
    body = targets.target(name="at once")

    answers = client.at_once(20, lambda _: client.call(api.url, "POST", "/targets", body))

    assert sorted(a.status for a in answers) == [201] + [409] * 19


def test_more_targets_than_the_limit_are_refused(api: Api) -> None:
    for _ in range(targets.TARGETS_MAX):
        targets.create(api)

    answer = send(api, "POST", "/targets", targets.target())

    assert (answer.status, answer.body["type"]) == (409, "/problems/too-many-targets")
    page = send(api, "GET", "/targets?limit=7").body
    rest = send(api, "GET", f"/targets?limit=7&cursor={page['next_cursor']}").body
    assert (len(page["targets"]), len(rest["targets"])) == (7, targets.TARGETS_MAX - 7)
    assert rest["next_cursor"] is None


def test_a_stale_change_is_refused_and_a_good_one_is_audited_without_values(api: Api) -> None:
    made = targets.create(api, headers={"X-Old": "old-hush"}, rate_per_second=5)
    path = f"/targets/{made['id']}"
    change = {"headers": {"X-New": "new-hush"}, "rate_per_second": None, "timeout_ms": 900}

    changed = send(api, "PATCH", path, change, if_match='"1"')
    stale = send(api, "PATCH", path, {"timeout_ms": 800}, if_match='"1"')
    same = send(api, "PATCH", path, {"timeout_ms": 900})

    assert (changed.status, changed.headers["etag"]) == (200, '"2"')
    assert (stale.status, stale.body["revision"]) == (412, 2)
    assert same.headers["etag"] == '"2"'
    assert (changed.body["header_names"], changed.body["rate_per_second"]) == (["X-New"], None)
    detail = {
        "header_names": [["X-Old"], ["X-New"]], "timeout_ms": [15000, 900],
        "rate_per_second": [5.0, None],
    }  # fmt: skip
    assert audited(api, made["id"])[1:] == [("target.patch", detail)]
    assert send(api, "PATCH", path, {"headers": None}).body["header_names"] == []
    assert (
        api.database.value("select headers_sealed from targets where id = %s", made["id"]) is None
    )


def test_a_rotation_lets_the_old_secret_sign_until_it_expires_and_five_at_most(api: Api) -> None:
    made = targets.create(api)
    path = f"/targets/{made['id']}/secrets"

    first = send(api, "POST", path, {"overlap_seconds": 3600}, if_match='"1"')

    assert (first.status, first.headers["etag"]) == (201, '"2"')
    assert webhook_secrets.read_secret(first.body["secret"])
    assert [s["expires_at"] is None for s in first.body["secrets"]] == [True, False]
    for _ in range(3):
        assert send(api, "POST", path, {}).status == 201
    full = send(api, "POST", path, {})
    assert (full.status, full.body["type"]) == (409, "/problems/too-many-secrets")
    given = webhook_secrets.make_secret()
    swapped = send(api, "POST", path, {"secret": given, "overlap_seconds": 0})
    assert (swapped.status, swapped.body["secret"]) == (201, None)
    assert len(swapped.body["secrets"]) == 5
    assert [action for action, _ in audited(api, made["id"])].count("target.rotate") == 5
    assert first.body["secret"] not in str(audited(api, made["id"]))


def test_disable_says_why_and_enable_closes_the_breaker(api: Api) -> None:
    made = targets.create(api)
    path = f"/targets/{made['id']}"
    with api.database.connect() as conn:
        conn.execute(
            "insert into destinations (name, target_id, failures, open_until, paused_until)"
            " values (%s, %s, 7, now() + interval '1 hour', now() + interval '1 hour')",
            [f"target/{made['id']}", made["id"]],
        )

    assert send(api, "GET", path).body["health"]["breaker"] == "open"
    disabled = send(api, "POST", f"{path}/disable", {"reason": "they move house"})
    assert (disabled.status, disabled.body["disabled_reason"]) == (200, "they move house")
    assert [t["id"] for t in send(api, "GET", "/targets?disabled=true").body["targets"]] == [
        made["id"]
    ]
    enabled = send(api, "POST", f"{path}/enable").body
    assert (enabled["disabled_at"], enabled["disabled_reason"]) == (None, None)
    health = enabled["health"]
    assert (health["breaker"], health["failures"], health["paused_until"]) == ("closed", 0, None)
    assert audited(api, made["id"])[1:] == [
        ("target.disable", {"reason": "they move house"}),
        ("target.enable", {"was_disabled": True}),
    ]


def test_health_tells_the_backlog_the_breaker_and_the_last_attempt(api: Api) -> None:
    made = targets.create(api)
    rule = rules.create(api.url)
    version = api.database.value("select id from rule_versions where rule_id = %s", rule["id"])
    event_id = rules.accept_event(api.url)
    destination = f"target/{made['id']}"
    rows = [
        deliveries.insert(
            api.database, event_id, rule["id"], version,
            action_key=f"k{n}", state="pending", attempt_no=n, destination=destination,
        )
        for n in range(3)
    ]  # fmt: skip
    deliveries.send(api.database, rows[2], 1, "unknown", error_class="Timeout")
    deliveries.send(api.database, rows[2], 2, "failed", status_code=503, error_class="HttpStatus")
    with api.database.connect() as conn:
        conn.execute(
            "insert into destinations (name, target_id, failures, open_until)"
            " values (%s, %s, 7, now() - interval '1 second')",
            [destination, made["id"]],
        )

    health = send(api, "GET", f"/targets/{made['id']}").body["health"]

    assert (health["breaker"], health["failures"], health["pending"]) == ("half_open", 7, 3)
    last = health["last_attempt"]
    assert (last["delivery_id"], last["outcome"], last["status_code"]) == (rows[2], "failed", 503)


def test_a_rule_may_name_a_target_that_exists(api: Api) -> None:
    made = targets.create(api, name="crm")
    hook = {"type": "call_webhook", "params": {"target": "crm"}}

    rule = rules.create(api.url, action=hook)
    rules.create(api.url, action={"type": "call_webhook", "target": made["id"]})
    path = f"/rules/{rule['id']}"
    for method, where, body in (
        ("POST", "/rules", rules.rule(actions=[{"type": "log"}, _named("nobody")], action=None)),
        ("POST", "/rules", rules.rule(state="draft", action=_named("nobody"))),
        ("PUT", path, rules.rule(action=_named(str(uuid_utils.compat.uuid7())))),
        ("PATCH", path, {"action": _named("nobody")}),
        ("POST", f"{path}/versions", rules.version(action=_named("nobody"))),
    ):
        before = rules.counts(api.database)
        answer = client.call(api.url, method, where, body)
        assert (answer.status, answer.body["type"]) == (422, "/problems/invalid-request"), answer
        place = "/actions/1" if "actions" in body else "/action"
        assert [e["pointer"] for e in answer.body["errors"]] == [f"{place}/params/target"]
        assert rules.counts(api.database) == before
    send(api, "DELETE", f"/targets/{made['id']}")
    assert client.call(api.url, "POST", "/rules", rules.rule(action=hook)).status == 422
    assert client.call(api.url, "PATCH", path, {"name": "still editable"}).status == 200


def _named(name: str) -> dict[str, Any]:
    return {"type": "call_webhook", "params": {"target": name}}
