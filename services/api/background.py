"""A task that belongs to an object for as long as the service runs."""

import asyncio
import contextlib


class Background:
    """Owns one task; a subclass says what it does."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """The body of the task; ended by close, wherever it is."""
        raise NotImplementedError

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=self._name)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
