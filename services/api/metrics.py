"""Counts and durations of requests, cheap enough for every request: a list and a dict here,
OpenTelemetry at scrape.

One OpenTelemetry record costs 7 us, a third of a hot request; so durations are kept in buckets of
our own and the
counter is told the difference when somebody looks.
"""

from bisect import bisect_left

from prometheus_client import REGISTRY
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from shared import telemetry

type Label = tuple[str, str]  # route template, status class

_BOUNDS = telemetry.SECONDS_BUCKETS


class RequestMetrics(Collector):
    """One per process; routes are templates, so the number of labels is that of the routes."""

    def __init__(self) -> None:
        self._buckets: dict[Label, list[int]] = {}
        self._sums: dict[Label, float] = {}
        self._told: dict[Label, int] = {}
        self._requests = telemetry.counter("oncely.http.requests")

    def record(self, route: str, status: int, seconds: float) -> None:
        label = (route, f"{status // 100}xx")
        counts = self._buckets.get(label)
        if counts is None:
            counts = self._buckets[label] = [0] * (len(_BOUNDS) + 1)
            self._sums[label] = 0.0
        counts[bisect_left(_BOUNDS, seconds)] += 1
        self._sums[label] += seconds

    def flush(self) -> None:
        """Bring the counter up to date; called when /metrics is read."""
        for label, counts in self._buckets.items():
            total = sum(counts)
            self._requests.add(
                total - self._told.get(label, 0), {"route": label[0], "status": label[1]}
            )
            self._told[label] = total

    def register(self) -> None:
        REGISTRY.register(self)

    def unregister(self) -> None:
        REGISTRY.unregister(self)

    def collect(self) -> list[HistogramMetricFamily]:
        """Called by the Prometheus registry."""
        family = HistogramMetricFamily(
            "oncely_http_duration",
            "Seconds from first byte to answer, by route and status class.",
            labels=["route", "status"],
        )
        for label, counts in list(self._buckets.items()):
            running = 0
            buckets: list[tuple[str, float]] = []
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), list(counts), strict=True):
                running += count
                buckets.append((bound, running))
            family.add_metric(label, buckets, self._sums[label])
        return [family]
