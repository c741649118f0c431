"""What a handler whose answer is streamed may ask of the front: time, and a word at the end."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Streaming:
    """Of one request. An answer that is cut off leaves its generator where it stands, so what must
    be given back is given back here.
    """

    def __init__(self, bound: asyncio.Timeout) -> None:
        self._bound = bound
        self._at_end: list[Callable[[], None]] = []

    def extend(self, seconds: float) -> None:
        """The next piece may take so long, from now on."""
        self._bound.reschedule(asyncio.get_running_loop().time() + seconds)

    def at_end(self, call: Callable[[], None]) -> None:
        self._at_end.append(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for call in self._at_end:
            call()
