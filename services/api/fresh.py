"""One look for everybody who asks within a moment: a hundred open consoles cost what one costs."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from services.api import problems


class Fresh[T]:
    """Owns the newest answer, and its age. It serves who asked before its look began, and who asks
    within `seconds` after it was made (0: nobody, so that everybody sees what he wrote). One look
    at a time. A problem is an answer too, or else each who waits would wait for a database that is
    away.
    """

    def __init__(self, look: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._looking = asyncio.Lock()
        self._found: T | problems.Problem | None = None
        self._began_at = 0.0
        self._made_at = 0.0

    async def get(self) -> T:
        asked_at = time.monotonic()
        async with self._looking:
            if not self._serves(asked_at):
                began_at = time.monotonic()
                try:
                    self._found = await self._look()
                except problems.Problem as problem:
                    self._found = problem
                # Both after the look: it may be cancelled, and may take longer than it is fresh.
                self._began_at, self._made_at = began_at, time.monotonic()
            if isinstance(self._found, problems.Problem):
                raise self._found.with_traceback(None)
            assert self._found is not None  # it was looked at above, now or before
            return self._found

    def _serves(self, asked_at: float) -> bool:
        is_young = time.monotonic() - self._made_at <= self._seconds
        return self._found is not None and (is_young or self._began_at >= asked_at)
