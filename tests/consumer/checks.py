"""What must hold after the consumer has seen a set of accepted events, as one question each."""

from collections.abc import Sequence

from shared import events
from tests.consumer.samples import Sample
from tests.fixtures import stack
from tests.fixtures.deadlines import eventually


def count(database: stack.Database, table: str, condition: str = "true") -> int:
    return database.value(f"select count(*) from {table} where {condition}")


def wait_processed(database: stack.Database, amount: int, *, deadline_seconds: float = 30) -> None:
    eventually(
        lambda: count(database, "processed_events") >= amount,
        deadline_seconds=deadline_seconds,
        what=f"{amount} processed events",
    )


def each_took_effect_once(database: stack.Database, samples: Sequence[Sample]) -> None:
    """One dedupe row, one successful attempt and one ledger pair where one is due; nothing else."""
    booked = [
        sample
        for sample in samples
        if sample.envelope.source == events.ORDER_SOURCE
        and sample.envelope.event_type in {"order.paid", "order.refunded"}
    ]
    assert count(database, "processed_events") == len(samples)
    assert count(database, "event_attempts", "status = 'success'") == len(samples)
    assert count(database, "events", "status = 'processed'") == len(samples)
    assert count(database, "ledger_entries") == 2 * len(booked)
    assert count(database, "orders", "settled_at is not null") == len(
        {sample.envelope.aggregate_id for sample in booked}
    )
    assert (
        database.value(
            "select coalesce(sum(case side when 'debit' then amount else -amount end), 0)"
            " from ledger_entries"
        )
        == 0
    )
    assert count(database, "waiting_events") == 0
