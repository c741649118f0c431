"""What an api keeps in memory of the database: it hears of changes on a connection of its own, and
looks at their version every second besides, so that a lost notification costs that second.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any, override

from services.api import background, database_pool
from shared import database, telemetry

POLL_SECONDS = 1.0
STALE_SECONDS = 10.0

_START_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5
_log = telemetry.logger(__name__)

type Conn = database.AsyncConnection[Any]


class Watched(background.Background):
    """Owns the task that keeps it; a subclass says what is read when the version moved."""

    def __init__(
        self,
        *,
        name: str,
        dsn: str,
        statement_seconds: float,
        listen: Callable[[Conn], Awaitable[None]],
        read_version: Callable[[Conn], Awaitable[int]],
    ) -> None:
        super().__init__(name=name)
        self._dsn = dsn
        self._statement_seconds = statement_seconds
        self._listen = listen
        self._read_version = read_version
        self._version: int | None = None
        self._changed = asyncio.Event()  # set and replaced whenever the version moves
        self._looked_at: float | None = None

    async def refresh(self, conn: Conn) -> None:
        """Read everything again."""
        raise NotImplementedError

    async def after_look(self, conn: Conn, *, version: int, changed: bool) -> None:
        """What else is to be written now and then."""

    @property
    def fresh(self) -> bool:
        """Whether a change would have been seen by now."""
        looked_at = self._looked_at
        return looked_at is not None and time.monotonic() - looked_at < STALE_SECONDS

    async def wait(self) -> None:
        """Return after the first look; without Postgres after five seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                await self._changed.wait()

    async def reach(self, version: int) -> None:
        """Return when a change is in force here, so that who made it finds it so; after a second
        in any case.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                while self._version is None or self._version < version:
                    await self._changed.wait()

    @override
    async def run(self) -> None:
        while True:
            try:
                conn = await database.connect_async(
                    self._dsn, application_name=f"oncely-api-{self.name}", autocommit=True
                )
                async with conn:
                    await self._watch(conn)
            except database.Error as error:
                _log.warning("connection lost", task=self.name, error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    def _bounded(self, conn: Conn) -> contextlib.AbstractContextManager[None]:
        """A server that is frozen ends the statement by losing its connection."""
        return database_pool.bounded(conn, self._statement_seconds)

    async def _watch(self, conn: Conn) -> None:
        with self._bounded(conn):
            await self._listen(conn)
        while True:
            await self._look(conn)
            async for _ in conn.notifies(timeout=POLL_SECONDS, stop_after=1):
                pass

    async def _look(self, conn: Conn) -> None:
        with self._bounded(conn):
            version = await self._read_version(conn)
        changed = version != self._version
        if changed:
            await self.refresh(conn)
            self._version = version
            self._changed.set()
            self._changed = asyncio.Event()
        self._looked_at = time.monotonic()
        await self.after_look(conn, version=version, changed=changed)
