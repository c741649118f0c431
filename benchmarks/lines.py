"""What a benchmark measures how much of, and one row of its table."""

import statistics

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything."""

    rounds: int
    api_seconds: float
    relay_rows: int
    relay_seconds: float
    consumer_events: int
    plain_events: int
    latency_seconds: float
    rule_events: int
    backtest_events: int
    deliveries: int
    ledger_rows: int
    replay_events: int


FULL = Sizes(
    rounds=3,
    api_seconds=5.0,
    relay_rows=200_000,
    relay_seconds=15.0,
    consumer_events=150_000,
    plain_events=10_000,
    latency_seconds=20.0,
    rule_events=60_000,
    backtest_events=1_000_000,
    deliveries=20_000,
    ledger_rows=1_000_000,
    replay_events=50_000,
)
SHORT = Sizes(
    rounds=1,
    api_seconds=2.0,
    relay_rows=30_000,
    relay_seconds=4.0,
    consumer_events=20_000,
    plain_events=2_000,
    latency_seconds=5.0,
    rule_events=6_000,
    backtest_events=50_000,
    deliveries=1_500,
    ledger_rows=20_000,
    replay_events=3_000,
)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table. `values` are the rounds; the median is what counts."""

    claim: str
    unit: str
    values: list[float]
    target: str = ""
    met: bool | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)
