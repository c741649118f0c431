"""Feed real webhooks, duplicates and all, and report one effect for each.

    python -m benchmarks.real_events [--api http://localhost:3000] [--copies 3]

Every payload is posted `copies` times in random order by 32 clients at once, and then each kind's
payloads once more under one shared id, which must give conflicts. Exit status 1: a count is off.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from typing import Any

import aiohttp
import msgspec

from benchmarks import github_webhooks

CLIENTS = 32
DRAIN_SECONDS = 60.0
SOURCE = "github"


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent and what came of it."""

    payloads: int
    distinct: int
    posted: int
    created: int
    duplicates: int
    conflicts: int
    conflicts_expected: int
    other_answers: int
    processed: int
    received_counts_right: int
    applied_once: int
    seconds: float

    @property
    def holds(self) -> bool:
        return (
            self.created == self.distinct == self.processed == self.applied_once
            and self.received_counts_right == self.distinct
            and self.duplicates == self.posted - self.distinct
            and self.conflicts == self.conflicts_expected
            and self.other_answers == 0
        )


async def run(api: str, *, copies: int, seed: int) -> Report:
    """Post, wait until all is processed, count."""
    webhooks = github_webhooks.load()
    sends = [webhook for webhook in webhooks for _ in range(copies)]
    random.Random(seed).shuffle(sends)
    expected = Counter(webhook.external_id for webhook in sends)
    run_id = f"{SOURCE}-{time.time_ns()}"
    begin = time.monotonic()
    async with aiohttp.ClientSession(
        api, connector=aiohttp.TCPConnector(limit=CLIENTS), timeout=aiohttp.ClientTimeout(30)
    ) as client:
        answers = Counter(await _post_all(client, sends, source=run_id))
        conflicts, wanted = await _provoke_conflicts(client, webhooks, source=f"{run_id}-conflict")
        states = await _drained(client, expected, source=run_id)
    return Report(
        payloads=len(webhooks),
        distinct=len(expected),
        posted=len(sends),
        created=answers[201],
        duplicates=answers[200],
        conflicts=conflicts,
        conflicts_expected=wanted,
        other_answers=len(sends) - answers[200] - answers[201],
        processed=sum(state["status"] == "processed" for state in states.values()),
        received_counts_right=sum(
            state["received_count"] == expected[name] for name, state in states.items()
        ),
        applied_once=sum(state["applied"] == 1 for state in states.values()),
        seconds=round(time.monotonic() - begin, 2),
    )


async def _post_all(
    client: aiohttp.ClientSession, sends: list[github_webhooks.Webhook], *, source: str
) -> list[int]:
    gate = asyncio.Semaphore(CLIENTS)

    async def post(webhook: github_webhooks.Webhook) -> int:
        async with gate:
            return await _post(client, webhook, source=source, external_id=webhook.external_id)

    return await asyncio.gather(*map(post, sends))


async def _post(
    client: aiohttp.ClientSession,
    webhook: github_webhooks.Webhook,
    *,
    source: str,
    external_id: str,
) -> int:
    body = {
        "id": external_id,
        "source": source,
        "type": f"github.{webhook.kind}",
        "data": webhook.payload,
    }
    async with client.post("/events", json=body) as answer:
        await answer.read()
        return answer.status


async def _provoke_conflicts(
    client: aiohttp.ClientSession, webhooks: list[github_webhooks.Webhook], *, source: str
) -> tuple[int, int]:
    """One id per kind: the first payload is the event, every other one is a conflict."""
    first: dict[str, str] = {}
    conflicts = wanted = 0
    for webhook in webhooks:
        original = first.setdefault(webhook.kind, webhook.external_id)
        wanted += original != webhook.external_id
        status = await _post(client, webhook, source=source, external_id=webhook.kind)
        conflicts += status == 409
    return conflicts, wanted


async def _drained(
    client: aiohttp.ClientSession, expected: Counter[str], *, source: str
) -> dict[str, dict[str, Any]]:
    deadline = time.monotonic() + DRAIN_SECONDS
    states: dict[str, dict[str, Any]] = {}
    while time.monotonic() < deadline:
        waiting = [name for name in expected if states.get(name, {}).get("status") != "processed"]
        if not waiting:
            break
        for name in waiting:
            states[name] = await _state(client, name, source=source)
        await asyncio.sleep(0.2)
    return states


async def _state(client: aiohttp.ClientSession, name: str, *, source: str) -> dict[str, Any]:
    async with client.get(f"/events/{name}", params={"by": "external", "source": source}) as answer:
        event = await answer.json()
    async with client.get(f"/events/{event['id']}/attempts") as answer:
        attempts = (await answer.json())["attempts"]
    applied = sum(attempt["status"] == "success" for attempt in attempts)
    return {**event, "applied": applied}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api", default="http://localhost:3000", help="address of a running api")
    parser.add_argument("--copies", type=int, default=3, help="how often each payload is posted")
    parser.add_argument("--seed", type=int, default=1, help="order of the posts")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    report = asyncio.run(run(arguments.api, copies=arguments.copies, seed=arguments.seed))
    if arguments.json:
        print(msgspec.json.encode(report).decode())
    else:
        for name, value in msgspec.structs.asdict(report).items():
            print(f"{name.replace('_', ' '):24} {value}")
        print("one effect for each" if report.holds else "A COUNT IS OFF", file=sys.stderr)
    return 0 if report.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
