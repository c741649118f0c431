"""What consumer and dispatcher store of an event, put there by SQL: for tests of the api alone."""

from typing import Any

import uuid_utils.compat

from tests.fixtures import stack

TRACE = "0af7651916cd43dd8448eb211c80319c"

_OVER = ("confirmed", "failed", "unknown", "skipped")
_DELIVERY = """
    insert into deliveries (id, event_id, event_type, rule_id, version_id, action_key, replay_scope,
      replay, repeats_id, kind, destination, traceparent, state, reason, attempt_no,
      next_attempt_at, finished_at)
    values (%(id)s, %(event_id)s, 'payment.completed', %(rule_id)s, %(version_id)s, %(action_key)s,
      %(replay_scope)s, %(replay)s, %(repeats_id)s, 'webhook', %(destination)s, %(traceparent)s,
      %(state)s, %(reason)s, %(attempt_no)s,
      case when %(state)s = 'pending' then now() + interval '1 hour' end,
      case when %(over)s then now() end)"""
_REQUEST = '{"method": "POST", "url": "https://example.com/", "headers": {}, "body": {}}'
_ATTEMPT = """
    insert into delivery_attempts (delivery_id, attempt_no, outcome, status_code, error_class,
      total_ms, dispatcher, started_at, late_answer)
    values (%s, %s, %s, %s, %s, 12.5, 'd-1', now(), %s)"""
_LETTER = """
    insert into dead_letters (id, stage, event_id, replay, event_type, delivery_id, payload_bytes,
      error_class, error_message, attempts)
    values (%s, 'delivery', %s, 0, 'payment.completed', %s, 0, %s, 'it was given up', 9)"""


def insert(
    database: stack.Database, event_id: str, rule_id: str, version_id: int, **changes: Any
) -> str:
    """A webhook; its id."""
    delivery_id = str(uuid_utils.compat.uuid7())
    row = {
        "id": delivery_id,
        "event_id": event_id,
        "rule_id": rule_id,
        "version_id": version_id,
        "action_key": "call_webhook",
        "replay_scope": 0,
        "replay": 0,
        "repeats_id": None,
        "destination": "https://example.com:443",
        "traceparent": f"00-{TRACE}-b7ad6b7169203331-01",
        "state": "confirmed",
        "reason": None,
        "attempt_no": 1,
        **changes,
    }
    with database.connect() as conn:
        conn.execute(_DELIVERY.encode(), row | {"over": row["state"] in _OVER})
        conn.execute("insert into delivery_requests values (%s, %s)", [delivery_id, _REQUEST])
    return delivery_id


def send(
    database: stack.Database,
    delivery_id: str,
    attempt_no: int,
    outcome: str,
    *,
    status_code: int | None = None,
    error_class: str | None = None,
    late_answer: str | None = None,
) -> None:
    """An attempt at a delivery that is over."""
    row = [delivery_id, attempt_no, outcome, status_code, error_class, late_answer]
    with database.connect() as conn:
        conn.execute(_ATTEMPT.encode(), row)


def give_up(
    database: stack.Database, event_id: str, delivery_id: str, error_class: str = "HttpStatus"
) -> str:
    letter_id = str(uuid_utils.compat.uuid7())
    with database.connect() as conn:
        conn.execute(_LETTER.encode(), [letter_id, event_id, delivery_id, error_class])
    return letter_id


def ask_replay(
    database: stack.Database, event_id: str, replay: int, *, effects: str = "dedupe"
) -> None:
    with database.connect() as conn:
        conn.execute(
            "insert into event_replays (event_id, replay, mode, effects, status_before,"
            " requested_by, reason) values (%s, %s, 'current', %s, 'processed', 'ada', 'a test')",
            [event_id, replay, effects],
        )


def attempt(
    database: stack.Database, event_id: str, *, replay: int = 0, error_class: str | None = None
) -> None:
    """The first attempt of a run at processing."""
    with database.connect() as conn:
        conn.execute(
            "insert into event_attempts (event_id, replay, attempt_no, trigger, status,"
            " error_class, duration_ms, consumer) values (%s, %s, 1, %s, %s, %s, 1, 'c-1')",
            [
                event_id,
                replay,
                "replay" if replay else "received",
                "failed" if error_class else "success",
                error_class,
            ],
        )


def execution(
    database: stack.Database,
    event_id: str,
    version_id: int,
    *,
    replay: int = 0,
    result: str = "applied",
) -> None:
    with database.connect() as conn:
        conn.execute(
            "insert into rule_executions (event_id, replay, attempt_no, version_id, result, shadow,"
            " duration_us) values (%s, %s, 1, %s, %s, false, 7)",
            [event_id, replay, version_id, result],
        )
