"""The limit of deliveries: a plain aiohttp loop that posts the same bodies and records nothing.

`python -m benchmarks.plain_sender FILE CONCURRENCY`: a line of FILE is a URL, a blank, an id, a
blank, a body. Prints one JSON line. It runs in a process of its own, like the dispatcher.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp

CONCURRENCY_MAX = 1000
SECONDS_MAX = 300.0


async def run(lines: list[bytes], concurrency: int) -> float:
    """Post every line once; returns the seconds."""
    left = iter(lines)
    timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_post(session, left))
        return time.perf_counter() - started


async def _post(session: aiohttp.ClientSession, lines: Iterator[bytes]) -> None:
    for line in lines:
        url, webhook_id, body = line.split(b" ", 2)
        headers = {"content-type": "application/json", "webhook-id": webhook_id.decode()}
        async with session.post(url.decode(), data=body, headers=headers) as response:
            await response.read()
            assert response.status == 200, response.status


if __name__ == "__main__":
    _, path_, concurrency_ = sys.argv
    lines_ = Path(path_).read_bytes().splitlines()
    seconds_ = asyncio.run(run(lines_, min(int(concurrency_), CONCURRENCY_MAX)))
    print(json.dumps({"requests": len(lines_), "seconds": seconds_}))
