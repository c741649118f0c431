"""Event types over real HTTP: settings, the schema of data, topics."""

import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from services.api import problems
from services.api.data_schemas import catalogue
from services.api.event_types import routes as event_types
from tests.api import samples
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

PREFIX = "tests-types."
SCHEMA = {
    "type": "object",
    "required": ["amount"],
    "properties": {"amount": {"type": "integer", "minimum": 1}},
}


class Apis(msgspec.Struct, frozen=True, kw_only=True):
    """Two apis on one database: what one is told the other must know."""

    url: str
    other: str
    database: stack.Database

    def put(self, name: str, body: object, **headers: str) -> client.Answer:
        path = f"/event-types/{quote(name, safe='')}"
        return client.call(self.url, "PUT", path, body, headers=headers)

    def get(self, name: str) -> client.Answer:
        return client.call(self.url, "GET", f"/event-types/{quote(name, safe='')}")

    def send(self, **changes: Any) -> client.Answer:
        return client.call(self.other, "POST", "/events", samples.event(**changes))


@pytest.fixture(scope="module")
def apis(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apis]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix=PREFIX, bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("types")
        )
        first, second = (system.start("api", EXTRA_TOPICS="payments,clicks").url for _ in range(2))
        yield Apis(url=first, other=second, database=database)
        system.stop()


def name_of_a_type() -> str:
    return f"test.{uuid.uuid4()}"


def live_with_schema(apis: Apis, schema: object = SCHEMA) -> str:
    """A type whose schema is in force on the api that the tests send events to."""
    name = name_of_a_type()
    assert apis.put(name, {"schema": schema}).status == 200
    bad = {"type": name, "data": {"amount": 0}}
    eventually(
        lambda: apis.send(**bad).status == 422, deadline_seconds=1.0, what="the schema in force"
    )
    return name


def pointers(answer: client.Answer) -> list[str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return sorted(error.get("pointer", "-") for error in answer.body["errors"])


def test_a_type_that_nobody_has_set_has_the_defaults_of_the_table(apis: Apis) -> None:
    name = name_of_a_type()
    answer = apis.get(name)
    assert (answer.status, answer.headers["etag"]) == (200, '"0"')
    assert answer.body["defaults"]
    with apis.database.connect(autocommit=False) as conn:
        row = conn.execute(
            "insert into event_types (event_type) values ('x') returning key_policy, retry_limit,"
            " processing_timeout_ms, data_schema, topic, retention_days"
        ).fetchone()
        conn.rollback()
    names = ("key_policy", "retry_limit", "processing_timeout_ms", "schema", "topic")
    assert row == tuple(answer.body[field] for field in (*names, "retention_days"))


def test_a_put_replaces_all_settings_and_raises_the_rulebook(apis: Apis) -> None:
    name = name_of_a_type()
    version = apis.database.value("select version from rulebook_state")
    body: dict[str, Any] = {
        "key_policy": "pass",
        "retry_limit": 0,
        "processing_timeout_ms": 250,
        "schema": {"title": "b", "type": "object", "a": 1.50},
        "topic": f"{PREFIX}clicks",
        "retention_days": 30,
    }
    first = apis.put(name, body)
    assert first.status == 200
    assert body.items() <= first.body.items()
    assert "".join(first.body["schema"]) == "titletypea"  # as it was written
    assert apis.get(name).body == first.body
    second = apis.put(name, {"retry_limit": 3})
    assert (second.body["key_policy"], second.body["schema"]) == ("wait", None)
    assert second.body["created_at"] == first.body["created_at"]
    assert second.body["revision"] > first.body["revision"] > version
    assert apis.database.value("select version from rulebook_state") >= second.body["revision"]
    audit = "select action, detail->>'retry_limit' from audit_log where target = %s order by id"
    assert apis.database.rows(audit, name) == [("event_type.set", "0"), ("event_type.set", "3")]


def test_a_stale_etag_changes_nothing(apis: Apis) -> None:
    name = name_of_a_type()
    made = apis.put(name, {"retry_limit": 1}, **{"If-Match": '"0"'})
    assert made.status == 200
    stale = apis.put(name, {"retry_limit": 2}, **{"If-Match": '"0"'})
    assert (stale.status, stale.body["type"]) == (412, "/problems/stale-version")
    assert apis.put(name, {}, **{"If-Match": "yesterday"}).status == 422
    path = f"/event-types/{name}"
    assert client.call(apis.url, "DELETE", path, headers={"If-Match": '"0"'}).status == 412
    assert apis.get(name).body["retry_limit"] == 1
    good = {"If-Match": made.headers["etag"]}
    assert client.call(apis.url, "DELETE", path, headers=good).status == 204
    assert client.call(apis.url, "DELETE", path).status == 204
    assert apis.get(name).body["defaults"]
    again = apis.put(name, {})
    assert again.headers["etag"] != made.headers["etag"]  # never given twice


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([], [""]),
        (7, [""]),
        ({"retries": 1, "type": "x"}, ["/retries", "/type"]),
        ({"key_policy": "skip"}, ["/key_policy"]),
        ({"key_policy": ["wait"]}, ["/key_policy"]),
        ({"retry_limit": -1}, ["/retry_limit"]),
        ({"retry_limit": 101}, ["/retry_limit"]),
        ({"retry_limit": True}, ["/retry_limit"]),
        ({"retry_limit": 1.5}, ["/retry_limit"]),
        ({"processing_timeout_ms": 0}, ["/processing_timeout_ms"]),
        ({"processing_timeout_ms": "60000"}, ["/processing_timeout_ms"]),
        ({"retention_days": 0}, ["/retention_days"]),
        ({"retention_days": 36_501}, ["/retention_days"]),
        ({"topic": f"{PREFIX}orders"}, ["/topic"]),
        ({"topic": "payments"}, ["/topic"]),
        ({"topic": 1}, ["/topic"]),
        ({"schema": "x"}, ["/schema"]),
        ({"schema": {"$ref": "http://127.0.0.1:9/"}}, ["/schema/$ref"]),
        (
            {"retry_limit": "x", "topic": "y", "schema": {"type": "z", "pattern": "("}, "a/b": 1},
            ["/a~1b", "/retry_limit", "/schema/pattern", "/schema/type", "/topic"],
        ),
    ],
)
def test_wrong_settings_are_refused_with_all_pointers(
    apis: Apis, body: object, expected: list[str]
) -> None:
    name = name_of_a_type()
    refused = apis.put(name, body)
    assert (refused.status, refused.body["type"]) == (422, "/problems/invalid-request")
    assert pointers(refused) == expected
    assert apis.get(name).body["defaults"]


@pytest.mark.parametrize("name", ["a b", "x" * 201, "ä", "payment.*", "a\x00b"])
def test_a_name_that_no_type_can_have_is_refused(apis: Apis, name: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        body: dict[str, Any] | None = {} if method == "PUT" else None
        answer = client.call(apis.url, method, f"/event-types/{quote(name, safe='')}", body)
        assert (answer.status, answer.body["errors"][0]["parameter"]) == (422, "event_type")


def test_an_empty_body_is_not_the_defaults(apis: Apis) -> None:
    assert client.call(apis.url, "PUT", f"/event-types/{name_of_a_type()}").status == 400


def test_a_slash_in_a_type_belongs_to_it(apis: Apis) -> None:
    name = f"com.example/{uuid.uuid4()}"
    assert apis.put(name, {"retry_limit": 4}).body["type"] == name
    assert apis.get(name).body["retry_limit"] == 4


@pytest.mark.parametrize("name", event_types.ORDER_TYPES)
def test_orders_take_no_schema_and_no_topic(apis: Apis, name: str) -> None:
    refused = apis.put(name, {"schema": False, "topic": f"{PREFIX}payments", "retry_limit": 5})
    assert pointers(refused) == ["/schema", "/topic"]
    assert apis.put(name, {"retry_limit": 5}).status == 200
    order_id = samples.create_order(apis.url)
    assert client.call(apis.url, "GET", f"/orders/{order_id}").status == 200


def test_the_list_shows_what_is_set_and_what_is_seen(apis: Apis) -> None:
    mark = f"list.{uuid.uuid4()}"
    for number in range(3):
        apis.put(f"{mark}.set-{number}", {"schema": {}})
        assert apis.send(type=f"{mark}.seen-{number}").status == 201
    assert apis.send(type=f"{mark}.set-0", data={}).status == 201

    def listed(query: str) -> dict[str, tuple[bool, bool, bool]]:
        found: dict[str, tuple[bool, bool, bool]] = {}
        cursor = ""
        for _ in range(100):
            page = client.call(apis.url, "GET", f"/event-types?limit=2{query}{cursor}").body
            for row in page["event_types"]:
                assert row["type"] not in found
                assert "schema" not in row
                found[row["type"]] = (row["defaults"], row["seen"], row["has_schema"])
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert list(found) == sorted(found)
        return {name: row for name, row in found.items() if name.startswith(mark)}

    assert listed("") == {f"{mark}.set-{number}": (False, number == 0, True) for number in range(3)}
    seen = {f"{mark}.seen-{number}": (True, True, False) for number in range(3)}
    assert listed("&seen=true") == listed("") | seen


def test_data_that_breaks_its_schema_is_stored_nowhere(apis: Apis) -> None:
    name = live_with_schema(apis)
    event = samples.event(type=name, data={"amount": "12"})
    refused = client.call(apis.other, "POST", "/events", event)
    assert (refused.status, refused.body["type"]) == (422, "/problems/data-schema-violation")
    assert pointers(refused) == ["/data/amount"]
    assert refused.body["schema_revision"] == apis.get(name).body["revision"]
    stored = "select count(*) from events where external_id = %s"
    assert apis.database.value(stored, event["id"]) == 0
    mended = {**event, "data": {"amount": 12}}
    assert client.call(apis.other, "POST", "/events", mended).status == 201


def test_each_item_of_a_batch_has_its_own_pointers(apis: Apis) -> None:
    name = live_with_schema(apis)
    batch = [
        samples.event(type=name, data={"amount": 1}),
        samples.event(type=name, data={}),
        samples.event(),
        samples.event(type=name, data=[1]),
    ]
    results = client.call(apis.other, "POST", "/events/batch", batch).body["results"]
    assert [item["status"] for item in results] == [201, 422, 201, 422]
    found = [[error["pointer"] for error in item["problem"]["errors"]] for item in results[1::2]]
    assert found == [["/1/data/amount"], ["/3/data"]]


def test_cloud_events_are_checked_where_their_data_stands(apis: Apis) -> None:
    name = live_with_schema(apis)
    event_id = f"e-{uuid.uuid4()}"
    binary = {
        "Content-Type": "application/json",
        "ce-specversion": "1.0",
        "ce-id": event_id,
        "ce-source": "test",
        "ce-type": name,
    }
    refused = client.call(apis.other, "POST", "/events", raw=b'{"amount":0}', headers=binary)
    assert pointers(refused) == ["/amount"]
    structured = {"specversion": "1.0", "id": event_id, "source": "test", "type": name}
    headers = {"Content-Type": "application/cloudevents+json"}
    for data, expected in (({"data": {"amount": 0}}, ["/data/amount"]), ({}, ["/data"])):
        body = {**structured, **data}
        assert pointers(client.call(apis.other, "POST", "/events", body, headers=headers)) == (
            expected
        )
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    answer = client.call(apis.other, "POST", "/events/batch", [structured], headers=headers)
    assert answer.body["results"][0]["problem"]["errors"][0]["pointer"] == "/0/data"


def test_a_retry_of_a_stored_event_is_a_duplicate_whatever_its_schema_says_now(
    apis: Apis,
) -> None:
    name = name_of_a_type()
    event = samples.event(type=name, data={"amount": 0})
    assert client.call(apis.other, "POST", "/events", event).status == 201
    apis.put(name, {"schema": SCHEMA})
    eventually(lambda: apis.send(type=name, data={}).status == 422, deadline_seconds=1.0)

    assert client.call(apis.other, "POST", "/events", event).status == 200
    batch: list[Any] = [event, {**event, "data": {}}]
    results = client.call(apis.other, "POST", "/events/batch", batch).body["results"]
    assert [item["status"] for item in results] == [200, 422]


def test_a_schema_that_replaces_another_is_in_force_within_a_second(apis: Apis) -> None:
    name = live_with_schema(apis)
    assert apis.send(type=name, data={}).status == 422
    apis.put(name, {"schema": {"type": "object"}})
    eventually(lambda: apis.send(type=name, data={}).status == 201, deadline_seconds=1.0)


def test_a_schema_that_is_taken_back_is_out_of_force_within_a_second(apis: Apis) -> None:
    name = live_with_schema(apis)
    client.call(apis.url, "DELETE", f"/event-types/{name}")
    eventually(lambda: apis.send(type=name, data={}).status == 201, deadline_seconds=1.0)
    version = apis.database.value("select version from rulebook_state")
    readers = "select count(*) from rulebook_readers where service = 'api' and seen_version >= %s"
    eventually(
        lambda: apis.database.value(readers, version) == 2,
        deadline_seconds=2.0,
        what="both apis to have reported it",
    )


def test_without_a_notification_the_poll_finds_a_change(apis: Apis) -> None:
    name = name_of_a_type()
    with apis.database.connect() as conn:
        conn.execute(
            "insert into event_types (event_type, data_schema, revision) values (%s, 'false', 1)",
            [name],
        )
        conn.execute("update rulebook_state set version = version + 1")
    eventually(lambda: apis.send(type=name).status == 422, deadline_seconds=2.0)


def test_nothing_is_accepted_before_the_schemas_were_read() -> None:
    unread = catalogue.Catalogue(dsn="", reader="one", topics=["events"])
    with pytest.raises(problems.Problem) as refused:
        catalogue.problem_with(unread, "any.type", b"{}", "/data")
    assert refused.value.status == 503


def test_a_schema_that_this_build_cannot_read_refuses_events_unchecked(apis: Apis) -> None:
    name = name_of_a_type()
    with apis.database.connect() as conn:
        conn.execute(
            "insert into event_types (event_type, data_schema) values (%s, %s)",
            [name, '{"$ref": "http://127.0.0.1:9/x"}'],
        )
        conn.execute("update rulebook_state set version = version + 1")
    eventually(lambda: apis.send(type=name).status == 500, deadline_seconds=2.0)
    assert apis.send(type=name).body["type"] == "/problems/data-schema-unreadable"
    with apis.database.connect() as conn:
        conn.execute("delete from event_types where event_type = %s", [name])


def test_large_hostile_data_is_answered_at_once_and_others_go_on(apis: Apis) -> None:
    name = live_with_schema(
        apis,
        {
            "items": {"allOf": [{"minimum": -n} for n in range(600)]},
            "properties": {"amount": {"minimum": 1}},
        },
    )
    started = time.perf_counter()
    answer = apis.send(type=name, data=list(range(20_000)))
    assert time.perf_counter() - started < 3.0
    assert (answer.status, pointers(answer)) == (422, ["/data"])


def test_an_event_goes_to_its_type_s_topic(apis: Apis) -> None:
    name = name_of_a_type()
    apis.put(name, {"topic": f"{PREFIX}payments"})
    topic = "select topic from outbox where event_id = %s"

    def sent() -> str:
        return apis.database.value(topic, apis.send(type=name).body["id"])

    eventually(lambda: sent() == f"{PREFIX}payments", deadline_seconds=1.0)
    assert apis.database.value(topic, apis.send().body["id"]) == f"{PREFIX}events"
