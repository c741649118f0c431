"""Two threads: one serves delivery reports, one marks what was acknowledged, on a connection of its
own.

While a mark waits for Postgres the loop reads and produces, and acknowledgements go on arriving:
libpq lets go of the interpreter's lock. In one thread the two would wait for each other, and an
acknowledgement would be noticed, and dated, only after the mark before it.
Acknowledgements that cannot be marked yet (Postgres away) are kept; their number is bounded,
because the loop stops handing rows over when too many are not marked.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from services.relay import publisher, settings
from services.relay.queries import outbox
from shared import database, errors, faults, live, telemetry

_IDLE_POLL_SECONDS = 0.1
_RETRY_SECONDS = 0.1
_RETRY_SECONDS_MAX = 1.0
# Durations recorded per mark: enough for the histogram, and a thousand would cost more than the
# mark.
_SAMPLES_PER_MARK = 8

_log = telemetry.logger(__name__)


class Marker:
    """Owns the acknowledgements between the broker and the mark."""

    def __init__(
        self,
        loaded: settings.RelaySettings,
        *,
        instance: str,
        owner: str,
        source: publisher.Publisher,
        wake: Callable[[], None],
        announcer: live.Announcer,
    ) -> None:
        self._loaded = loaded
        self._name = f"oncely-relay-marks {instance}"
        self._owner = owner
        self._publisher = source
        self._wake = wake
        self._announcer = announcer
        self._conn: outbox.Connection | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._guarded, args=(self._turn,), name="marker", daemon=True
        )
        self._reports = threading.Thread(
            target=self._guarded, args=(self._poll,), name="reports", daemon=True
        )
        # From one thread to the other. The loop's bound on rows in flight bounds it too.
        self._arrived: deque[publisher.Acknowledgements] = deque()
        self._some_arrived = threading.Event()
        self._groups: deque[publisher.Acknowledgements] = deque()
        self.marked_at = 0.0
        self.settled_rows = 0
        self.settled: deque[list[int]] = deque()
        self.fenced_shards: deque[set[int]] = deque()
        self.progress = threading.Event()
        self.failed: BaseException | None = None
        self.clock_offset = 0.0
        self.database_away = False
        self._marked = telemetry.counter("oncely.outbox.marked")
        self._published = telemetry.counter("oncely.outbox.published")
        self._fenced = telemetry.counter("oncely.relay.marks.fenced")
        self._commit_to_ack = telemetry.histogram("oncely.outbox.commit_to_ack.duration")

    def start(self) -> None:
        self._thread.start()
        self._reports.start()

    def close(self) -> None:
        """Stop after the acknowledgements at hand are marked, or cannot be."""
        self._closed.set()
        self._some_arrived.set()
        self._thread.join(timeout=self._loaded.drain_seconds)
        self._reports.join(timeout=2 * _IDLE_POLL_SECONDS)
        if self._conn is not None and not self._thread.is_alive():
            self._conn.close()

    def _guarded(self, turn: Callable[[], None]) -> None:
        try:
            while not self._closed.is_set():
                turn()
        except BaseException as error:  # noqa: BLE001 the loop ends the process with it
            self.failed = error
            self.progress.set()
            _log.exception("marker stopped")

    def _poll(self) -> None:
        """Serve delivery reports the moment they come."""
        found = self._publisher.poll(_IDLE_POLL_SECONDS)
        if found is not None:
            self._published.add(len(found.places))
            self._arrived.append(found)
            self._some_arrived.set()
        # The first record of a partition is there: what waited for that need not wait for a poll.
        if self._publisher.proofs.news:
            self._wake()
        # A failure without an acknowledgement beside it must wake the loop too.
        if self._publisher.halted:
            self.progress.set()
            self._wake()

    def _turn(self) -> None:
        self._collect()
        if not self._groups:
            return
        marks, marked = self._next_marks()
        pause = _RETRY_SECONDS
        while not self._mark(marks, marked):
            # What is acknowledged meanwhile waits in the other thread's queue: the loop bounds it.
            if self._closed.wait(pause):
                return
            pause = min(pause * 2, _RETRY_SECONDS_MAX)

    def _collect(self) -> None:
        """Gather until a full mark is there, or the interval since the last one is over."""
        due_at = self.marked_at + self._loaded.relay_mark_interval_ms / 1000
        rows = sum(len(group.places) for group in self._groups)
        while rows < self._loaded.relay_mark_rows_max and not self._closed.is_set():
            if self._arrived:
                found = self._arrived.popleft()
                self._groups.append(found)
                rows += len(found.places)
                continue
            wait = due_at - time.monotonic() if rows else _IDLE_POLL_SECONDS
            if wait <= 0:
                return
            self._some_arrived.wait(wait)
            self._some_arrived.clear()
            if not rows and not self._arrived:
                return

    def _next_marks(self) -> tuple[list[outbox.Mark], list[tuple[str, str]]]:
        """Up to one mark's worth of places, each with the age of its acknowledgement; and whose
        they are.
        """
        now = time.monotonic()
        marks: list[outbox.Mark] = []
        marked: list[tuple[str, str]] = []
        while self._groups and len(marks) < self._loaded.relay_mark_rows_max:
            group = self._groups[0]
            room = self._loaded.relay_mark_rows_max - len(marks)
            age_us = min(int((now - group.acked_at) * 1e6), 2**31 - 1)
            marks += [(*place, age_us) for place in group.places[:room]]
            marked += group.events[:room]
            self._sample(group, room)
            if len(group.places) > room:
                group.places = group.places[room:]
                group.events = group.events[room:]
            else:
                self._groups.popleft()
        return marks, marked

    def _sample(self, group: publisher.Acknowledgements, room: int) -> None:
        acked_at = group.acked_at + self.clock_offset
        for place in group.places[: min(room, _SAMPLES_PER_MARK)]:
            self._commit_to_ack.record(max(acked_at - place[1].timestamp(), 0.0))

    def _mark(self, marks: list[outbox.Mark], marked: list[tuple[str, str]]) -> bool:
        """One mark. False: the outcome is unknown or nothing happened; the same marks again."""
        try:
            if faults.ENABLED:
                faults.hit("relay.after_ack_before_mark")
            conn = self._connection()
            # One statement is a transaction by itself and costs one round trip instead of three.
            with conn.transaction() if faults.ENABLED else contextlib.nullcontext():
                taken = outbox.mark_published(conn, owner=self._owner, marks=marks)
                if faults.ENABLED:
                    faults.hit("relay.after_mark_before_commit")
            if len(taken) < len(marks):
                marked = [
                    event for mark, event in zip(marks, marked, strict=True) if mark[0] in taken
                ]
                self._look_at_missing(conn, [mark for mark in marks if mark[0] not in taken])
            self.database_away = False
            if faults.ENABLED:
                faults.hit("relay.after_mark_commit")
        except database.Error as error:
            return self._after_database_error(error)
        except errors.InjectedFault:
            _log.warning("injected fault", at="mark")
            return False
        self.marked_at = time.monotonic()
        self._marked.add(len(taken))
        self._announcer.announce("event", "published", marked)
        self.settled.append([mark[0] for mark in marks])
        self.settled_rows += len(marks)
        self.progress.set()
        return True

    def _look_at_missing(self, conn: outbox.Connection, missing: list[outbox.Mark]) -> None:
        """Rows that did not come back: marked by our own repeated statement, or fenced."""
        ours = outbox.marked_already(conn, marks=missing)
        fenced = [mark for mark in missing if mark[0] not in ours]
        if fenced:
            self._fenced.add(len(fenced))
            self.fenced_shards.append({mark[2] for mark in fenced})
            _log.warning("marks fenced", rows=len(fenced), first_outbox_id=fenced[0][0])

    def _after_database_error(self, error: database.Error) -> bool:
        kind = database.kind_of(error)
        if kind not in {database.ErrorKind.CONNECTION, database.ErrorKind.CONFLICT}:
            raise error
        if kind is database.ErrorKind.CONNECTION:
            self.database_away = True
            if self._conn is not None:
                self._conn.close()
                self._conn = None
            _log.warning("mark repeated", sqlstate=error.sqlstate)
        return False

    def _connection(self) -> database.Connection[Any]:
        if self._conn is None or self._conn.closed:
            dsn = self._loaded.database_dsn
            self._conn = database.connect(dsn, application_name=self._name, autocommit=True)
            outbox.prepare_session(self._conn)
        return self._conn
