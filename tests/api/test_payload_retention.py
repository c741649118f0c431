"""Retention empties the data of old events that are finished, and nothing else of them."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.api import samples
from tests.api.conftest import Api
from tests.fixtures import client, stack
from tests.fixtures.deadlines import eventually

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def api(servers: stack.Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with stack.fresh_database(servers.postgres) as database:
        topics = stack.Topics(prefix="tests-old.", bootstrap_servers=servers.bootstrap_servers)
        system = stack.System(
            database=database, topics=topics, log_dir=tmp_path_factory.mktemp("old")
        )
        sweeps = {"PAYLOAD_SWEEP_SECONDS": "0.1", "PAYLOAD_SWEEP_ROWS": "3"}
        yield Api(url=system.start("api", wait=True, **sweeps).url, database=database)
        system.stop()


def _name() -> str:
    return f"test.{uuid.uuid4()}"


def _retain(api: Api, name: str, *, days: int) -> int:
    body = {"retention_days": days}
    return client.call(api.url, "PUT", f"/event-types/{name}", body).status


def _old_event(
    conn: psycopg.Connection[Any], name: str, *, days: float, status: str = "processed"
) -> str:
    """An event as it would be after so many days: the age is in its id."""
    moment_ms = time.time_ns() // 1_000_000 - int(days * DAY_MS)
    random_bits = uuid.uuid4().int & ((1 << 62) - 1)
    event_id = uuid.UUID(int=moment_ms << 80 | 7 << 76 | 2 << 62 | random_bits)
    conn.execute(
        "insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type,"
        " payload, payload_hash, status, traceparent)"
        " values (%s, 'test', %s, %s, 1, %s, '{\"pin\": 1}', sha256('x'), %s, '')",
        [event_id, str(event_id), str(event_id), name, status],
    )
    return str(event_id)


def _kept(api: Api, name: str) -> set[str]:
    query = "select id::text from events where event_type = %s and payload <> 'null'"
    return {row[0] for row in api.database.rows(query, name)}


def test_data_of_old_finished_events_is_emptied_and_their_identity_stays(api: Api) -> None:
    name = _name()
    with api.database.connect() as conn:
        old = [_old_event(conn, name, days=days) for days in (400, 31, 30.1, 30.2, 33, 77, 50)]
        failed = _old_event(conn, name, days=40, status="failed")
        young = {_old_event(conn, name, days=days) for days in (29.9, 1, 0)}
        waiting = {
            _old_event(conn, name, days=45, status="pending"),
            _old_event(conn, name, days=46, status="processing"),
            (dead := _old_event(conn, name, days=47, status="failed")),
        }
        for event_id, state in ((failed, "discarded"), (dead, "open")):
            conn.execute(
                "insert into dead_letters (id, stage, state, event_id, topic, payload,"
                " payload_bytes, error_class, error_message)"
                " values (gen_random_uuid(), 'consumer', %s, %s, 't', 'x', 1, 'E', 'e')",
                [state, event_id],
            )
        conn.execute(
            "insert into event_receipts (event_id, event_type, payload, payload_hash)"
            " values (%s, %s, '{\"pin\": 2}', sha256('y'))",
            [old[0], name],
        )
    assert _retain(api, name, days=30) == 200
    eventually(lambda: _kept(api, name) == young | waiting, what="the old data to be gone")

    shown = client.call(api.url, "GET", f"/events/{old[0]}").body
    assert (shown["data"], shown["status"]) == (None, "processed")
    assert shown["payload_expired_at"] is not None
    assert client.call(api.url, "GET", f"/events/{min(young)}").body["payload_expired_at"] is None
    receipts = client.call(api.url, "GET", f"/events/{old[0]}/receipts").body["receipts"]
    assert [receipt["data"] for receipt in receipts] == [None]
    letters = "select event_id::text, payload is null from dead_letters"
    assert dict(api.database.rows(letters)) == {failed: True, dead: False}

    # What was not finished is looked at again later, and only that.
    with api.database.connect() as conn:
        conn.execute(
            "update events set status = 'processed' where event_type = %s and id = any(%s::uuid[])",
            [name, list(waiting - {dead})],
        )
        conn.execute("update dead_letters set state = 'redriven'")
        conn.execute("update unexpired_events set looked_at = looked_at - interval '61 minutes'")
    eventually(lambda: _kept(api, name) == young, what="the finished ones to be emptied")
    assert api.database.value("select count(*) from unexpired_events") == 0


def test_a_duplicate_of_an_emptied_event_is_still_a_duplicate(api: Api) -> None:
    name = _name()
    event = samples.event(type=name)
    first = client.call(api.url, "POST", "/events", event)
    old_id = uuid.UUID(int=(time.time_ns() // 1_000_000 - 9 * DAY_MS) << 80 | 7 << 76 | 2 << 62)
    with api.database.connect() as conn:
        conn.execute(
            "update events set id = %s, aggregate_id = %s, status = 'processed' where id = %s",
            [old_id, str(old_id), first.body["id"]],
        )
    _retain(api, name, days=8)
    eventually(lambda: _kept(api, name) == set(), what="the data to be gone")

    again = client.call(api.url, "POST", "/events", event)
    assert (again.status, again.body["id"]) == (200, str(old_id))
    other = client.call(api.url, "POST", "/events", {**event, "data": {"b": 1}})
    assert (other.status, other.body["type"]) == (409, "/problems/event-id-conflict")


def test_the_longest_retention_empties_nothing(api: Api) -> None:
    """A hundred years reach back behind 1970, where the least id of an age would turn over."""
    name = _name()
    with api.database.connect() as conn:
        old = {_old_event(conn, name, days=days) for days in (1, 4000)}
        _retain(api, name, days=36_500)
        looked = conn.execute("select expire_payloads(%s, 100)", [name]).fetchone()
    assert looked == (0,)
    assert _kept(api, name) == old


def test_retention_passes_each_event_once_and_by_the_index(database: stack.Database) -> None:
    with database.connect() as conn:
        conn.execute(
            "insert into event_types (event_type, retention_days) values ('a', 1), ('b', null)"
        )
        for name in ("a", "b"):
            for days in range(2, 52):
                _old_event(conn, name, days=days)
        counts = [conn.execute("select expire_payloads('a', 20)").fetchone() for _ in range(5)]
        assert counts == [(20,), (20,), (10,), (0,), (0,)]
        assert conn.execute("select expire_payloads('b', 20)").fetchone() == (0,)
        assert conn.execute("select expire_payloads('none', 20)").fetchone() == (0,)
        conn.execute("analyze events")
        conn.execute("set enable_seqscan = off")
        plan = conn.execute(
            "explain select id from events where event_type = 'a' and id > uuid_of_age(60)"
            " and id < uuid_of_age(1) order by id limit 20"
        ).fetchall()
    assert "events_by_type" in str(plan)


def test_of_two_that_expire_at_once_one_does_not_wait(database: stack.Database) -> None:
    with database.connect() as conn:
        conn.execute("insert into event_types (event_type, retention_days) values ('a', 1)")
        _old_event(conn, "a", days=2)
    with (
        database.connect("oncely_api", autocommit=False) as first,
        database.connect("oncely_api") as second,
    ):
        assert first.execute("select expire_payloads('a', 20)").fetchone() == (1,)
        second.execute("set lock_timeout = '10ms'")
        assert second.execute("select expire_payloads('a', 20)").fetchone() == (0,)
    with database.connect("oncely_api") as conn, pytest.raises(psycopg.errors.RaiseException):
        conn.execute("select expire_payloads('a', 0)")
