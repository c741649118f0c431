"""The only reader of the wall clock. Leases and schedules use the database's clock instead."""

from datetime import UTC, datetime


def now() -> datetime:
    return datetime.now(UTC)
