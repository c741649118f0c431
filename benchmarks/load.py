"""A cheap HTTP/1.1 load generator: `python -m benchmarks.load URL PATH CONNECTIONS SECONDS BODY`.

Raw keep-alive connections, one request in flight on each, for a bounded time; prints one JSON line
with counts by status and latencies. It runs in a process of its own.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from typing import cast, override
from urllib.parse import urlsplit

import uvloop

CONNECTIONS_MAX = 512
SECONDS_MAX = 60.0


class Connection(asyncio.Protocol):
    """Sends the next request when the whole answer to the last one is here."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future[None]) -> None:
        self._request = request
        self._until = until
        self._done = done
        self._received = b""
        self._sent_at = 0.0
        self.statuses: Counter[int] = Counter()
        self.latencies: list[float] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    @override
    def data_received(self, data: bytes) -> None:
        received = self._received + data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0:
            self._received = received
            return
        start = received.find(b"content-length: ") + 16
        length = int(received[start : received.find(b"\r\n", start)])
        if len(received) < head_end + 4 + length:
            self._received = received
            return
        self._received = b""
        self.statuses[int(received[9:12])] += 1
        now = time.perf_counter()
        self.latencies.append(now - self._sent_at)
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(self._request)


async def run(url: str, path: str, connections: int, seconds: float, body: bytes) -> None:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    request = (
        f"POST {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made: list[Connection] = []
    waits: list[asyncio.Future[None]] = []
    for _ in range(connections):
        done: asyncio.Future[None] = loop.create_future()
        connection = Connection(request, started + seconds, done)
        await loop.create_connection(lambda c=connection: c, parts.hostname, parts.port)
        made.append(connection)
        waits.append(done)
    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*waits)
    elapsed = time.perf_counter() - started
    latencies = sorted(latency for c in made for latency in c.latencies)
    statuses: Counter[int] = Counter()
    for connection in made:
        statuses.update(connection.statuses)
    print(
        json.dumps(
            {
                "statuses": {str(status): count for status, count in statuses.items()},
                "seconds": elapsed,
                "p50_ms": 1000 * latencies[len(latencies) // 2],
                "p99_ms": 1000 * latencies[len(latencies) * 99 // 100],
            }
        )
    )


if __name__ == "__main__":
    _, url_, path_, connections_, seconds_, body_ = sys.argv
    uvloop.run(
        run(
            url_,
            path_,
            min(int(connections_), CONNECTIONS_MAX),
            min(float(seconds_), SECONDS_MAX),
            body_.encode(),
        )
    )
