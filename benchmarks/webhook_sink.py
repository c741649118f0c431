"""A receiver that costs next to nothing: `python -m benchmarks.webhook_sink PORT`.

Answers 200 to each POST and remembers its webhook-id; never answers a POST to /hang. GET /seen
tells what came, DELETE /seen forgets it. It runs in a process of its own.
"""

import asyncio
import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Generator
from typing import cast, override

import msgspec
import uvloop

from cli.stack import supervisor

HEAD_BYTES_MAX = 64 * 1024
IDS_MAX = 2_000_000
START_SECONDS_MAX = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What came since the last DELETE /seen; hung ones are counted apart."""

    requests: int = 0
    ids: int = 0
    hung: int = 0


class Ledger:
    """Shared by all connections."""

    def __init__(self) -> None:
        self.requests = 0
        self.hung = 0
        self.ids: set[bytes] = set()

    def seen(self) -> bytes:
        found = Seen(requests=self.requests, ids=len(self.ids), hung=self.hung)
        body = msgspec.json.encode(found)
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def forget(self) -> None:
        self.requests = self.hung = 0
        self.ids.clear()


class Connection(asyncio.Protocol):
    """One request after the other; a body is skipped, its length must be told."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._received = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            whole = end + 4 + int(_header(head, b"content-length") or 0)
            if len(self._received) < whole:
                return
            self._received = self._received[whole:]
            self._answer(head)
        if len(self._received) > HEAD_BYTES_MAX:
            self._transport.close()

    def _answer(self, head: bytes) -> None:
        ledger = self._ledger
        if head.startswith(b"POST /hang"):
            ledger.hung += 1
        elif head.startswith(b"POST"):
            ledger.requests += 1
            if len(ledger.ids) < IDS_MAX:
                ledger.ids.add(_header(head, b"webhook-id"))
            self._transport.write(OK)
        else:
            if head.startswith(b"DELETE"):
                ledger.forget()
            self._transport.write(ledger.seen())


class Sink(msgspec.Struct, frozen=True, kw_only=True):
    """A running sink, seen from the benchmark."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def seen(self, method: str = "GET") -> Seen:
        """Ask what came; DELETE forgets it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request(method, "/seen")
            return Seen(**json.loads(connection.getresponse().read()))
        finally:
            connection.close()


@contextlib.contextmanager
def running() -> Generator[Sink]:
    """Start a sink and stop it again."""
    port = supervisor.free_port()
    with subprocess.Popen([sys.executable, "-m", "benchmarks.webhook_sink", str(port)]) as process:
        sink = Sink(port=port, pid=process.pid)
        deadline = time.monotonic() + START_SECONDS_MAX
        try:
            while True:
                with contextlib.suppress(OSError):
                    sink.seen()
                    break
                assert process.poll() is None, "the sink ended"
                assert time.monotonic() < deadline, "the sink does not answer"
                time.sleep(0.05)
            yield sink
        finally:
            process.kill()


async def serve(port: int) -> None:
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(ledger), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def _header(head: bytes, name: bytes) -> bytes:
    """A header's value; names are compared without case, once per header that is asked for."""
    start = head.lower().find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    start += len(name) + 3
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
