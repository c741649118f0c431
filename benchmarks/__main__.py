"""`make bench`: every claim beside its peer or limit, interleaved, medians, counts verified.

    python -m benchmarks [--short] [--rounds 3] [--only CLAIM ...] [--json FILE]

A rate here means nothing by itself: read the ratio to what ran in the same minutes on the same
machine. Exit status 1 when a target is missed (0 with --short, whose runs are too brief to judge).
"""

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from benchmarks import (
    api,
    backtest,
    consumer,
    deliveries,
    fairness,
    latency,
    ledger,
    plain_consumer,
    relay,
    replays,
    rules,
    watchers,
)
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, SHORT, Line, Sizes
from tests.fixtures import stack

CLAIMS = (
    "api",
    "relay",
    "consumer",
    "latency",
    "rules",
    "backtest",
    "deliveries",
    "fairness",
    "ledger",
    "replays",
    "live",
)


def main() -> int:
    arguments = _arguments()
    sizes = SHORT if arguments.short else FULL
    if arguments.rounds:
        sizes = msgspec.structs.replace(sizes, rounds=arguments.rounds)
    began = time.monotonic()
    say = Console(stderr=True)
    with say.status("starting Postgres and Kafka") as status, bench_servers.running() as servers:
        lines: list[Line] = []
        for name in arguments.only or CLAIMS:
            status.update(f"measuring {name}: {sizes.rounds} round(s), interleaved")
            say.print(f"[dim]measuring {name}[/dim]")
            lines += MEASURES[name](servers, sizes)
    _print(lines, sizes, seconds=time.monotonic() - began)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.encode(lines))
    return int(not arguments.short and any(line.met is False for line in lines))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--short", action="store_true", help="one brief round of everything")
    parser.add_argument("--rounds", type=int, help="rounds of every contender")
    parser.add_argument("--only", nargs="+", choices=CLAIMS, help="some of the claims")
    parser.add_argument("--json", type=Path, help="also write every figure to this file")
    return parser.parse_args()


def _measure_api(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    api.prepare(servers)
    runs: dict[str, list[api.Run]] = {mode: [] for mode in (*api.MODES, api.PGBENCH)}
    for _ in range(sizes.rounds):
        for mode, measured in runs.items():
            measured.append(api.measure(servers, mode, connections=64, seconds=sizes.api_seconds))
    ours, single, pgbench = (
        statistics.median(run.rate for run in runs[mode])
        for mode in (api.COALESCED, api.SINGLE, api.PGBENCH)
    )
    lines = [
        Line(
            claim=f"POST /orders, {mode}",
            unit="orders/s",
            values=[run.rate for run in measured],
            note=_api_note(measured, with_api=mode != api.PGBENCH),
        )
        for mode, measured in runs.items()
    ]
    return [
        *lines,
        Line(
            claim="coalesced / one transaction per request",
            unit="ratio",
            values=[ours / single],
            target=">= 3",
            met=ours / single >= 3,
        ),
        Line(claim="coalesced / pgbench, same SQL", unit="ratio", values=[ours / pgbench]),
    ]


def _api_note(measured: list[api.Run], *, with_api: bool) -> str:
    p50, p99, app, postgres = (
        statistics.median(getattr(run, name) for run in measured)
        for name in ("p50_ms", "p99_ms", "app_us", "postgres_us")
    )
    if not with_api:  # pgbench tells a mean and no percentiles
        return f"mean {p50:.1f} ms; CPU per order: postgres {postgres:.0f} us"
    return (
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms; "
        f"CPU per order: api {app:.0f} us, postgres {postgres:.0f} us"
    )


def _measure_relay(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    ours: list[relay.Drain] = []
    poller: list[relay.Drain] = []
    for _ in range(sizes.rounds):
        ours.append(relay.drain_ours(servers, rows=sizes.relay_rows))
        poller.append(relay.drain_poller(servers, rows=sizes.relay_rows))
    steady = [
        relay.latency(servers, rate=1_000, seconds=sizes.relay_seconds) for _ in range(sizes.rounds)
    ]
    rate = statistics.median(run.rate for run in ours)
    peer = statistics.median(run.rate for run in poller)
    p50 = statistics.median(run.p50_ms for run in steady)
    p99 = statistics.median(run.p99_ms for run in steady)
    return [
        Line(
            claim=f"relay drains {sizes.relay_rows:,} rows, order and fencing",
            unit="rows/s",
            values=[run.rate for run in ours],
            target=">= 40,000",
            met=rate >= 40_000,
            note=_cores(ours[-1].cores),
        ),
        Line(
            claim="40-line poller, no order, no dead letters",
            unit="rows/s",
            values=[run.rate for run in poller],
            note=_cores(poller[-1].cores),
        ),
        Line(claim="relay / poller", unit="ratio", values=[rate / peer]),
        Line(
            claim="commit to acknowledged at 1,000/s, p50",
            unit="ms",
            values=[run.p50_ms for run in steady],
            target="< 4",
            met=p50 < 4,
            note=_cores(steady[-1].cores),
        ),
        Line(
            claim="commit to acknowledged at 1,000/s, p99",
            unit="ms",
            values=[run.p99_ms for run in steady],
            target="< 10",
            met=p99 < 10,
        ),
    ]


def _measure_consumer(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    ours: list[consumer.Result] = []
    plain: list[float] = []
    for _ in range(sizes.rounds):
        ours.append(consumer.run(servers, count=sizes.consumer_events))
        plain.append(plain_consumer.run(servers, count=sizes.plain_events))
    rate = statistics.median(run.per_second for run in ours)
    return [
        Line(
            claim=f"consumer applies {sizes.consumer_events:,} events with history",
            unit="events/s",
            values=[run.per_second for run in ours],
            target=">= 20,000",
            met=rate >= 20_000,
            note=f"CPU per event: consumer {ours[-1].consumer_cpu_us:.0f} us, "
            f"postgres {ours[-1].postgres_cpu_us:.0f} us",
        ),
        Line(
            claim="plain loop, same rows, one transaction per record",
            unit="events/s",
            values=plain,
        ),
        Line(claim="consumer / plain loop", unit="ratio", values=[rate / statistics.median(plain)]),
    ]


def _measure_latency(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    results = [
        latency.measure(servers, rate=500, seconds=sizes.latency_seconds)
        for _ in range(sizes.rounds)
    ]
    p99 = statistics.median(run.answer_to_effect_ms[1] for run in results)
    errors = sum(run.errors for run in results)
    wanted: Sequence[tuple[str, Callable[[latency.Result], float], str, bool | None]] = (
        ("request, p50", lambda run: run.request_ms[0], "", None),
        ("request, p99", lambda run: run.request_ms[1], "", None),
        ("commit to marked, p50", lambda run: run.commit_to_published_ms[0], "", None),
        ("commit to marked, p99", lambda run: run.commit_to_published_ms[1], "", None),
        ("201 to effect, p50", lambda run: run.answer_to_effect_ms[0], "", None),
        ("201 to effect, p99", lambda run: run.answer_to_effect_ms[1], "< 60", p99 < 60),
    )
    return [
        Line(
            claim=f"steady 500 orders/s: {name}",
            unit="ms",
            values=[read(run) for run in results],
            target=target,
            met=met,
            note=f"{results[-1].orders} orders, {errors} errors" if target else "",
        )
        for name, read, target, met in wanted
    ]


MEASURES: dict[str, Callable[[stack.Servers, Sizes], list[Line]]] = {
    "api": _measure_api,
    "relay": _measure_relay,
    "consumer": _measure_consumer,
    "latency": _measure_latency,
    "rules": rules.measure,
    "backtest": backtest.measure,
    "deliveries": deliveries.measure,
    "fairness": fairness.measure,
    "ledger": ledger.measure,
    "replays": replays.measure,
    "live": watchers.measure,
}


def _cores(cores: dict[str, float]) -> str:
    return "cores: " + ", ".join(f"{name} {used:.2f}" for name, used in cores.items())


def _print(lines: list[Line], sizes: Sizes, *, seconds: float) -> None:
    table = Table(title=_title(sizes), title_justify="left")
    for name in ("claim", "median", "min .. max", "target", "note"):
        table.add_column(name, overflow="fold")
    for line in lines:
        mark = {True: " met", False: " MISSED", None: ""}[line.met]
        table.add_row(
            line.claim,
            f"{_number(line.median)} {line.unit}",
            f"{_number(min(line.values))} .. {_number(max(line.values))}",
            f"{line.target}{mark}",
            line.note,
        )
    width = None if sys.stdout.isatty() else 160
    Console(width=width).print(table)
    print(f"{seconds:.0f} s; every run verified its row counts")


def _title(sizes: Sizes) -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = psutil.getloadavg()[0]
    return (
        f"{psutil.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}, "
        f"Postgres 18 (fsync on), Kafka 4.3.1, one node; {sizes.rounds} round(s); load {load:.1f}"
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}"


if __name__ == "__main__":
    raise SystemExit(main())
