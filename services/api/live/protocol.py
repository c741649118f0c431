"""uvicorn's WebSocket protocol with the bounds that it lacks.

The library bounds a message's bytes; here are the number of its fragments, messages and pings per
time, what waits to be sent, and how long an end may take. A peer that takes nothing can be cut off.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from typing import Any, override

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State

from services.api.live import frames, sockets

FRAGMENTS_MAX = 16
MESSAGES_MAX = 20
RATE_SECONDS = 10.0
# What waits for a peer: these bytes and one frame here, twice the buffer in the kernel.
WAITING_BYTES_MAX = 64 * 1024
KERNEL_BUFFER_BYTES = 64 * 1024
END_SECONDS = 1.0

_INVALID_DATA = 1007
_TOO_BIG = 1009
_ABNORMAL = 1006
# A flood is parsed in pieces, so that it is refused before all of it was looked at.
_PIECE_BYTES = 4096
# The library's loggers show whole heads, with keys in them, and a line for each connection.
_log = logging.getLogger("oncely.websocket")
_log.setLevel(logging.WARNING)


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """One connection. `drop` stands in the ASGI scope."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self.conn.logger = _log
        self.conn.debug = False
        self._over = False
        self._fragments = 0
        self._messages = _Rate()
        self._control_frames = _Rate()
        self._end_timer: asyncio.TimerHandle | None = None

    def drop(self, code: int, reason: str) -> None:
        """Say why and end, whether the peer reads it or not; who waits to send hears of it."""
        self.conn.fail(code, reason)
        self._finish(code, reason)

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WAITING_BYTES_MAX)
        # The kernel would keep megabytes for a peer that reads nothing.
        _set_option(self.transport, socket.SO_SNDBUF, KERNEL_BUFFER_BYTES)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._end_timer is not None:
            self._end_timer.cancel()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE_BYTES):
            if self._over:
                return
            super().data_received(data[start : start + _PIECE_BYTES])
        # The head comes whole: what is no handshake now never will be one.
        if not self.handshake_initiated:
            self._refuse_handshake()

    @override
    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if self.close_sent:
            self._end_soon()
        else:
            scope: Any = self.scope
            scope["extensions"][sockets.DROP] = self.drop

    @override
    def handle_cont(self, event: Any) -> None:
        self._fragments += 1
        if self._fragments > FRAGMENTS_MAX:
            self.drop(_TOO_BIG, f"a message may have {FRAGMENTS_MAX} fragments: send it in one")
        else:
            super().handle_cont(event)

    @override
    def handle_ping(self) -> None:
        if self._admit_control_frame():
            super().handle_ping()

    @override
    def handle_pong(self, event: Any) -> None:
        if self._admit_control_frame():
            super().handle_pong(event)

    @override
    def handle_close(self, event: Any) -> None:
        if not self._over:
            super().handle_close(event)
            self._end_soon()

    @override
    def send_receive_event_to_app(self) -> None:
        self._fragments = 0
        if self._over:
            return
        if not self._messages.admit(self.loop.time()):
            self.drop(frames.POLICY_VIOLATION, _too_many("messages"))
            return
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.drop(_INVALID_DATA, "send text frames in UTF-8")
                return
        super().send_receive_event_to_app()

    @override
    def handle_parser_exception(self) -> None:
        close = self.conn.close_sent
        if close is None:
            self._finish(_ABNORMAL, "")
        else:
            self._finish(close.code, close.reason)

    @override
    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()

    @override
    def shutdown(self) -> None:
        super().shutdown()
        self._end_soon()

    @override
    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        super().on_task_complete(task)
        self._end_soon()

    @override
    async def send(self, message: Any) -> None:
        await self.writable.wait()
        if self._over or (self.close_sent and message["type"] == "websocket.send"):
            raise ClientDisconnected
        if message["type"] == "websocket.send" and self.conn.state is State.OPEN:
            if self.disconnected:
                raise ClientDisconnected
            self.transport.write(_framed(message["text"]))
            return
        await super().send(message)
        if message["type"] == "websocket.close":
            self._end_soon()

    def _finish(self, code: int, reason: str) -> None:
        """The last bytes are said: let them be read for a moment, and read nothing any more."""
        if self._over:
            return
        self._over = True
        self.close_sent = True
        self.stop_keepalive()
        self.frames = []
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.writable.set()
        if not self.transport.is_closing():
            self.transport.write(b"".join(self.conn.data_to_send()))
            with contextlib.suppress(OSError):
                self.transport.write_eof()
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self._end_soon()
        # uvicorn closes the transport when the application ends, unless it waits for this timer;
        # a close with unread input is a reset, which may overtake the last frame.
        self.close_timer = self._end_timer

    def _end_soon(self) -> None:
        """Closing waits until everything was taken; this does not."""
        if self._end_timer is None:
            self._end_timer = self.loop.call_later(END_SECONDS, self._abort)

    def _abort(self) -> None:
        # Else the kernel goes on offering what nobody takes, for minutes.
        _set_option(self.transport, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _admit_control_frame(self) -> bool:
        if self._over:
            return False
        if not self._control_frames.admit(self.loop.time()):
            self.drop(frames.POLICY_VIOLATION, _too_many("pings"))
            return False
        return True

    def _refuse_handshake(self) -> None:
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()
        self._end_soon()


class _Rate:
    """So many per RATE_SECONDS."""

    def __init__(self) -> None:
        self._began_at = 0.0
        self._count = 0

    def admit(self, now: float) -> bool:
        if now - self._began_at > RATE_SECONDS:
            self._began_at = now
            self._count = 0
        self._count += 1
        return self._count <= MESSAGES_MAX


class _Framed:
    """The last text and its frame: hundreds of watchers in a row are sent the same one."""

    text = ""
    data = b""


def _framed(text: str) -> bytes:
    if text is not _Framed.text:
        _Framed.data = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
        _Framed.text = text
    return _Framed.data


def _too_many(what: str) -> str:
    return f"more than {MESSAGES_MAX} {what} in {RATE_SECONDS:.0f} s: send fewer"


def _set_option(transport: asyncio.Transport, option: int, value: int | bytes) -> None:
    own: Any = transport.get_extra_info("socket")
    if own is None or own.fileno() < 0:
        return
    # uvloop's own object sets no options; a twin of the descriptor does.
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(own.fileno())) as twin:
        twin.setsockopt(socket.SOL_SOCKET, option, value)
