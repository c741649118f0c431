"""Past events and runs for the tests of replays, written as a consumer would have left them."""

from typing import Any

from tests.fixtures import stack

_EVENTS = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
      payload_hash, traceparent, status)
    select id, 'bulk', id::text, id::text, 1, %s, jsonb_build_object('n', n), sha256(''),
      '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', %s
    from (select uuidv7() as id, n from generate_series(1, %s) as n) t
    returning id::text"""
_RUN = """
    insert into processed_events (aggregate_id, event_type, replay, event_id, topic,
      kafka_partition, kafka_offset, consumer)
    select aggregate_id, event_type, %s, id, 't', 0, nextval('test_offsets'), 'test'
    from events where id = %s"""
_ATTEMPT = """
    insert into event_attempts (event_id, replay, attempt_no, trigger, status, duration_ms,
      consumer)
    values (%s, %s, 1, 'replay', 'success', 1, 'test')"""
_EXECUTION = """
    insert into rule_executions (event_id, replay, attempt_no, version_id, result, shadow,
      error_class, duration_us)
    values (%s, %s, 1, %s, %s, false, case when %s = 'failed' then 'Error' end, 1)"""
_SKIPS = """
    insert into rule_skips (event_id, replay, attempt_no, version_ids, shadows, durations_us)
    values (%s, %s, 1, %s, %s, %s)"""
_FINISH = "update events set status = %s where id = %s and status <> %s"


def insert_events(
    database: stack.Database, *, event_type: str, count: int, status: str = "processed"
) -> list[str]:
    """Ids in their order."""
    rows = database.rows(_EVENTS, event_type, status, count)
    return sorted(row[0] for row in rows)


def apply_run(
    database: stack.Database,
    event_id: str,
    *,
    replay: int = 0,
    results: dict[int, str] | None = None,
    skipped: list[int] | None = None,
    status: str = "processed",
) -> None:
    """A run that a consumer applied: version id to result, and the versions that did not match."""
    with database.connect() as conn:
        conn.execute("create sequence if not exists test_offsets")
        conn.execute(_RUN.encode(), [replay, event_id])
        conn.execute(_ATTEMPT.encode(), [event_id, replay])
        for version_id, result in (results or {}).items():
            values: list[Any] = [event_id, replay, version_id, result, result]
            conn.execute(_EXECUTION.encode(), values)
        if skipped:
            count = len(skipped)
            conn.execute(
                _SKIPS.encode(), [event_id, replay, skipped, [False] * count, [1.0] * count]
            )
        conn.execute(_FINISH.encode(), [status, event_id, status])
