"""The hot statements keep to their indexes, with statistics of an empty table and with none."""

from typing import Any

import pytest

from services.consumer import columns, records
from services.consumer.queries import batch, waiting
from shared import database as shared_database
from tests.consumer import samples
from tests.fixtures import stack


def _events(amount: int) -> list[records.Event]:
    decoded = [records.decode(samples.ingested().record_at(number)) for number in range(amount)]
    return [event for event in decoded if isinstance(event, records.Event)]


def _plan_of(conn: shared_database.Connection[Any], statement: str, bound: dict[str, Any]) -> str:
    explained = b"explain (costs off) " + statement.encode()
    return "\n".join(row[0] for row in conn.execute(explained, bound).fetchall())


@pytest.mark.parametrize(
    "statement", ["apply", "apply_again", "explain_leftovers", "find_open", "mark_events"]
)
def test_a_batch_probes_indexes_and_scans_no_table(
    database: stack.Database, statement: str
) -> None:
    found = _events(500)
    bound: dict[str, Any] = {
        **columns.of_records(found),
        "consumer": "c",
        "duration_ms": 0.1,
        "status": "failed",
        "from_statuses": ["pending"],
    }
    text = {
        "apply": batch.APPLY,
        "apply_again": batch.APPLY_AGAIN,
        "explain_leftovers": batch.EXPLAIN_LEFTOVERS,
        "find_open": batch.FIND_OPEN,
        "mark_events": batch.MARK_EVENTS,
    }[statement]
    with shared_database.connect(
        database.url("oncely_consumer"), application_name="test", autocommit=True
    ) as conn:
        batch.pin_plans(conn)
        plan = _plan_of(conn, text, bound)

    assert "Seq Scan" not in plan
    assert "events_pkey" in plan
    if statement == "explain_leftovers":
        assert "processed_events_pkey" in plan
        assert "dead_letters_once_per_record" in plan


def test_waiting_rows_are_found_by_time_and_by_key(database: stack.Database) -> None:
    bound = {"owned": ["t/0"], "topics": ["t"], "partitions": [0], "keys": ["k"], "limit": 500}
    with shared_database.connect(
        database.url("oncely_consumer"), application_name="test", autocommit=True
    ) as conn:
        batch.pin_plans(conn)
        due = _plan_of(conn, waiting.TAKE_DUE_HEADS, bound)
        keys = _plan_of(conn, waiting.FIND_WAITING_KEYS, bound)

        requests = _plan_of(conn, waiting.TAKE_REQUEST, bound)

    assert "waiting_events_due" in due
    assert "waiting_events_by_key" in due
    assert "waiting_events_by_key" in keys
    assert "dead_letters_requested" in requests
    assert "Seq Scan" not in due + keys + requests
