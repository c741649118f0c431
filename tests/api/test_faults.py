import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.stack import services
from services.api import faults as api_faults
from services.api import problems
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

PROJECT = Path(__file__).resolve().parents[2]
RELAY_POINT = "relay.after_ack_before_mark"
KNOBS = api_faults.KNOBS


def ask(
    api: services.ServiceProcess,
    method: str,
    path: str = "/faults",
    body: object = None,
    *,
    raw: bytes | None = None,
) -> client.Answer:
    headers = {} if raw is None else {"Content-Type": "application/json"}
    return client.call(api.url, method, path, body, headers=headers, raw=raw)


@pytest.fixture
def api(system: stack.System) -> services.ServiceProcess:
    return system.start("api", name="api-under-test", FAULTS_ENABLED="1")


def pointers(body: Any) -> list[str | None]:
    with pytest.raises(problems.Problem) as caught:
        api_faults.parse(body)
    assert caught.value.slug == "invalid-request"
    return [fault.pointer for fault in caught.value.errors]


@pytest.mark.parametrize(
    ("body", "modes"),
    [
        ({}, {}),
        (dict.fromkeys(KNOBS, False), {}),
        (dict.fromkeys(KNOBS), {}),
        ({"successOnAttempt": 0}, {}),
        ({"successOnAttempt": 1}, {}),
        ({"successOnAttempt": 3}, {"successOnAttempt": "3"}),
        ({"breakBroker": True}, {"breakBroker": "before_send"}),
        ({"breakBroker": "after_ack"}, {"breakBroker": "after_ack"}),
        ({"breakBroker": "timeout"}, {"breakBroker": "timeout"}),
        ({"breakWorker": True}, {"breakWorker": f"raise@{RELAY_POINT}"}),
        (
            {"breakWorker": "raise@relay.before_produce"},
            {"breakWorker": "raise@relay.before_produce"},
        ),
        (
            {"breakWorker": "exit", "match": {"first_n": 1}},
            {"breakWorker": f"exit@{RELAY_POINT}"},
        ),
        ({"breakConsumer": True}, {"breakConsumer": "raise@consumer.before_commit"}),
        (
            {"breakConsumer": "hang", "confirm": True},
            {"breakConsumer": "hang@consumer.before_commit"},
        ),
        ({"duplicateEvents": True}, {"duplicateEvents": "1"}),
        ({"duplicateEvents": 10}, {"duplicateEvents": "10"}),
        ({"duplicateEvents": 0}, {}),
    ],
)
def test_each_value_means_what_the_table_says(body: dict[str, Any], modes: dict[str, str]) -> None:
    assert api_faults.parse(body).modes == modes


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [""]),
        ("x", [""]),
        ({"breakbroker": True}, ["/breakbroker"]),
        ({"a/b": 1}, ["/a~1b"]),
        ({"successOnAttempt": True}, ["/successOnAttempt"]),
        ({"successOnAttempt": 1001}, ["/successOnAttempt"]),
        ({"successOnAttempt": 2.5}, ["/successOnAttempt"]),
        ({"duplicateEvents": 11}, ["/duplicateEvents"]),
        ({"duplicateEvents": "many"}, ["/duplicateEvents"]),
        ({"breakBroker": "sometimes"}, ["/breakBroker"]),
        ({"breakBroker": 1}, ["/breakBroker"]),
        ({"breakBroker": []}, ["/breakBroker"]),
        ({"breakWorker": "kill"}, ["/breakWorker"]),
        ({"breakWorker": 1}, ["/breakWorker"]),
        ({"breakWorker": "raise@relay.nowhere"}, ["/breakWorker"]),
        ({"breakWorker": "raise@consumer.before_commit"}, ["/breakWorker"]),
        ({"breakWorker": "raise@"}, ["/breakWorker"]),
        ({"breakConsumer": "raise@relay.before_produce"}, ["/breakConsumer"]),
        ({"breakWorker": "exit"}, ["/confirm"]),
        ({"breakConsumer": "hang"}, ["/confirm"]),
        ({"breakConsumer": "stop", "match": {}}, ["/confirm"]),
        ({"breakWorker": True, "match": {"aggregate_id": "a"}}, ["/match/aggregate_id"]),
        ({"match": 1}, ["/match"]),
        ({"match": {"rule": 1}}, ["/match/rule"]),
        ({"match": {"percent": 0}}, ["/match/percent"]),
        ({"match": {"percent": 101}}, ["/match/percent"]),
        ({"match": {"first_n": 0}}, ["/match/first_n"]),
        ({"match": {"event_type": ""}}, ["/match/event_type"]),
        ({"match": {"aggregate_id": 7}}, ["/match/aggregate_id"]),
        ({"max_hits": 0}, ["/max_hits"]),
        ({"max_hits": True}, ["/max_hits"]),
        ({"seed": -1}, ["/seed"]),
        ({"ttl_s": 901}, ["/ttl_s"]),
        ({"ttl_s": 0}, ["/ttl_s"]),
        ({"confirm": "yes"}, ["/confirm"]),
        ({"breakBroker": 7, "ttl_s": "x", "zz": 1}, ["/zz", "/breakBroker", "/ttl_s"]),
    ],
)
def test_wrong_bodies_are_refused_with_pointers(body: Any, expected: list[str]) -> None:
    assert pointers(body) == expected


def test_set_shows_and_reset_clears(api: services.ServiceProcess, database: stack.Database) -> None:
    before = ask(api, "GET").body
    made = ask(
        api,
        "POST",
        "/",
        {
            "breakBroker": "after_ack",
            "duplicateEvents": 2,
            "match": {"event_type": "order.paid"},
            "max_hits": 7,
            "ttl_s": 60,
        },
    )
    assert made.status == 200
    assert made.body["version"] == before["version"] + 1
    assert made.body["knobs"] == {"breakBroker": "after_ack", "duplicateEvents": "2"}
    rule = made.body["rules"][0]
    assert rule["match"] == {"event_type": "order.paid"}
    assert (rule["max_hits"], rule["hits"], rule["spent"]) == (7, 0, False)
    assert 0 < rule["seconds_left"] <= 60
    again = ask(api, "POST", "/faults", {"successOnAttempt": 3})
    assert again.body["knobs"] == {"successOnAttempt": "3"}
    assert again.body["rules"][0]["seconds_left"] > 290
    for reset in (ask(api, "POST", "/faults", {}), ask(api, "DELETE")):
        assert reset.status == 200
        assert reset.body["rules"] == []
    audit = database.rows("select action, detail->'modes' from audit_log order by id")
    assert audit == [
        ("faults.set", {"breakBroker": "after_ack", "duplicateEvents": "2"}),
        ("faults.set", {"successOnAttempt": "3"}),
        ("faults.reset", {}),
        ("faults.reset", {}),
    ]


def test_a_refused_body_changes_nothing(
    api: services.ServiceProcess, database: stack.Database
) -> None:
    ask(api, "POST", body={"breakBroker": True})
    refused = ask(api, "POST", body={"breakBroker": "after_ack", "unknown": 1})
    assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in refused.body["errors"]] == ["/unknown"]
    assert database.rows("select knob, mode from fault_rules") == [("breakBroker", "before_send")]


@pytest.mark.parametrize("raw", [b"", b"{", b"[" * 5000, b'{"ttl_s":1,"ttl_s":2}', b"\xff\xfe"])
def test_what_is_not_json_is_refused(api: services.ServiceProcess, raw: bytes) -> None:
    refused = ask(api, "POST", raw=raw)
    assert refused.status == 400
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_api_itself_says_what_it_has_seen_and_is_degraded(
    api: services.ServiceProcess,
) -> None:
    version = ask(api, "POST", body={"breakBroker": True}).body["version"]

    def seen() -> bool:
        rows = ask(api, "GET").body["services"]
        return any(
            row["service"] == "api"
            and row["instance"] == "api-under-test"
            and row["seen_version"] == version
            and row["active"] == ["breakBroker"]
            and row["alive"]
            for row in rows
        )

    eventually(seen, deadline_seconds=2, what="the api has seen its own change")
    health = ask(api, "GET", "/health/ready")
    assert health.status == 200
    assert "faults active" in json.dumps(health.body)


def test_rules_outlive_a_restart_of_the_api(
    api: services.ServiceProcess,
) -> None:
    ask(api, "POST", body={"breakBroker": True})
    api.kill()
    api.start()
    api.wait_ready(30)
    assert ask(api, "GET").body["knobs"] == {"breakBroker": "before_send"}


def test_without_faults_there_is_no_such_route(system: stack.System) -> None:
    api = system.start("api")
    for method, path in (("POST", "/faults"), ("GET", "/faults"), ("DELETE", "/faults")):
        answer = ask(api, method, path, {} if method == "POST" else None)
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
    assert ask(api, "POST", "/", {}).status in {404, 405}
    assert "/faults" not in ask(api, "GET", "/openapi.json").body["paths"]


def test_production_refuses_to_start_with_faults(database: stack.Database) -> None:
    for kind in ("api", "relay", "consumer"):
        ended = subprocess.run(
            [sys.executable, "-m", f"services.{kind}"],
            cwd=PROJECT,
            env={
                "APP_ENV": "production",
                "FAULTS_ENABLED": "1",
                "DATABASE_URL": database.url(f"oncely_{kind}"),
                "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
            },
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert ended.returncode == 78
        assert b"FAULTS_ENABLED is refused when APP_ENV is production" in ended.stderr
