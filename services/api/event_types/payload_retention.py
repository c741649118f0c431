"""Empties the data of events that are older than their type's retention, a few rows at a time.

Every api does it. The type's row is the turn: of two at once, one finds it taken and goes on.
"""

from functools import partial
from typing import override

import msgspec

from services.api import database_pool, sweeps
from services.api.queries import event_types as queries
from shared import telemetry

_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody looks, and how much one look empties of each type."""

    interval_seconds: float
    batch_rows: int
    batches_max: int


class PayloadRetention(sweeps.Sweep):
    """Owns the task that looks now and then."""

    def __init__(self, *, pool: database_pool.Pool, limits: Limits) -> None:
        super().__init__(name="payload-retention", interval_seconds=limits.interval_seconds)
        self._pool = pool
        self._limits = limits

    @override
    async def look(self) -> None:
        async with database_pool.connection(self._pool) as conn:
            event_types = await queries.list_retained(conn)
        for event_type in event_types:
            looked_at = await sweeps.in_batches(
                partial(self._expire, event_type),
                rows=self._limits.batch_rows,
                batches_max=self._limits.batches_max,
            )
            if looked_at:
                _log.info("old payloads looked at", type=event_type, count=looked_at)

    async def _expire(self, event_type: str) -> int:
        async with database_pool.connection(self._pool) as conn:
            return await queries.expire_payloads(
                conn, event_type=event_type, rows=self._limits.batch_rows
            )
