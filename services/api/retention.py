"""Deletes idempotency keys that are older than their retention, a few rows at a time.

Every api does it. Two at once do not wait for each other: one finds the turn taken and goes on.
"""

from typing import override

import msgspec

from services.api import database_pool, sweeps
from services.api.queries import idempotency as queries
from shared import telemetry

_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How old a key may get, how often somebody looks, how much one look deletes."""

    retention_hours: float
    interval_seconds: float
    batch_rows: int
    batches_max: int


class Retention(sweeps.Sweep):
    """Owns the task that looks now and then."""

    def __init__(self, *, pool: database_pool.Pool, limits: Limits) -> None:
        super().__init__(name="retention", interval_seconds=limits.interval_seconds)
        self._pool = pool
        self._limits = limits

    @override
    async def look(self) -> None:
        deleted = await sweeps.in_batches(
            self._delete, rows=self._limits.batch_rows, batches_max=self._limits.batches_max
        )
        if deleted:
            _log.info("idempotency keys deleted", count=deleted)

    async def _delete(self) -> int:
        async with database_pool.connection(self._pool) as conn:
            return await queries.delete_older(
                conn, hours=self._limits.retention_hours, limit=self._limits.batch_rows
            )
