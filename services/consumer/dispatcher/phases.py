"""What is noted while one request is under way: its times, the address, whether it left.

aiohttp's own trace signals cost as much as the signature and tell neither TCP from TLS nor the
address; these are subclasses of what it lets one pass in: resolver, socket, TLS context, request.
"""

import ssl
import time
from contextvars import ContextVar
from typing import Any, override

import aiohttp

from services.consumer.dispatcher import outgoing

_MS = 1000


class Progress:
    """One attempt. Mutable, because aiohttp's parts note into it, some of them in tasks of their
    own, which inherit the context variable and so this very object.
    """

    __slots__ = ("address", "began", "connect_at", "head_at", "refused", "resolved", "sent_at",
                 "tls_at")  # fmt: skip

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.resolved: float | None = None  # seconds that DNS took
        self.connect_at: float | None = None
        self.tls_at: float | None = None
        self.sent_at: float | None = None  # from here on the receiver may have the request
        self.head_at: float | None = None
        self.address: str | None = None
        self.refused: str | None = None

    def phases(self) -> outgoing.Phases:
        connected_at = self.tls_at or self.sent_at
        return outgoing.Phases(
            dns_ms=None if self.resolved is None else _rounded(self.resolved),
            connect_ms=_between(self.connect_at, connected_at),
            tls_ms=_between(self.tls_at, self.sent_at),
            first_byte_ms=_between(self.sent_at, self.head_at),
            total_ms=_between(self.began, time.perf_counter()),
        )


progress: ContextVar[Progress] = ContextVar("progress")


class Request(aiohttp.ClientRequest):
    """Notes the connection that is used, then that the request goes out."""

    @override
    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        noted = progress.get()
        if noted.sent_at is not None:
            # aiohttp would send a PUT again by itself; here one attempt is one request.
            raise aiohttp.ClientConnectionError("the connection was closed when it was used again")
        if conn.transport is not None:
            noted.address = conn.transport.get_extra_info("peername")[0]
        noted.sent_at = time.perf_counter()
        return await super().send(conn)


class TlsContext(ssl.SSLContext):
    """Notes when TLS begins, which is when TCP is connected."""

    @override
    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        noted = progress.get(None)
        if noted is not None:
            noted.tls_at = time.perf_counter()
        return super().wrap_bio(*args, **options)


def tls_context(ca_file: str = "") -> ssl.SSLContext:
    """As ssl.create_default_context makes it, which cannot be told to make another class."""
    context = TlsContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else _rounded(end - start)


def _rounded(seconds: float) -> float:
    return round(seconds * _MS, 3)
