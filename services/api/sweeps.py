"""What is done now and then, a few rows at a time: the task, its pauses, its bounds."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import override

from services.api import background, problems
from shared import telemetry

_log = telemetry.logger(__name__)


class Sweep(background.Background):
    """Owns a task that looks now and then; a subclass says what a look does."""

    def __init__(self, *, name: str, interval_seconds: float) -> None:
        super().__init__(name=name)
        self._interval_seconds = interval_seconds

    async def look(self) -> None:
        """One look. A Problem (the database is away, say) is logged and the next look comes."""
        raise NotImplementedError

    @override
    async def run(self) -> None:
        while True:
            # Apis that were started together should not all look at the same moment.
            await asyncio.sleep(self._interval_seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.look()
            except problems.Problem as problem:
                _log.warning("not swept", sweep=self._name, problem=problem.slug)


async def in_batches(take: Callable[[], Awaitable[int]], *, rows: int, batches_max: int) -> int:
    """Batch after batch, each its own transaction, until one is not full; how many rows in all."""
    total = 0
    for _ in range(batches_max):
        count = await take()
        total += count
        if count < rows:
            break
    return total
