"""Empties the data of events that are older than their type's retention, a few rows at a time.

Every api does it. The type's row is the turn: of two at once, one finds it taken and goes on.
"""

import asyncio
import contextlib
import random

import msgspec

from services.api import database_pool, problems
from services.api.queries import event_types as queries
from shared import telemetry

_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often somebody looks, and how much one look empties of each type."""

    interval_seconds: float
    batch_rows: int
    batches_max: int


class PayloadRetention:
    """Owns the task that looks now and then."""

    def __init__(self, *, pool: database_pool.Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="payload-retention")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            # Apis that were started together should not all look at the same moment.
            await asyncio.sleep(self._limits.interval_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                async with database_pool.connection(self._pool) as conn:
                    event_types = await queries.list_retained(conn)
                for event_type in event_types:
                    await self._sweep(event_type)
            except problems.Problem as problem:
                _log.warning("payloads were not swept", problem=problem.slug)

    async def _sweep(self, event_type: str) -> None:
        """Batch after batch, each its own transaction, until none is full."""
        looked_at = 0
        for _ in range(self._limits.batches_max):
            async with database_pool.connection(self._pool) as conn:
                count = await queries.expire_payloads(
                    conn, event_type=event_type, rows=self._limits.batch_rows
                )
            looked_at += count
            if count < self._limits.batch_rows:
                break
        if looked_at:
            _log.info("old payloads looked at", type=event_type, count=looked_at)
