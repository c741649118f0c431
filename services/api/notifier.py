"""Wakes the relay after commits: at most one notification per interval, on a connection of its own.

Losing one costs the relay its poll interval and nothing else, so no request ever waits for this.
"""

import asyncio
from typing import Any, override

from services.api import background, database_pool
from services.api.queries import health as queries
from shared import database, telemetry

_RECONNECT_SECONDS = 1.0
_SEND_SECONDS = 5.0
_log = telemetry.logger(__name__)


class Notifier(background.Background):
    """`wake` costs a flag; the task sends."""

    def __init__(self, *, dsn: str, interval_ms: int) -> None:
        super().__init__(name="notifier")
        self._dsn = dsn
        self._interval_seconds = interval_ms / 1000
        self._due = asyncio.Event()

    def wake(self) -> None:
        self._due.set()

    @override
    async def run(self) -> None:
        while True:
            try:
                conn = await database.connect_async(
                    self._dsn, application_name="oncely-api-notifier", autocommit=True
                )
                async with conn:
                    await self._send(conn)
            except database.Error as error:
                _log.warning("notifier lost its connection", error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _send(self, conn: database.AsyncConnection[Any]) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            with database_pool.bounded(conn, _SEND_SECONDS):
                await queries.notify(conn, channel=database.OUTBOX_CHANNEL)
            await asyncio.sleep(self._interval_seconds)
