"""Claim: at a steady rate, how long from an order's commit to published, and from 201 to its
effect.

Open loop: requests start by the clock, not after the previous answer, so a stall is not hidden
(coordinated omission). Moments are commit timestamps of Postgres: the order's row, the mark of its
outbox row, its dedupe row; and the client's own clock for the 201. One machine, one clock.
"""

import asyncio
import contextlib
import tempfile
import time
from pathlib import Path

import aiohttp
import msgspec

from benchmarks import servers as bench_servers
from tests.fixtures import deadlines, stack

CLIENT_CONNECTIONS = 64

MOMENTS = """
    select o.id::text,
      extract(epoch from pg_xact_commit_timestamp(o.xmin))::float8,
      extract(epoch from pg_xact_commit_timestamp(b.xmin))::float8,
      extract(epoch from pg_xact_commit_timestamp(p.xmin))::float8
    from orders o
    join outbox b on b.aggregate_id = o.id::text
    join processed_events p on p.aggregate_id = o.id::text and p.event_type = 'order.created'
    where b.published_at is not null"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds, each as (p50, p99); counts verified."""

    rate: int
    orders: int
    errors: int
    achieved_rate: float
    commit_to_published_ms: tuple[float, float]
    answer_to_effect_ms: tuple[float, float]
    request_ms: tuple[float, float]


def measure(servers: stack.Servers, *, rate: int, seconds: float) -> Result:
    """Run api, relay and consumer, offer `rate` orders a second, read the moments back."""
    with (
        tempfile.TemporaryDirectory() as logs,
        bench_servers.fresh_system(servers, Path(logs)) as system,
    ):
        api = system.start_all()
        asyncio.run(_offer(api.url, rate=rate, seconds=2.0))  # caches, plans, connections
        _drained(system.database)
        answers, errors, elapsed = asyncio.run(_offer(api.url, rate=rate, seconds=seconds))
        _drained(system.database)
        moments = system.database.rows(MOMENTS)
    return _result(moments, answers, rate=rate, errors=errors, elapsed=elapsed)


def _result(
    moments: list[tuple[str, float, float, float]],
    answers: dict[str, tuple[float, float]],
    *,
    rate: int,
    errors: int,
    elapsed: float,
) -> Result:
    measured = [row for row in moments if row[0] in answers]
    if len(measured) != len(answers):
        message = f"{len(answers)} orders were answered with 201, {len(measured)} took effect"
        raise RuntimeError(message)
    return Result(
        rate=rate,
        orders=len(measured),
        errors=errors,
        achieved_rate=round(len(measured) / elapsed, 1),
        commit_to_published_ms=_percentiles([row[2] - row[1] for row in measured]),
        answer_to_effect_ms=_percentiles([row[3] - answers[row[0]][1] for row in measured]),
        request_ms=_percentiles([end - begin for begin, end in answers.values()]),
    )


async def _offer(
    api: str, *, rate: int, seconds: float
) -> tuple[dict[str, tuple[float, float]], int, float]:
    """Return per order the moments of its scheduled start and its 201, the errors, the duration."""
    answers: dict[str, tuple[float, float]] = {}
    errors = 0
    total = int(rate * seconds)

    async def one(client: aiohttp.ClientSession, due: float) -> None:
        nonlocal errors
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with client.post("/orders", json=ORDER) as answer:
                body = await answer.json()
                if answer.status == 201:
                    answers[body["id"]] = (due, time.time())
                    return
        errors += 1

    begin = time.time()
    async with (
        aiohttp.ClientSession(
            api,
            connector=aiohttp.TCPConnector(limit=CLIENT_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(10),
        ) as client,
        asyncio.TaskGroup() as group,
    ):
        for number in range(total):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.time()))
            group.create_task(one(client, due))
    return answers, errors, time.time() - begin


ORDER = {"customer_id": "bench", "currency": "EUR", "amount": 1999}


def _drained(database: stack.Database) -> None:
    deadlines.eventually(
        lambda: database.value(
            "select (select count(*) from events) = (select count(*) from processed_events)"
        ),
        deadline_seconds=30,
        what="every accepted order to take effect",
    )


def _percentiles(seconds: list[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return tuple(
        round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000, 2)
        for share in (0.5, 0.99)
    )  # pyright: ignore[reportReturnType] two shares, two numbers
