"""What the services tell about their commits: small notices on one Postgres channel, heard by the
apis, which pass them on to whoever watches.

A notice is a hint and the database is the truth, so nothing here ever waits or fails for the sake
of one: what is too much is counted, what cannot be sent is dropped and the next one says so. Only a
service that is killed between its commit and its notice says nothing.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, Literal, get_args
from uuid import UUID

import msgspec

from shared import database, telemetry

type Kind = Literal[
    "backtest",
    "dead_letter",
    "delivery",
    "event",
    "event_type",
    "fault",
    "replay_job",
    "rule",
    "target",
]
type Item = tuple[UUID | str, str | None]
"""An id, and the event type if it has one."""
type Name = tuple[Kind, str, str | None]
"""Kind, status, event type."""

KINDS: tuple[Kind, ...] = get_args(Kind.__value__)

# Postgres takes less than 8,000 bytes.
PAYLOAD_BYTES_MAX = 7_900
# Of each kind, so that a flood of events leaves room for the one dead letter that matters.
IDS_MAX = 60
NAMES_MAX = 50
INTERVAL_MS = 100

_COUNT_MAX = 10**9
# The frame of a notice, and one line for each kind and status that had no room of its own.
_RESERVED_BYTES = 2_000
_RETRY_SECONDS = 1.0
_CLOSE_SECONDS = 1.0
_log = telemetry.logger(__name__)

# Outside every other transaction: inside one, the commit would take a lock that all who notify
# share.
NOTIFY: database.Query = "select pg_notify(%(channel)s, %(payload)s)"


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """Something has this status now; ask the REST api for the rest."""

    kind: Kind
    id: str
    status: str
    event_type: str | None = None


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Ids that share kind, status and event type, and how many more there were."""

    kind: Kind
    status: str
    event_type: str | None
    ids: list[str]
    more: int

    @property
    def name(self) -> Name:
        return self.kind, self.status, self.event_type


class Notice(msgspec.Struct, frozen=True):
    """The payload of one notification. Lost: something before it was dropped."""

    lost: bool
    groups: list[Group]


class Window:
    """What was announced since the last notice; bounded, whatever is announced."""

    def __init__(self) -> None:
        self._ids: dict[Kind, dict[UUID | str, tuple[str, str | None]]] = {}
        self._more: Counter[Name] = Counter()

    def __bool__(self) -> bool:
        return bool(self._ids or self._more)

    def add(self, kind: Kind, status: str, items: Sequence[Item]) -> None:
        """The last status of an id counts. The same items may come by the thousand."""
        ids = self._ids.setdefault(kind, {})
        if len(ids) >= IDS_MAX and ids.keys().isdisjoint(map(_ID, items)):
            self._count(kind, status, Counter(map(_TYPE, items)))
            return
        rest: Counter[str | None] = Counter()
        for item_id, event_type in items:
            if item_id in ids:
                del ids[item_id]  # what changed last stands last
            elif len(ids) >= IDS_MAX:
                rest[event_type] += 1
                continue
            ids[item_id] = (status, event_type)
        self._count(kind, status, rest)

    def encode(self, *, lost: bool) -> str:
        """The payload: as many ids as fit, in the order of their changes; the rest is counted."""
        by_name: dict[Name, list[str]] = {}
        for kind, ids in self._ids.items():
            for item_id, (status, event_type) in ids.items():
                by_name.setdefault((kind, status, event_type), []).append(str(item_id))
        groups: list[Group] = []
        left: Counter[tuple[Kind, str]] = Counter()
        room = PAYLOAD_BYTES_MAX - _RESERVED_BYTES
        names = dict.fromkeys([*by_name, *self._more])
        # What is rare comes first: of events there is always enough.
        for name in sorted(names, key=lambda name: (name[0] == "event", name not in by_name)):
            group, size = _fitting(name, by_name.get(name, []), self._more[name], room=room)
            if group is None:
                left[name[:2]] += len(by_name.get(name, ())) + self._more[name]
            else:
                groups.append(group)
                room -= size
        groups += [
            Group(kind=kind, status=status, event_type=None, ids=[], more=count)
            for (kind, status), count in left.items()
        ]
        return msgspec.json.encode(Notice(lost=lost, groups=groups)).decode()

    def _count(self, kind: Kind, status: str, by_type: Counter[str | None]) -> None:
        for event_type, count in by_type.items():
            add_count(self._more, (kind, status, event_type), count)


class Announcer:
    """Tells of commits: `announce` notes them, a thread with its own connection sends.

    One per process; it is a daemon's thread, so that no exit ever waits for it.
    """

    def __init__(self, dsn: str, *, instance: str, interval_ms: int = INTERVAL_MS) -> None:
        self._dsn = dsn
        self._name = f"oncely-live {instance}"
        self._interval_seconds = interval_ms / 1000
        self._lock = threading.Lock()
        self._window = Window()
        self._some = threading.Event()
        self._closed = threading.Event()
        self._lost = False
        self._conn: database.Connection[Any] | None = None
        self._thread = threading.Thread(target=self._run, name="live", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Send what is there if the server answers, and do not wait if it does not."""
        self._closed.set()
        self._some.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_SECONDS)

    def announce(self, kind: Kind, status: str, items: Sequence[Item]) -> None:
        """Call it after the commit, from any thread; it waits for nothing and never raises."""
        if not items or self._closed.is_set():
            return
        with self._lock:
            self._window.add(kind, status, items)
        self._some.set()

    def announce_each(self, kind: Kind, changes: Iterable[tuple[str, Item]]) -> None:
        """The same for items that have each a status of their own: one call for each status."""
        by_status: dict[str, list[Item]] = {}
        for status, item in changes:
            by_status.setdefault(status, []).append(item)
        for status, items in by_status.items():
            self.announce(kind, status, items)

    def _run(self) -> None:
        try:
            while not self._closed.is_set():
                # After a loss it goes on by itself: hubs must hear of it, whatever happens next.
                self._some.wait(_RETRY_SECONDS if self._lost else None)
                self._turn()
                self._closed.wait(self._interval_seconds)
            self._turn()
        except Exception:  # noqa: BLE001 watchers see less; nobody's work may end for that
            _log.exception("live updates stopped")
            self._closed.set()
        finally:
            self._disconnect()

    def _turn(self) -> None:
        with self._lock:
            window, self._window = self._window, Window()
            self._some.clear()
        if not window and not self._lost:
            return
        try:
            self._send(window.encode(lost=self._lost))
            self._lost = False
        except database.Error as error:
            self._disconnect()
            if not self._lost:
                _log.warning("live updates dropped", error=type(error).__name__)
            self._lost = True
            self._closed.wait(_RETRY_SECONDS)

    def _send(self, payload: str) -> None:
        if self._conn is None:
            self._conn = database.connect(self._dsn, application_name=self._name, autocommit=True)
        self._conn.execute(NOTIFY, {"channel": database.LIVE_CHANNEL, "payload": payload})

    def _disconnect(self) -> None:
        if self._conn is not None:
            self._conn.close()
            self._conn = None


def add_count(counts: Counter[Name], name: Name, count: int) -> None:
    """Past NAMES_MAX names, those that are new share one without an event type."""
    if name not in counts and len(counts) >= NAMES_MAX:
        name = (name[0], name[1], None)
    counts[name] += count


def _fitting(name: Name, ids: Sequence[str], more: int, *, room: int) -> tuple[Group | None, int]:
    """As many ids of a name as fit, and the bytes they take; none if not even the name does."""
    kind, status, event_type = name
    bare = Group(kind=kind, status=status, event_type=event_type, ids=[], more=_COUNT_MAX)
    size = len(msgspec.json.encode(bare)) + 1
    if size > room:
        return None, 0
    kept = 0
    for item_id in ids:
        cost = len(msgspec.json.encode(item_id)) + 1
        if size + cost > room:
            break
        size += cost
        kept += 1
    left = min(more + len(ids) - kept, _COUNT_MAX)
    return Group(
        kind=kind, status=status, event_type=event_type, ids=[*ids[:kept]], more=left
    ), size


_ID = itemgetter(0)
_TYPE = itemgetter(1)
