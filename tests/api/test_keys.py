"""API keys on a real api: who is let in, what each scope may do, and what is never told."""

import asyncio
import contextlib
import http.client
import json
import socket
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from cli import main as command_line
from services.api import access, keyring, problems, watched
from services.api.keys import bodies
from services.api.settings import ApiSettings
from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

ADMIN = "test-admin-key-of-more-than-32-characters"
_AUDIT = "select actor, action, detail from audit_log where target = %s order by id"


class Apis(msgspec.Struct, frozen=True, kw_only=True):
    """Two apis that ask for keys, their database, and where their logs are."""

    url: str
    other_url: str
    system: stack.System

    @property
    def database(self) -> stack.Database:
        return self.system.database

    def call(self, key: str, method: str, path: str, body: object = None) -> client.Answer:
        return client.call(self.url, method, path, body, headers=_bearer(key))

    def make(self, *scopes: str, key: str = ADMIN, **members: Any) -> dict[str, Any]:
        body = {"name": f"k-{uuid.uuid4().hex[:12]}", "scopes": scopes, **members}
        answer = self.call(key, "POST", "/keys", body)
        assert answer.status == 201, answer
        return answer.body


@pytest.fixture(scope="module")
def apis(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apis]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-keys.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("keys")
        )
        settings = {
            "AUTH_MODE": "keys",
            "ADMIN_API_KEY": ADMIN,
            "FAULTS_ENABLED": "1",
            "LOG_LEVEL": "debug",
        }
        started = [system.start("api", wait=False, **settings) for _ in range(2)]
        for process in started:
            process.wait_ready(30)
        yield Apis(url=started[0].url, other_url=started[1].url, system=system)
        system.stop()


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _raw(url: str, head: bytes) -> tuple[int, bytes]:
    """Send bytes as they are and read one answer, however much of the request is missing."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as sock:
        sock.sendall(head)
        answer = http.client.HTTPResponse(sock)
        answer.begin()
        return answer.status, answer.read()


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Basic dXNlcjpwYXNz", 401),
        (b"Bearer onc_" + b"x" * 43, 401),
        (b"Bearer " + b"x" * 10_000, 401),
        (b"Bearer onc_\xc3\xa9\xff", 401),
        (ADMIN.encode(), 401),
        (b"Bearer " + ADMIN.encode()[:-1], 401),
        (b"Bearer " + ADMIN.encode() + b", Bearer x", 401),
        (b"Bearer " + ADMIN.encode() + b"\r\nAuthorization: Bearer x", 400),
        (b"bearer  " + ADMIN.encode(), 200),
    ],
)
@pytest.mark.parametrize("path", ["/orders", "/nothing/here"])
def test_a_malformed_or_unknown_key_is_refused_and_never_an_error(
    apis: Apis, value: bytes, status: int, path: str
) -> None:
    head = b"GET %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\n\r\n" % (path.encode(), value)
    found, body = _raw(apis.url, head)
    assert found == (404 if (status, path) == (200, "/nothing/here") else status)
    assert value[8:20] not in body or not value[8:20]
    if found == 401:
        assert json.loads(body)["type"] == "/problems/unauthenticated"


def test_no_key_is_401_with_a_challenge_before_the_body_is_there(apis: Apis) -> None:
    for method, path in (("POST", "/orders"), ("POST", "/rules"), ("POST", "/keys")):
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            "Content-Length: 10485760\r\n\r\n{"
        )
        started = time.monotonic()
        status, body = _raw(apis.url, head.encode())
        assert (status, json.loads(body)["type"]) == (401, "/problems/unauthenticated")
        assert time.monotonic() - started < 2
    assert client.call(apis.url, "GET", "/orders").headers["www-authenticate"] == "Bearer"
    wrong = client.call(apis.url, "GET", "/orders", headers=_bearer("wrong"))
    assert wrong.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_every_scope_opens_its_routes_and_no_other(apis: Apis) -> None:
    document = client.call(apis.url, "GET", "/openapi.json").body
    assert "/faults" in document["paths"]
    keys: dict[str | None, str | None] = {scope: apis.make(scope)["key"] for scope in access.SCOPES}
    keys[None] = None
    parts = urlsplit(apis.url)
    flaws: list[str] = []
    with contextlib.closing(http.client.HTTPConnection(parts.hostname or "", parts.port)) as conn:
        for path, methods in access.ROUTES.items():
            for method, needed in methods.items():
                for scope, key in keys.items():
                    found = _try(conn, method, path, key)
                    expected = _expected(scope, needed)
                    if found[0] != expected and not (
                        expected == 200 and found[0] not in {401, 403}
                    ):
                        flaws.append(f"{method} {path} with {scope}: {found}")
                    if found[0] == 403 and found[1] != needed:
                        flaws.append(f"{method} {path} names {found[1]}, not {needed}")
    assert flaws == []


def test_a_forced_replay_needs_a_scope_of_its_own(apis: Apis) -> None:
    plain = apis.make("replay")["key"]
    forcing = apis.make("replay", "replay:force")["key"]
    one = f"/events/{uuid.uuid4()}/replay"
    asked = {"effects": "force", "reason": "the receiver lost it"}
    for path, body in ((one, asked), ("/replays", {**asked, "all": True})):
        refused = apis.call(plain, "POST", path, body)
        assert (refused.status, refused.body["scope"]) == (403, "replay:force")
        assert apis.call(forcing, "POST", path, body).status in {202, 404}
    assert apis.call(plain, "POST", one, {"effects": "dedupe"}).status == 404
    job_id = apis.database.value(
        "insert into replays (id, state, filter, mode, effects, reason, requested_by,"
        " rate_per_second, events_max) values (uuidv7(), 'paused', '{}', 'current', 'force', 'x',"
        " 'x', 1, 1) returning id::text"
    )
    job = f"/replays/{job_id}"
    for method, path, body in (
        ("PATCH", job, {"rate_per_second": 2}),
        ("POST", f"{job}/resume", None),
    ):
        refused = apis.call(plain, method, path, body)
        assert (refused.status, refused.body["scope"]) == (403, "replay:force")
        assert apis.call(forcing, method, path, body).status == 200


def test_a_rule_is_tried_on_a_stored_event_only_by_who_may_read_events(apis: Apis) -> None:
    key = apis.make("rules:read")["key"]
    body: dict[str, Any] = {"condition": {"==": [{"var": "a"}, 1]}, "event_id": str(uuid.uuid4())}

    refused = apis.call(key, "POST", "/rules/test", body)

    assert (refused.status, refused.body["scope"]) == (403, "events:read")


def _expected(scope: str | None, needed: str) -> int:
    opens = {"admin", needed} if needed != "any key" else set(access.SCOPES)
    if needed == "public" or scope in opens:
        return 200  # or whatever the route says of a body that means nothing
    return 401 if scope is None else 403


def _try(
    conn: http.client.HTTPConnection, method: str, path: str, key: str | None
) -> tuple[int, str | None]:
    nothing = "/".join(
        str(uuid.UUID(int=1)) if part.startswith("{") else part for part in path.split("/")
    )
    body = None if method in {"GET", "DELETE"} else b"[]"
    headers = {} if body is None else {"Content-Type": "application/json"}
    conn.request(method, nothing, body=body, headers=headers | (_bearer(key) if key else {}))
    answer = conn.getresponse()
    text = answer.read()
    named = json.loads(text).get("scope") if answer.status == 403 else None
    return answer.status, named


def test_a_revoked_key_is_refused_by_every_api_within_two_seconds(apis: Apis) -> None:
    made = apis.make("orders:read", "orders:write")
    headers = _bearer(made["key"])
    order = client.call(apis.url, "POST", "/orders", samples.order(), headers=headers)
    assert order.status == 201
    eventually(
        lambda: client.call(apis.other_url, "GET", "/orders", headers=headers).status == 200,
        deadline_seconds=2,
    )

    assert apis.call(ADMIN, "DELETE", f"/keys/{made['id']}").status == 204

    # At once where it was revoked, and soon everywhere.
    assert client.call(apis.url, "GET", "/orders", headers=headers).status == 401
    eventually(
        lambda: client.call(apis.other_url, "GET", "/orders", headers=headers).status == 401,
        deadline_seconds=2,
    )
    assert apis.call(ADMIN, "DELETE", f"/keys/{made['id']}").status == 204
    assert [row[:2] for row in apis.database.rows(_AUDIT, made["id"])] == [
        ("key:ADMIN_API_KEY", "key.create"),
        ("key:ADMIN_API_KEY", "key.revoke"),
    ]
    with apis.database.connect() as conn, pytest.raises(Exception, match="revoked for good"):
        conn.execute("update api_keys set revoked_at = null where revoked_at is not null")


def test_an_expired_key_is_refused(apis: Apis) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    made = apis.make("orders:read", expires_at=soon.isoformat())
    assert apis.call(made["key"], "GET", "/orders").status == 200
    eventually(lambda: apis.call(made["key"], "GET", "/orders").status == 401, deadline_seconds=3)


def test_a_key_is_shown_once_and_stored_as_its_hash(apis: Apis) -> None:
    made = apis.make("events:read")
    assert len(made["key"]) == 47
    assert made["key"].startswith(made["prefix"])
    listed = apis.call(ADMIN, "GET", "/keys?limit=1").body
    assert listed["keys"][0]["id"] == made["id"]
    assert set(listed["keys"][0]) & {"key", "key_hash"} == set()
    assert listed["next_cursor"]
    second = apis.call(ADMIN, "GET", f"/keys?limit=1&cursor={listed['next_cursor']}").body
    assert second["keys"][0]["id"] < made["id"]
    query = "select key_hash = sha256(%s::bytea) from api_keys where id = %s"
    assert apis.database.value(query, made["key"].encode(), made["id"]) is True
    stored = apis.database.value(
        "select row_to_json(k)::text from api_keys k where id = %s", made["id"]
    )
    assert made["key"] not in stored


def test_the_audit_log_names_the_key_that_acted(apis: Apis) -> None:
    made = apis.make("admin")
    name = apis.call(made["key"], "GET", "/keys?limit=1").body["keys"][0]["name"]
    child = apis.make("events:read", key=made["key"])
    assert apis.call(made["key"], "POST", "/faults", {}).status == 200
    actors = apis.database.rows(
        "select distinct action from audit_log where actor = %s", f"key:{name}"
    )
    assert {row[0] for row in actors} == {"key.create", "faults.reset"}
    assert apis.database.rows(_AUDIT, child["id"])[0][0] == f"key:{name}"


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], {""}),
        ({}, {"/name", "/scopes"}),
        ({"name": "A b", "scopes": []}, {"/name", "/scopes"}),
        ({"name": "ADMIN_API_KEY", "scopes": "admin"}, {"/name", "/scopes"}),
        (
            {"name": "x\n", "scopes": ["admin", "admin", "root", 7]},
            {"/name", "/scopes/1", "/scopes/2", "/scopes/3"},
        ),
        ({"name": "x", "scopes": ["admin"], "key": "mine"}, {"/key"}),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2020-01-01T00:00:00Z"}, {"/expires_at"}),
        ({"name": "x", "scopes": ["admin"], "expires_at": "2099-01-01T00:00:00"}, {"/expires_at"}),
        ({"name": "x", "scopes": ["admin"], "expires_at": 7}, {"/expires_at"}),
        (
            {"name": "x", "scopes": ["admin"], "expires_at": "9999-12-31T23:59:59-23:59"},
            {"/expires_at"},
        ),
    ],
)
def test_a_wrong_body_hears_of_all_its_flaws(apis: Apis, body: object, pointers: set[str]) -> None:
    answer = apis.call(ADMIN, "POST", "/keys", body)
    assert answer.status == 422
    assert {fault["pointer"] for fault in answer.body["errors"]} == pointers


def test_a_name_in_force_is_taken_and_a_revoked_one_is_free(apis: Apis) -> None:
    name = f"shop-{uuid.uuid4().hex[:8]}"
    first = apis.make("orders:read", name=name)
    again = apis.call(ADMIN, "POST", "/keys", {"name": name, "scopes": ["orders:read"]})
    assert (again.status, again.body["type"]) == (409, "/problems/key-exists")
    assert apis.call(ADMIN, "DELETE", f"/keys/{first['id']}").status == 204
    assert apis.make("orders:read", name=name)["id"] != first["id"]
    for unknown in (str(uuid.uuid4()), "x", "%2F"):
        assert apis.call(ADMIN, "DELETE", f"/keys/{unknown}").status == 404


def test_nobody_gives_what_he_has_not() -> None:
    caller = access.Caller(name="x", scopes=frozenset({"events:read"}))
    with pytest.raises(Exception, match="no key was made"):
        bodies.read({"name": "y", "scopes": ["admin"]}, caller=caller, now=datetime.now(UTC))


def test_a_page_of_a_foreign_origin_cannot_use_a_key(apis: Apis) -> None:
    headers = _bearer(ADMIN) | {"Origin": "https://evil.example"}
    answer = client.call(apis.url, "POST", "/orders", samples.order(), headers=headers)
    assert (answer.status, answer.body["type"]) == (403, "/problems/origin-not-allowed")


def test_no_key_is_in_a_log_or_in_a_caller_s_text(apis: Apis) -> None:
    made = apis.make("rules:read")
    apis.call(made["key"], "POST", "/rules/test", {"what": "is this"})
    apis.call(made["key"], "POST", "/orders", samples.order())
    for path in apis.system.log_dir.rglob("*.log"):
        text = path.read_text()
        assert text
        assert made["key"] not in text
        assert ADMIN not in text


def test_an_api_that_could_not_look_for_a_while_lets_nobody_in(
    database: stack.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    authorization = f"Bearer {ADMIN}".encode()

    async def run() -> None:
        ring = keyring.Keyring(dsn=database.url("oncely_api"), admin_key=ADMIN)
        ring.start()
        await ring.wait()
        assert ring.find(authorization).name == keyring.ADMIN_NAME
        await ring.close()
        monkeypatch.setattr(watched, "STALE_SECONDS", 0.0)
        with pytest.raises(problems.Problem, match="cannot be reached"):
            ring.find(authorization)

    asyncio.run(run())


def test_an_api_that_could_not_look_lets_nobody_in() -> None:
    ring = keyring.Keyring(dsn="postgresql://nobody", admin_key=ADMIN)
    with pytest.raises(problems.Problem) as caught:
        ring.find(f"Bearer {ADMIN}".encode())
    assert caught.value.slug == "database-away"


def test_without_any_key_the_api_starts_and_says_how_to_get_one(system: stack.System) -> None:
    api = system.start("api", AUTH_MODE="keys", HOST="0.0.0.0")
    assert client.call(api.url, "GET", "/orders").status == 401
    assert client.call(api.url, "GET", "/health/ready").status == 200
    logged = "".join(path.read_text() for path in system.log_dir.rglob("*.log"))
    assert "set ADMIN_API_KEY" in logged
    assert "serving without authentication" not in logged


def test_an_admin_key_is_long_and_protects_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody")
    for mode, key, said in (
        ("keys", "short-s3cret", "32 to 200 characters"),
        ("keys", "s3cret " * 10, "32 to 200 characters"),
        ("none", "s3cret" * 10, "AUTH_MODE=keys"),
    ):
        monkeypatch.setenv("AUTH_MODE", mode)
        monkeypatch.setenv("ADMIN_API_KEY", key)
        with pytest.raises(ValueError, match=said) as caught:
            ApiSettings()  # pyright: ignore[reportCallIssue]
        assert "s3cret" not in str(caught.value)
    monkeypatch.delenv("ADMIN_API_KEY")
    monkeypatch.setenv("AUTH_MODE", "keys")
    (tmp_path / "key").write_text(ADMIN + "\n")
    monkeypatch.setenv("ADMIN_API_KEY_FILE", str(tmp_path / "key"))
    loaded = ApiSettings()  # pyright: ignore[reportCallIssue]
    assert loaded.admin_api_key.get_secret_value() == ADMIN
    assert ADMIN not in repr(loaded)


def test_the_command_makes_lists_and_revokes_keys(
    apis: Apis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONCELY_URL", apis.url)
    monkeypatch.delenv("ONCELY_API_KEY", raising=False)
    assert command_line.run(["keys", "list"]) == 4
    assert "ONCELY_API_KEY" in capsys.readouterr().err
    monkeypatch.setenv("ONCELY_API_KEY", ADMIN)
    name = f"cli-{uuid.uuid4().hex[:8]}"
    arguments = ["keys", "create", name, "--scope", "orders:read", "--scope", "events:read"]
    assert command_line.run([*arguments, "--days", "7", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert apis.call(made["key"], "GET", "/orders").status == 200
    assert command_line.run(["keys", "revoke", made["id"]]) == 0
    assert command_line.run(["keys", "list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if name in line)
    assert "revoked" in line
    assert made["key"] not in line
    assert apis.call(made["key"], "GET", "/orders").status == 401
