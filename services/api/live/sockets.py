"""One watcher: hello, subscriptions, frames, heartbeats, its end.

Two tasks: one reads, one writes, and only that one sends. A peer that takes nothing is noticed by
the hub's tick, which drops the socket; nobody waits for it.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar.types import Receive, Send

from services.api import access, problems
from services.api.live import frames, hub, subscriptions
from shared import telemetry

SUBPROTOCOL = "oncely.live.v1"
# In the ASGI scope: ends a socket at once, whatever still waits to be sent.
DROP = "oncely.drop"

HEARTBEAT_SECONDS = 15.0
KEY_SECONDS = 2.0
# Notices that may pass a socket by while it takes nothing.
BEHIND_MAX = 256
_RESUME_FAILED = "that place is unknown here: another process, too long ago, or not yet"
_SHORT_WAY = 100  # notices: some seconds of them
_RESUMED_BEFORE = (
    "a connection resumes a long way once: leave stream and last_seq out, or reconnect"
)
_log = telemetry.logger(__name__)


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """LIVE_..."""

    watchers_max: int
    watchers_per_key_max: int
    send_seconds: float


class Sockets:
    """What the front hands an admitted upgrade to."""

    def __init__(self, *, source: hub.Hub, limits: Limits) -> None:
        self._hub = source
        self._limits = limits
        self._by_key: Counter[UUID | None] = Counter()
        self._meters = _Meters()

    async def serve(
        self,
        scope: Any,
        receive: Receive,
        send: Send,
        *,
        admit: Callable[[], access.Caller],
    ) -> None:
        """From the accepted upgrade to the end. admit: asked again and again whether the caller
        still may.
        """
        await receive()
        chosen = SUBPROTOCOL if SUBPROTOCOL in scope["subprotocols"] else None
        accept: Any = {"type": "websocket.accept", "subprotocol": chosen, "headers": []}
        watchers = self._hub.watchers
        with contextlib.suppress(OSError):  # the client left: the server's word for it
            await send(accept)
            key_id = admit().key_id
            if self._is_full(key_id):
                self._meters.dropped.add(1, {"reason": "too_many"})
                await _close(send, frames.TRY_AGAIN_LATER, "too many watchers: try again later")
                return
            socket = _Socket(
                self._hub,
                send=send,
                drop=scope["extensions"][DROP],
                admit=admit,
                send_seconds=self._limits.send_seconds,
                meters=self._meters,
            )
            watchers.add(socket)
            self._by_key[key_id] += 1
            self._meters.clients.set(len(watchers))
            try:
                await socket.run(receive)
            finally:
                watchers.discard(socket)
                self._by_key[key_id] -= 1
                if not self._by_key[key_id]:
                    del self._by_key[key_id]
                self._meters.clients.set(len(watchers))

    def _is_full(self, key_id: UUID | None) -> bool:
        """None: the admin's key, or nobody has one."""
        if len(self._hub.watchers) >= self._limits.watchers_max:
            return True
        return key_id is not None and self._by_key[key_id] >= self._limits.watchers_per_key_max


class _Socket:
    """A hub.Watcher."""

    def __init__(
        self,
        source: hub.Hub,
        *,
        send: Send,
        drop: Callable[[int, str], None],
        admit: Callable[[], access.Caller],
        send_seconds: float,
        meters: "_Meters",
    ) -> None:
        self._hub = source
        self._asgi_send = send
        self._drop = drop
        self._admit = admit
        self._send_seconds = send_seconds
        self._meters = meters
        self._allowed = subscriptions.kinds_for(admit())
        self._view: subscriptions.View | None = None
        self._seq = source.seq
        # What the client asked for and has no answer yet; the protocol bounds how often it asks.
        self._asked: list[frames.LiveSubscribe] = []
        self._resumed = False
        self._ticked = True
        self._wake = asyncio.Event()
        self._sending_since: float | None = None
        self._dropped = False
        self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._admit_at = time.monotonic() + KEY_SECONDS

    async def run(self, receive: Receive) -> None:
        """Until the client leaves, is refused, or is dropped."""
        writing = asyncio.create_task(self._write(), name="live-write")
        reading = asyncio.create_task(self._read(receive), name="live-read")
        try:
            await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended = [task for task in (reading, writing) if task.done()]
            for task in (writing, reading):
                task.cancel()
            await asyncio.gather(writing, reading, return_exceptions=True)
        for task in ended:
            error = None if task.cancelled() else task.exception()
            if isinstance(error, frames.Refused):
                await _close(self._asgi_send, error.code, error.reason)
            elif error is not None and not isinstance(error, OSError):
                raise error

    def tick(self, now: float) -> None:
        """Called by the hub; now is the event loop's clock."""
        if self._sending_since is not None:
            behind = 0 if self._view is None else self._hub.seq - self._seq
            if now - self._sending_since > self._send_seconds or behind > BEHIND_MAX:
                self._end_stalled()
            return
        self._ticked = True
        self._wake.set()

    def _end_stalled(self) -> None:
        if not self._dropped:
            self._dropped = True
            self._meters.dropped.add(1, {"reason": "stalled"})
            _log.info("watcher dropped: it takes nothing", behind=self._hub.seq - self._seq)
            self._drop(frames.TRY_AGAIN_LATER, "you take too little: ask for less, reconnect")

    async def _read(self, receive: Receive) -> None:
        while True:
            message: Any = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self._asked.append(frames.read(message))
            self._wake.set()

    async def _write(self) -> None:
        await self._send(
            frames.LiveHello(
                stream=self._hub.stream,
                seq=self._seq,
                heartbeat_seconds=HEARTBEAT_SECONDS,
                kinds=sorted(self._allowed),
            )
        )
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._asked:
                await self._subscribe(self._asked.pop(0))
            if self._ticked:
                self._ticked = False
                await self._catch_up()
            await self._look_after_itself()

    async def _subscribe(self, asked: frames.LiveSubscribe) -> None:
        missed = ""
        wanted = asked.subscriptions
        if asked.last_seq or asked.stream:
            place = self._place_of(asked)
            # A long way back costs everybody's event loop some milliseconds: once per connection.
            # A page that asks for more goes a short way back each time, and misses nothing.
            is_far = place is None or self._hub.seq - place > _SHORT_WAY
            again = is_far and self._resumed
            missed = _RESUMED_BEFORE if again else _RESUME_FAILED if place is None else ""
            self._resumed = self._resumed or is_far
            self._seq = self._hub.seq if missed or place is None else place
        elif self._view is None:
            self._seq = self._hub.seq
        # Else the new view gets what the next tick would have sent to the old one.
        self._view = self._hub.view(wanted, self._allowed) if wanted else None
        await self._send(frames.LiveSubscribed(seq=self._seq, subscriptions=wanted))
        if missed:
            await self._send(frames.LiveGap(seq=self._seq, reason=missed))
        self._hub.wake()

    def _place_of(self, asked: frames.LiveSubscribe) -> int | None:
        """Where a client goes on; none when that is not known here."""
        place = asked.last_seq
        if asked.stream != self._hub.stream or not isinstance(place, int):
            return None
        return place if self._hub.floor <= place <= self._hub.seq else None

    async def _catch_up(self) -> None:
        source = self._hub
        if self._view is None:
            self._seq = source.seq
        elif self._seq < source.floor:
            self._seq = source.seq
            await self._send(frames.LiveGap(seq=self._seq, reason=source.gap_reason))
        elif self._seq < source.ticked_seq:
            found = source.updates(self._view, self._seq)
            self._seq = source.ticked_seq
            if found is not None:
                await self._send_text(found)

    async def _look_after_itself(self) -> None:
        now = time.monotonic()
        if now >= self._admit_at:
            self._admit_at = now + KEY_SECONDS
            self._check_key()
        if now >= self._heartbeat_at:
            await self._send(frames.LiveHeartbeat(seq=self._seq))

    def _check_key(self) -> None:
        """A key that is revoked or expired ends the socket; a database that is away does not."""
        try:
            self._allowed = subscriptions.kinds_for(self._admit())
        except problems.Problem as problem:
            if problem.slug in {"unauthenticated", "scope-missing"}:
                raise frames.Refused(
                    frames.POLICY_VIOLATION, "the API key is not in force any more: use another"
                ) from None

    async def _send(self, frame: msgspec.Struct) -> None:
        await self._send_text(frames.encode(frame))

    async def _send_text(self, text: str) -> None:
        self._heartbeat_at = time.monotonic() + HEARTBEAT_SECONDS
        self._sending_since = asyncio.get_running_loop().time()
        message: Any = {"type": "websocket.send", "text": text}
        await self._asgi_send(message)
        self._sending_since = None


async def _close(send: Send, code: int, reason: str) -> None:
    message: Any = {"type": "websocket.close", "code": code, "reason": reason}
    await send(message)


class _Meters:
    def __init__(self) -> None:
        self.clients = telemetry.gauge("oncely.live.clients")
        self.dropped = telemetry.counter("oncely.live.dropped")
