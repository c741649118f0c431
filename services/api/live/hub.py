"""Hears the notices of all services and keeps the last ones, once for all watchers.

A watcher is a place in this one sequence, so a slow one costs no memory of its own: it is dropped
when it is too far behind. What equal views are sent is made once per tick. Ticks are at least 100
ms apart, which is what bounds the frames of a socket.
"""

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Protocol, override

import msgspec

from services.api import background, database_pool
from services.api.live import frames, subscriptions
from services.api.queries import live as queries
from shared import database, live, telemetry

TICK_SECONDS = 0.1
PULSE_SECONDS = 1.0
NOTICES_MAX = 2_000
# Who resumes gets at most UPDATES_MAX ids of these, and hundreds may resume at once.
IDS_MAX = 20_000
UPDATES_MAX = 500

_LISTEN_SECONDS = 5.0
_RECONNECT_SECONDS = 0.5
_CONNECTION_LOST = "the api lost its connection to the database for a while"
_NOTICE_LOST = "a service could not tell all that it did"
_log = telemetry.logger(__name__)


class Watcher(Protocol):
    """What the hub knows of a socket."""

    def tick(self, now: float) -> None:
        """There may be news; look also after yourself."""


class Hub(background.Background):
    """One per process. `stream` names its sequence: another process has another one."""

    def __init__(self, *, dsn: str) -> None:
        super().__init__(name="live")
        self.stream = secrets.token_hex(8)
        self.seq = 0
        # What watchers are sent goes up to here, so that all of them share one frame.
        self.ticked_seq = 0
        # Everything after this number is here; who stands before it has missed something.
        self.floor = 0
        self.gap_reason = ""
        self.watchers: set[Watcher] = set()
        self._dsn = dsn
        self._notices: deque[tuple[int, Sequence[live.Group]]] = deque()
        self._ids = 0
        self._views: dict[bytes, subscriptions.View] = {}
        self._made: dict[tuple[subscriptions.View, int], str | None] = {}
        self._tick: asyncio.TimerHandle | None = None
        self._pulse: asyncio.TimerHandle | None = None
        self._ticked_at = 0.0

    @override
    def start(self) -> None:
        super().start()
        self._beat()

    @override
    async def close(self) -> None:
        for timer in (self._tick, self._pulse):
            if timer is not None:
                timer.cancel()
        await super().close()

    @override
    async def run(self) -> None:
        while True:
            try:
                conn = await database.connect_async(
                    self._dsn, application_name="oncely-api-live", autocommit=True
                )
                async with conn:
                    await self._hear(conn)
            except database.Error as error:
                _log.warning("connection lost", task=self.name, error=type(error).__name__)
                await asyncio.sleep(_RECONNECT_SECONDS)

    async def _hear(self, conn: database.AsyncConnection[Any]) -> None:
        with database_pool.bounded(conn, _LISTEN_SECONDS):
            await queries.listen(conn)
        # Only now: what happens after the gap is heard.
        self.lose(_CONNECTION_LOST)
        async for notification in conn.notifies():
            try:
                notice = _DECODER.decode(notification.payload)
            except msgspec.MsgspecError as error:
                _log.warning("notice cannot be read", error=str(error))
                continue
            self.publish(notice)

    def publish(self, notice: live.Notice) -> None:
        """Give a notice its number and let the watchers know."""
        if notice.lost:
            self.lose(_NOTICE_LOST)
        if not notice.groups:
            return
        self.seq += 1
        self._notices.append((self.seq, notice.groups))
        self._ids += _count_ids(notice.groups)
        while len(self._notices) > NOTICES_MAX or self._ids > IDS_MAX:
            self.floor, forgotten = self._notices.popleft()
            self._ids -= _count_ids(forgotten)
            self.gap_reason = "it is too long ago"
        self.wake()

    def lose(self, reason: str) -> None:
        """Everybody has missed something."""
        self.seq += 1
        self.floor = self.seq
        self.gap_reason = reason
        self._notices.clear()
        self._ids = 0
        self.wake()

    def wake(self) -> None:
        """Let all watchers look, not more often than every 100 ms."""
        if self._tick is None:
            loop = asyncio.get_running_loop()
            self._tick = loop.call_at(
                max(self._ticked_at + TICK_SECONDS, loop.time()), self._tick_now
            )

    def view(
        self, wanted: Sequence[frames.LiveSubscription], allowed: frozenset[live.Kind]
    ) -> subscriptions.View:
        """The view for these subscriptions, the same object for all who have the same."""
        if len(self._views) > 2 * len(self.watchers) + 1:
            self._views.clear()  # those in use stay with their watchers, and are only not shared
        found = subscriptions.View(wanted, allowed)
        return self._views.setdefault(found.key, found)

    def updates(self, view: subscriptions.View, after: int) -> str | None:
        """The frame with what happened from there to the last tick; none if the view has nothing
        of it.
        """
        key = (view, after)
        if key not in self._made:
            self._made[key] = self._make(view, after)
        return self._made[key]

    def _make(self, view: subscriptions.View, after: int) -> str | None:
        # By id and status: services tell of one event in no certain order among each other, so the
        # last word of all is not the newest.
        last: dict[tuple[str, str, str], live.Name] = {}
        known: dict[tuple[str, str], set[str]] = {}
        more: Counter[live.Name] = Counter()
        for group in self._after(after):
            name = group.name
            if not view.sees(name):
                continue
            ids = known.setdefault(name[:2], set())
            if len(last) >= UPDATES_MAX and ids.isdisjoint(group.ids):
                live.add_count(more, name, len(group.ids) + group.more)
                continue
            ids.update(group.ids)
            for item_id in group.ids:
                key = (group.kind, item_id, group.status)
                if last.pop(key, None) is None and len(last) >= UPDATES_MAX:
                    live.add_count(more, name, 1)
                else:
                    last[key] = name
            if group.more:
                live.add_count(more, name, group.more)
        if not last and not more:
            return None
        updates = [
            frames.LiveUpdate(kind=name[0], id=item_id, status=name[1], event_type=name[2])
            for (_, item_id, _), name in last.items()
        ]
        omitted = [
            frames.LiveOmitted(kind=name[0], status=name[1], event_type=name[2], count=count)
            for name, count in more.items()
        ]
        frame = frames.LiveUpdates(seq=self.ticked_seq, updates=updates, omitted=omitted)
        return frames.encode(frame)

    def _after(self, after: int) -> Iterator[live.Group]:
        if not self._notices:
            return
        skipped = max(after + 1 - self._notices[0][0], 0)
        for seq, groups in islice(self._notices, skipped, None):
            if seq > self.ticked_seq:
                return
            yield from groups

    def _tick_now(self) -> None:
        self._tick = None
        now = self._ticked_at = asyncio.get_running_loop().time()
        self.ticked_seq = self.seq
        self._made.clear()
        for watcher in list(self.watchers):
            watcher.tick(now)

    def _beat(self) -> None:
        """Heartbeats and deadlines need ticks when nothing happens, and without Postgres too."""
        self._pulse = asyncio.get_running_loop().call_later(PULSE_SECONDS, self._beat)
        self.wake()


_DECODER = msgspec.json.Decoder(live.Notice)


def _count_ids(groups: Sequence[live.Group]) -> int:
    # A name without ids takes room too.
    return sum(len(group.ids) + 1 for group in groups)
