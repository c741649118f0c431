"""Rules and past events that tests of backtests, shadow and rule tests begin with."""

import uuid
from typing import Any

import msgspec
import uuid_utils.compat

from tests.fixtures import client, deadlines, stack

LOG = {"type": "log", "key": "log", "params": {"message": "seen"}}

_VERSION = """
    insert into rule_versions (rule_id, version, state, event_type, condition, actions, engine,
      engine_version, shadowed_at, published_at)
    select %s, %s, state, %s, %s, %s, %s, 'test',
      case when state = 'shadow' then now() - interval '1 hour' end,
      case when state in ('published', 'retired') then now() end
    from (select %s::text as state) made
    returning id"""
_TICKS = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
      payload_hash, traceparent)
    select id, 'bulk', id::text, id::text, 1, %s, jsonb_build_object('n', n), sha256(''),
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    from (select uuidv7() as id, n from generate_series(1, %s) as n) t"""


def version(condition: Any, **changes: Any) -> dict[str, Any]:
    """A version as it is stored, published unless a state is named."""
    made = {"condition": condition, "state": "published", "event_type": "t", "actions": [LOG]}
    return {**made, "engine": "datalogic", **changes}


def insert_rule(database: stack.Database, *versions: dict[str, Any]) -> tuple[str, list[int]]:
    """A rule and its versions, past every check: its id, and the row ids of the versions."""
    rule_id = str(uuid.uuid4())
    with database.connect() as conn:
        conn.execute("insert into rules (id, name) values (%s, 'test')", [rule_id])
        ids: list[int] = []
        for number, made in enumerate(versions, 1):
            row = conn.execute(
                _VERSION.encode(),
                [
                    rule_id,
                    number,
                    made["event_type"],
                    msgspec.json.encode(made["condition"]).decode(),
                    msgspec.json.encode(made["actions"]).decode(),
                    made["engine"],
                    made["state"],
                ],
            ).fetchone()
            assert row is not None
            ids.append(row[0])
    return rule_id, ids


def insert_ticks(database: stack.Database, *, event_type: str, count: int) -> None:
    """Many small events with data {"n": 1...count}."""
    with database.connect() as conn:
        conn.execute(_TICKS.encode(), [event_type, count])


def post_events(url: str, events: list[tuple[str, Any]]) -> list[str]:
    """Accept events of (type, data), in this order; their ids."""
    body = [
        {"id": str(uuid_utils.compat.uuid7()), "type": event_type, "data": data}
        for event_type, data in events
    ]
    answer = client.call(url, "POST", "/events/batch", body)
    assert answer.status == 200, answer
    return [result["event"]["id"] for result in answer.body["results"]]


def expire(database: stack.Database, event_id: str) -> None:
    with database.connect() as conn:
        conn.execute(
            "update events set payload = 'null', payload_expired_at = now() where id = %s",
            [event_id],
        )


def start_backtest(url: str, rule_id: str, body: Any = None) -> str:
    """The path of the new job."""
    answer = client.call(url, "POST", f"/rules/{rule_id}/backtests", body)
    assert answer.status == 202, answer
    return answer.headers["location"]


def wait_for(url: str, place: str, *states: str, deadline_seconds: float = 30.0) -> dict[str, Any]:
    """The job once it is in one of the states."""

    def reached() -> dict[str, Any] | None:
        job = client.call(url, "GET", place).body
        return job if job["state"] in states else None

    found = deadlines.eventually(
        reached, deadline_seconds=deadline_seconds, what=f"{place} to be {states}"
    )
    assert found is not None
    return found


def run_backtest(url: str, rule_id: str, body: Any = None) -> tuple[str, dict[str, Any]]:
    place = start_backtest(url, rule_id, body)
    return place, wait_for(url, place, "done", "failed")
