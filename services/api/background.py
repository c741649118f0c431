"""A task that belongs to an object for as long as the service runs."""

import asyncio
import contextlib

from shared import telemetry

_log = telemetry.logger(__name__)


class Background:
    """Owns one task; a subclass says what it does."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._died = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def died(self) -> bool:
        """It met an error that nobody foresaw, and does nothing any more: the api is not ready."""
        return self._died

    async def run(self) -> None:
        """The body of the task; ended by close, wherever it is."""
        raise NotImplementedError

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001 nobody awaits this task before the end
            self._died = True
            _log.error("background task died", task=self._name, exc_info=error)
