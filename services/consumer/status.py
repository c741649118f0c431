"""What the probes say: the loops turn, the group is joined, the backlog moves, servers answer."""

import time
from collections.abc import Callable
from typing import Any

from shared import health


class Status:
    """Written by the two threads, read by the probes; each field has one writer."""

    def __init__(self, *, silence_seconds_max: float, stall_seconds: float) -> None:
        self.kafka_loop = health.Heartbeat(silent_seconds_max=silence_seconds_max)
        self.database_loop = health.Heartbeat(silent_seconds_max=silence_seconds_max)
        self.joined = False
        self.partitions = 0
        self.lag = 0
        self.kafka_error = "not connected yet"
        self.database_error = "not connected yet"
        self.crash = ""
        self.rules = 0
        self.rules_version = 0
        self.faults: Callable[[], list[str]] = list
        self._stall_seconds = stall_seconds
        self._moved_at = time.monotonic()

    def moved(self) -> None:
        """Records were applied, or there is nothing to apply."""
        self._moved_at = time.monotonic()

    @property
    def alive(self) -> bool:
        return not self.crash and self.kafka_loop.alive and self.database_loop.alive

    def readiness(self) -> health.Readiness:
        reasons: list[str] = []
        if self.crash:
            reasons.append(f"stopping: {self.crash}")
        if self.database_error:
            reasons.append(f"postgres: {self.database_error}")
        if self.kafka_error:
            reasons.append(f"kafka: {self.kafka_error}")
        if not self.joined:
            reasons.append("the consumer group is not joined")
        silent = time.monotonic() - self._moved_at
        if self.lag > 0 and silent > self._stall_seconds:
            reasons.append(f"{self.lag} records wait and none was applied for {silent:.0f} s")
        detail: dict[str, Any] = {
            "partitions": self.partitions,
            "lag": self.lag,
            "rules": self.rules,
            "rules_version": self.rules_version,
        }
        if knobs := self.faults():
            detail |= {"degraded": "faults active", "faults": knobs}
        return health.Readiness(ready=not reasons, reasons=reasons, detail=detail)
