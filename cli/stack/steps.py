"""What a start says about its progress, so that any front end can show it."""

from collections.abc import Callable
from typing import Literal

import msgspec


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of progress."""

    name: str
    state: Literal["started", "progress", "done", "failed", "note"]
    detail: str = ""
    seconds: float = 0.0
    done: int = 0
    total: int = 0


type Report = Callable[[Step], None]
