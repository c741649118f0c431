"""One look for everybody who asks within a moment: a hundred open consoles cost what one costs."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from services.api import problems


class Fresh[T]:
    """Owns the newest answer, and its age. Who asks while one is made waits for it and makes none;
    a problem is an answer too, or else each who waits would wait for a database that is away.
    """

    def __init__(self, look: Callable[[], Awaitable[T]], *, seconds: float) -> None:
        self._look = look
        self._seconds = seconds
        self._looking = asyncio.Lock()
        self._found: T | problems.Problem | None = None
        self._made_at = 0.0

    async def get(self) -> T:
        async with self._looking:
            if self._found is None or time.monotonic() - self._made_at > self._seconds:
                try:
                    self._found = await self._look()
                except problems.Problem as problem:
                    self._found = problem
                # After the look, which may take longer than its answer is fresh.
                self._made_at = time.monotonic()
            if isinstance(self._found, problems.Problem):
                raise self._found.with_traceback(None)
            return self._found
