"""Names -> addresses -> sockets, each judged by shared.egress: no socket to a refused address is
ever made, whatever the URL spells and whatever DNS answered before.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, override

import aiohttp
from aiohttp import abc

from services.consumer.dispatcher import phases
from shared import egress

type Lookup = Callable[[str, int], Awaitable[list[str]]]

# getaddrinfo blocks a thread for as long as a name server is silent: names that hang must be many
# before they are in the way of others.
LOOKUPS_AT_ONCE_MAX = 32


class AddressRefused(OSError):
    """An OSError, so that aiohttp closes what it has begun and reports it as not connected."""


class Resolver(abc.AbstractResolver):
    """Resolves for one connection, and refuses a name of whose addresses even one is refused.

    Nothing is remembered: the answer is used for the connection that asked, or not at all.
    """

    def __init__(self, allowed: egress.Networks, lookup: Lookup) -> None:
        self._allowed = allowed
        self._lookup = lookup

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[abc.ResolveResult]:
        noted = phases.progress.get()
        start = time.perf_counter()
        addresses = await self._lookup(host, port)
        noted.resolved = time.perf_counter() - start
        if not addresses:
            raise OSError(socket.EAI_NONAME, "the name has no address")
        why = egress.refusal_of_answer(host, addresses, self._allowed)
        if why is not None:
            noted.refused = why
            raise AddressRefused(why)
        return [_result(host, address, port) for address in addresses]

    @override
    async def close(self) -> None:
        return


def socket_factory(allowed: egress.Networks) -> Callable[[Any], socket.socket]:
    """What makes every socket of the sender: the last look at where it will go, also for literals,
    which never see the resolver.
    """

    def make(info: Any) -> socket.socket:
        family, kind, proto, _, address = info
        noted = phases.progress.get()
        why = egress.refusal(address[0], allowed)
        if why is not None:
            noted.refused = why
            raise AddressRefused(why)
        noted.address = address[0]
        noted.connect_at = noted.connect_at or time.perf_counter()
        return socket.socket(family, kind, proto)

    return make


class SystemLookup:
    """getaddrinfo in threads of its own; those who ask for one name at once share one thread."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_AT_ONCE_MAX, thread_name_prefix="dns")
        self._running: dict[tuple[str, int], asyncio.Future[list[str]]] = {}

    async def __call__(self, host: str, port: int) -> list[str]:
        key = host, port
        future = self._running.get(key)
        if future is None:
            loop = asyncio.get_running_loop()
            future = loop.run_in_executor(self._threads, _addresses_of, host, port)
            self._running[key] = future
            future.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(future)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _forget(self, key: tuple[str, int], done: asyncio.Future[list[str]]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # Whoever asked may have given up; then nobody else reads it.


def connector(
    allowed: egress.Networks, *, lookup: Lookup, tls: Any, connections_max: int
) -> aiohttp.TCPConnector:
    return aiohttp.TCPConnector(
        resolver=Resolver(allowed, lookup),
        socket_factory=socket_factory(allowed),
        use_dns_cache=False,  # A kept answer would be one that nobody judged for this connection.
        family=socket.AF_UNSPEC,
        ssl=tls,
        limit=connections_max,
        keepalive_timeout=KEEPALIVE_SECONDS,
        happy_eyeballs_delay=0.25,
    )


# Below the 5 s after which common servers close an idle connection: a request that meets the
# closing has an unknown outcome.
KEEPALIVE_SECONDS = 4.0


def _addresses_of(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(info[4][0]) for info in found]


def _result(host: str, address: str, port: int) -> abc.ResolveResult:
    return abc.ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
