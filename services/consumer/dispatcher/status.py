"""What the probes say: the loop turns, Postgres answers, due deliveries do not rest."""

from collections.abc import Callable
from typing import Any

from services.consumer.dispatcher import links
from shared import health


class Status:
    """Written by the event loop, read by the probes' thread."""

    def __init__(
        self, *, links: list[links.Link], silence_seconds_max: float, stall_seconds: float
    ) -> None:
        self.loop = health.Heartbeat(silent_seconds_max=silence_seconds_max)
        self.in_flight = 0
        self.confirmed = 0
        self.pending = 0
        self.unknown = 0
        self.rests_seconds = 0.0
        self.crash = ""
        self.faults: Callable[[], list[str]] = list
        self._links = links
        self._stall_seconds = stall_seconds

    @property
    def alive(self) -> bool:
        return not self.crash and self.loop.alive

    def readiness(self) -> health.Readiness:
        reasons = [f"postgres: {found}" for found in {link.error for link in self._links} if found]
        if self.crash:
            reasons.append(f"stopping: {self.crash}")
        if self.rests_seconds > self._stall_seconds:
            reasons.append(
                f"a due delivery rests for {self.rests_seconds:.0f} s though nothing holds it back"
            )
        detail: dict[str, Any] = {
            "in_flight": self.in_flight,
            "pending": self.pending,
            "unknown": self.unknown,
        }
        if knobs := self.faults():
            detail |= {"degraded": "faults active", "faults": knobs}
        return health.Readiness(ready=not reasons, reasons=reasons, detail=detail)
