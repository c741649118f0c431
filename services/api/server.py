"""uvicorn with the bounds that it lacks: size and time of a request's head, problem+json for what
is not HTTP, and exit status 0 after a drain.
"""

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Generator
from types import FrameType
from typing import Any, ClassVar, override

import uvicorn
from litestar.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.api import answer_headers, problems
from services.api.live import protocol
from services.api.settings import ApiSettings
from shared import lifecycle, telemetry

_KEEP_ALIVE_SECONDS = 30
_BACKLOG = 2048
_ANSWER_SECONDS = 1.0
_LINGER_SECONDS = 1.0
_PING_SECONDS = 20.0
_FAILED_START_SECONDS = 3.0
_CANCEL_SECONDS = 12.0
_EXIT_NOT_DRAINED = 1
_log = telemetry.logger(__name__)


class Server(uvicorn.Server):
    """Drains on the first signal, ends at once on the second, and does not die of the signal
    afterwards.

    A start that failed and a drain that does not come to its end still end the process: a thread
    or a task that nobody can stop must not keep it.
    """

    def __init__(self, config: uvicorn.Config, *, end_seconds: float) -> None:
        super().__init__(config)
        self._end_seconds = end_seconds

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit as exit_:
            status = exit_.code if isinstance(exit_.code, int) else 1
            _end_within(_FAILED_START_SECONDS, status)
            raise

    @contextlib.contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield

    @override
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            os._exit(lifecycle.EXIT_INTERRUPTED)
        self.should_exit = True
        _end_within(self._end_seconds, _EXIT_NOT_DRAINED)


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a head that is too large or too slow; uvicorn's httptools protocol bounds neither."""

    head_bytes_max: ClassVar[int] = 32 * 1024
    head_seconds: ClassVar[float] = 10.0
    body_seconds: ClassVar[float] = 11.0
    unread_seconds: ClassVar[float] = 15.0

    _head_bytes = 0
    _in_head = True
    _in_body = False
    _refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None
    _unread_timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._begin_head()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._end_body()
        self._end_unread()
        super().connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(self.unread_seconds, self._on_unread)

    @override
    def resume_writing(self) -> None:
        self._end_unread()
        super().resume_writing()

    @override
    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        if self._in_head:
            self._head_bytes += len(data)
            # Before it is parsed: one piece from the socket is at most 256 KiB.
            if (
                self._head_bytes > self.head_bytes_max
                and b"\r\n\r\n" not in data[: self.head_bytes_max]
            ):
                self._refuse(
                    problems.Problem(
                        "head-too-large", f"the head may have {self.head_bytes_max} bytes"
                    )
                )
                return
        super().data_received(data)
        if self._in_body and self._body_timer is None:
            self._body_timer = self.loop.call_later(self.body_seconds, self._on_slow_body)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        if not self._in_head:
            self._begin_head()

    @override
    def on_headers_complete(self) -> None:
        self._end_head()
        self._in_body = True
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        self._end_body()
        super().on_message_complete()

    @override
    def handle_websocket_upgrade(self) -> None:
        self._end_head()
        self._end_body()
        super().handle_websocket_upgrade()

    @override
    def send_400_response(self, msg: str) -> None:
        self._refuse(problems.Problem("malformed-request", "this is not an HTTP/1.1 request"))

    def _begin_head(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._on_slow_head)

    def _end_head(self) -> None:
        self._in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_slow_head(self) -> None:
        self._head_timer = None
        if self._in_head and not self.transport.is_closing():
            self.transport.close()

    def _end_body(self) -> None:
        self._in_body = False
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _on_slow_body(self) -> None:
        # The front has answered 408 before this, or never wanted the body.
        self._body_timer = None
        if self._in_body and not self.transport.is_closing():
            self.transport.close()

    def _end_unread(self) -> None:
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _on_unread(self) -> None:
        # The client takes nothing: a close would wait for it, and keep what it does not read.
        self._unread_timer = None
        self.transport.abort()

    def _refuse(self, problem: problems.Problem) -> None:
        self._end_head()
        self._end_body()
        if self.transport.is_closing():
            return
        body = problem.body()
        head = f"HTTP/1.1 {problem.status} Refused\r\nconnection: close\r\n"
        head += f"content-length: {len(body)}\r\n"
        lines = b"".join(
            b"%b: %b\r\n" % pair for pair in (*problem.headers(), *answer_headers.ALWAYS)
        )
        self.transport.write(head.encode() + lines + b"\r\n" + body)
        # A close with unread input becomes a reset, which may overtake the answer: say the last
        # word, let the client read it, and drop what it still sends (RFC 9112, section 9.6).
        self._refused = True
        self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)


def make_server(app: ASGIApp, settings: ApiSettings) -> Server:
    bounded = type(
        "Protocol",
        (BoundedProtocol,),
        {
            "head_bytes_max": settings.header_bytes_max,
            "head_seconds": settings.head_seconds,
            "body_seconds": settings.body_seconds + _ANSWER_SECONDS,
            "unread_seconds": settings.request_seconds + _ANSWER_SECONDS,
        },
    )
    application: Any = app
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=bounded,
        # The only implementation of uvicorn's that can be bounded: websockets-sansio gives each
        # read to a method that can refuse it, waits before a send while the transport's buffer is
        # full, and parses as the data comes. The legacy websockets one hands whole messages to
        # queues of its own, and wsproto is not installed. What it lacks is in live.protocol.
        ws=protocol.BoundedWebSocket,
        ws_max_size=settings.live_frame_bytes_max,
        ws_per_message_deflate=False,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        lifespan="on",
        interface="asgi3",
        # Our own logs say what matters; one line per request would cost more than the request.
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.drain_seconds) or 1,
        # Addresses come from the socket: no proxy header is believed.
        proxy_headers=False,
    )
    # Requests drain, then the writers, then what is left is cancelled.
    end_seconds = settings.drain_seconds + settings.commit_seconds + _CANCEL_SECONDS
    return Server(config, end_seconds=end_seconds)


def _end_within(seconds: float, status: int) -> None:
    watchdog = threading.Timer(seconds, _end, [status])
    watchdog.daemon = True
    watchdog.start()


def _end(status: int) -> None:
    _log.error("api is ended: it did not end by itself", status=status)
    os._exit(status)
