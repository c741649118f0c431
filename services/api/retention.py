"""Deletes idempotency keys that are older than their retention, a few rows at a time.

Every api does it. Two at once do not wait for each other: one finds the turn taken and goes on.
"""

import asyncio
import contextlib
import random

import msgspec

from services.api import database_pool, problems
from services.api.queries import idempotency as queries
from shared import telemetry

_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How old a key may get, how often somebody looks, how much one look deletes."""

    retention_hours: float
    interval_seconds: float
    batch_rows: int
    batches_max: int


class Retention:
    """Owns the task that looks now and then."""

    def __init__(self, *, pool: database_pool.Pool, limits: Limits) -> None:
        self._pool = pool
        self._limits = limits
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="retention")

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
                deleted = await self._sweep()
            except problems.Problem as problem:
                _log.warning("idempotency keys were not swept", problem=problem.slug)
            else:
                if deleted:
                    _log.info("idempotency keys deleted", count=deleted)

    async def _sweep(self) -> int:
        """Delete batch after batch, each its own transaction, until none is full."""
        deleted = 0
        for _ in range(self._limits.batches_max):
            async with database_pool.connection(self._pool) as conn:
                count = await queries.delete_older(
                    conn, hours=self._limits.retention_hours, limit=self._limits.batch_rows
                )
            deleted += count
            if count < self._limits.batch_rows:
                break
        return deleted
