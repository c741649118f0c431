"""Handing over: reads the unpublished rows of our shards and gives them to the producer, in order.

One pass reads from the start, in id order, inside one snapshot. Two snapshots with one cursor would
be wrong: a row that commits between them below the cursor would be stepped over, and the next row
of its key published first.
"""

import contextlib
import threading
import time
from collections.abc import Generator

from services.relay import leases, marker, publisher, settings, topics
from services.relay.queries import outbox
from shared import database, fault_rules, faults

_ROOM_WAIT_SECONDS = 0.25
_PAGE_ROWS_FIRST = 100


class Handover:
    """The loop's own hand: it lives on the loop's thread and remembers what it gave away."""

    def __init__(
        self,
        loaded: settings.RelaySettings,
        *,
        owned: leases.Leases,
        target: publisher.Publisher,
        known_topics: topics.Topics,
        marks: marker.Marker,
        stopping: threading.Event,
        rules: fault_rules.FaultRules | None,
    ) -> None:
        self._loaded = loaded
        self._leases = owned
        self._publisher = target
        self._topics = known_topics
        self._marker = marks
        self._stopping = stopping
        self._rules = rules
        # Rows that were handed over and whose mark no snapshot of ours is known to show: id ->
        # shard.
        self.known: dict[int, int] = {}
        self.suspects: frozenset[int] = frozenset()
        self.group = 0
        self.to_park: list[publisher.Failure] = []
        self.deep = False
        self._stepped_over = 0
        self._page_rows = _PAGE_ROWS_FIRST

    @property
    def in_flight(self) -> int:
        """Rows that were handed over and are neither marked nor given up."""
        return self._publisher.handed - self._publisher.failed - self._marker.settled_rows

    def publish_backlog(self, conn: outbox.Connection, *, waiting_keys: database.Jsonb) -> int:
        """Read from the start and hand over, page by page; returns the rows handed over.

        While pages come back short, one statement is one snapshot and costs one round trip. After a
        full page the next pass opens a transaction, so that all its pages share one.
        """
        handed_before = self._publisher.handed
        deadline = time.monotonic() + self._loaded.relay_pass_seconds_max
        self.forget_settled()
        self._publisher.proofs.take_news(self._topics.counts)
        self._stepped_over = 0
        held: set[str] = set()
        deep = self.deep
        with self._snapshot(conn) if deep else contextlib.nullcontext():
            after = 0
            while self._wait_for_room():
                page_rows = self._page_rows
                rows = outbox.unpublished(
                    conn,
                    shards=self._leases.active,
                    after=after,
                    waiting_keys=waiting_keys,
                    page_rows=page_rows,
                )
                self.deep = len(rows) == page_rows
                if not self._publish(rows, held=held) or not self.deep:
                    break
                after = rows[-1][0]
                self._size_page(rows)
                if not deep or time.monotonic() > deadline or self._is_over():
                    break
        if faults.ENABLED and self._publisher.handed > handed_before:
            faults.hit("relay.after_produce_before_ack")
        return self._publisher.handed - handed_before

    def _is_over(self) -> bool:
        """Whether the next page is better read by another pass: rows that this one stepped over may
        go out now, or there are as many of them as may be in flight.
        """
        return (
            self._stopping.is_set()
            or (self._stepped_over > 0 and self._publisher.proofs.news)
            or self._stepped_over > self._loaded.relay_in_flight_max
        )

    def _publish(self, rows: list[outbox.Row], *, held: set[str]) -> bool:
        """Hand a page over in order; False when the pass must end here."""
        if faults.ENABLED and rows:
            faults.hit("relay.before_produce")
        known, owned = self.known, self._leases.owned
        stop_at, clock = self._leases.stop_at, time.monotonic
        target, admit = self._publisher, self._topics.admit
        plain, fresh_until = not self._rules and not self.suspects, target.proofs.fresh_until
        for row in rows:
            row_id, shard, key = row[0], row[2], row[3]
            if row_id in known or key in held:
                continue
            now = clock()
            if now >= stop_at or target.fatal:
                return False
            if self.suspects and not self._is_next_suspect(row_id):
                continue
            if not admit(row[4]) or target.too_large(row):
                self._hold_back(row, held=held)
                continue
            if plain and now < fresh_until.get(row[4], 0.0):
                if not target.send(row, epoch=owned[shard]):
                    return False
            elif not self._send_with_care(row, now=now, held=held):
                continue
            known[row_id] = shard
        return True

    def _hold_back(self, row: outbox.Row, *, held: set[str]) -> None:
        """A row that may not be sent: its key waits for the rest of the pass, and it may have to be
        parked.
        """
        if row[4] in self._topics.held and not self._topics.given_up(row[4]):
            return
        held.add(row[3])
        size = publisher.record_bytes(row)
        missing = row[4] not in self._topics.counts
        self.to_park.append(
            publisher.Failure(
                row=row,
                code=None,
                error_class="UNKNOWN_TOPIC" if missing else "MSG_SIZE_TOO_LARGE",
                message=f"{row[4]} is not there"
                if missing
                else f"{size} bytes, {row[4]} takes {self._publisher.limits.get(row[4])}",
            )
        )

    def _send_with_care(self, row: outbox.Row, *, now: float, held: set[str]) -> bool:
        """Send where the broker may not know us yet, a suspect, or as the fault rules want it;
        False when the row was not sent.
        """
        known = self._publisher.proofs
        proves = known.to_prove(row[4], row[3], partitions=self._topics.counts[row[4]], now=now)
        if proves is not None and known.waits(proves):
            self._stepped_over += 1
            return False
        mode, copies = None, 0
        if self._rules is not None:
            mode = self._rules.broker_mode(aggregate_id=row[7], event_type=row[9])
            copies = self._rules.duplicates(aggregate_id=row[7], event_type=row[9])
        sent = mode != "before_send" and self._publisher.send(
            row,
            epoch=self._leases.owned[row[2]],
            proves=proves,
            copies=copies,
            forget=mode is not None,
        )
        if not sent:
            held.add(row[3])
        elif self.suspects:
            self.group -= 1
        return sent

    def _is_next_suspect(self, row_id: int) -> bool:
        """Suspects go out in groups, and nothing else goes out beside them."""
        return row_id in self.suspects and self.group > 0

    def forget_settled(self) -> None:
        """Let go of marked rows. Only before a snapshot is taken: an older one still shows them
        unpublished.
        """
        settled = self._marker.settled
        while settled:
            for row_id in settled.popleft():
                self.known.pop(row_id, None)

    def _wait_for_room(self) -> bool:
        """Wait a moment for marks when too many rows are in flight; False ends the pass."""
        deadline = time.monotonic() + _ROOM_WAIT_SECONDS
        while self.in_flight + self._page_rows > self._loaded.relay_in_flight_max:
            left = deadline - time.monotonic()
            if left <= 0 or self._stopping.is_set() or self._publisher.halted:
                return False
            self._marker.progress.wait(left)
            self._marker.progress.clear()
        return True

    def _size_page(self, rows: list[outbox.Row]) -> None:
        """Keep a page within its bytes, by the size of the last one."""
        row_bytes = max(sum(len(row[5]) for row in rows) // len(rows), 1)
        fitting = max(self._loaded.relay_page_bytes_max // row_bytes, 1)
        self._page_rows = min(
            fitting, self._loaded.relay_page_rows_max, self._loaded.relay_in_flight_max
        )

    @contextlib.contextmanager
    def _snapshot(self, conn: outbox.Connection) -> Generator[None]:
        outbox.begin_snapshot(conn)
        try:
            yield
        finally:
            if not conn.closed:
                outbox.end_snapshot(conn)
