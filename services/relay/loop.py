"""The relay's main loop: keep the leases, hand rows over, follow refusals, mend, drain.

What reads and produces is in handover.py; the marker's threads mark.
"""

import contextlib
import threading
import time

from services.relay import (
    dead_letters,
    handover,
    leases,
    marker,
    probe,
    publisher,
    refusals,
    settings,
    topics,
    wakeup,
)
from services.relay.queries import letters, outbox
from shared import database, errors, fault_rules, faults, health, live, telemetry

_LOOK_SECONDS = 1.0
_BACKLOG_COUNT_MAX = 10_000
_SETTLE_SLICE_SECONDS = 0.01
_FRESH_SECONDS_MAX = 3.0
_RETRY_SECONDS = 0.1
_RETRY_SECONDS_MAX = 1.0
_PURGE_SECONDS = 1.0
# A statement may take its 30 s timeout before the loop counts as dead.
_SILENT_SECONDS_MAX = 45.0

_log = telemetry.logger(__name__)


class Relay:
    """One process's relay. `run` returns after a drain; what nothing here mends ends it."""

    def __init__(
        self,
        loaded: settings.RelaySettings,
        *,
        instance: str,
        stopping: threading.Event,
        rules: fault_rules.FaultRules | None,
    ) -> None:
        self._loaded = loaded
        self._stopping = stopping
        self._name = f"oncely-relay {instance}"
        self.heartbeat = health.Heartbeat(silent_seconds_max=_SILENT_SECONDS_MAX)
        self.leases = leases.Leases(loaded, instance=instance)
        self.publisher = publisher.Publisher(
            loaded.kafka_bootstrap_servers, client_id=f"oncely-relay-{instance}"
        )
        self.topics = topics.Topics(loaded, self.publisher)
        self._announcer = live.Announcer(
            loaded.database_dsn, instance=instance, interval_ms=loaded.live_interval_ms
        )
        self.wakeup = wakeup.Wakeup(loaded.database_dsn, instance=instance)
        self.marker = marker.Marker(
            loaded,
            instance=instance,
            owner=self.leases.owner,
            source=self.publisher,
            wake=self.wakeup.wake,
            announcer=self._announcer,
        )
        self.handover = handover.Handover(
            loaded,
            owned=self.leases,
            target=self.publisher,
            known_topics=self.topics,
            marks=self.marker,
            stopping=stopping,
            rules=rules,
        )
        # Keys that wait, with the outbox id of the parked row; rows before that one do not wait.
        self.waiting_keys: dict[str, int] = {}
        self._waiting_filter = database.Jsonb({})
        self.backlog = (0, 0.0)
        self.database_away = True
        self.idle_at = time.monotonic()
        self._conn: outbox.Connection | None = None
        self._pause = 0.0
        self._retry_pause = _RETRY_SECONDS
        self._halted_at = 0.0
        self._look_at = 0.0
        self._requests_at = 0.0
        self._maintenance_at = 0.0
        self._gauges = {
            "shards": telemetry.gauge("oncely.relay.shards.owned"),
            "unpublished": telemetry.gauge("oncely.outbox.unpublished"),
            "age": telemetry.gauge("oncely.outbox.oldest_unpublished.age"),
            "waiting": telemetry.gauge("oncely.outbox.waiting_keys"),
        }

    @property
    def in_flight(self) -> int:
        """Rows that were handed over and are neither marked nor given up."""
        return self.handover.in_flight

    def run(self) -> None:
        self.wakeup.start()
        self.topics.start()
        self._announcer.start()
        self.marker.start()
        while not self._stopping.is_set():
            self._guarded_turn()
        self._drain()

    def _guarded_turn(self) -> None:
        """The fate of an error: a broken connection is mended, a conflict repeated, a bug ends the
        process.
        """
        try:
            self._turn()
            self._retry_pause = _RETRY_SECONDS
        except database.Error as error:
            kind = database.kind_of(error)
            if kind not in {database.ErrorKind.CONNECTION, database.ErrorKind.CONFLICT}:
                raise
            if kind is database.ErrorKind.CONNECTION:
                self._lose_connection(error)
            self._stopping.wait(self._retry_pause)
            self._retry_pause = min(self._retry_pause * 2, _RETRY_SECONDS_MAX)
        except errors.InjectedFault:
            _log.warning("injected fault", at="loop")
            self._stopping.wait(_RETRY_SECONDS)

    def _turn(self) -> None:
        self.heartbeat.beat()
        self.leases.broker_away = self.publisher.broker_away
        for failed in (self.marker.failed, self.topics.failed):
            if failed is not None:
                raise failed
        conn = self._connection()
        self._keep(conn)
        if self.publisher.halted or self.handover.to_park or self.publisher.limit_batches():
            self._resolve(conn)
            return
        may_publish = self.leases.active and self.leases.may_produce and self.topics.fresh
        published = 0
        if may_publish:
            if self.leases.taken_expired:
                self._look_at_last_records(conn)
            published = self.handover.publish_backlog(conn, waiting_keys=self._waiting_filter)
        self._rest(published=published)

    # Keeping: leases, requests, what a person looks at.

    def _keep(self, conn: outbox.Connection) -> None:
        while self.marker.fenced_shards:
            self.leases.drop(list(self.marker.fenced_shards.popleft()))
        if self.leases.tick(conn):
            self._after_take(conn)
        self.database_away = False
        if self.leases.leaving:
            self.handover.forget_settled()
            busy = set(self.handover.known.values())
            self.leases.release(conn, [s for s in self.leases.leaving if s not in busy])
        now = time.monotonic()
        if self.in_flight == 0:
            self.idle_at = now
        if now >= self._requests_at:
            self._requests_at = now + self._loaded.relay_requests_seconds
            self._look_at_requests(conn)
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._measure(conn)
        if now >= self._maintenance_at:
            self._maintain(conn)

    def _after_take(self, conn: outbox.Connection) -> None:
        if faults.ENABLED:
            faults.hit("relay.after_lease_take")
        self._set_waiting(letters.waiting_keys(conn, shards=self.leases.active))

    def _look_at_last_records(self, conn: outbox.Connection) -> None:
        """What a dead owner had published. Not at the take: a relay that has just started does not
        know the topics yet.
        """
        self.leases.taken_expired = False
        probe.mark_last_records(
            conn,
            self._loaded,
            owner=self.leases.owner,
            owned=self.leases.owned,
            topics=list(self.topics.counts),
        )

    def _look_at_requests(self, conn: outbox.Connection) -> None:
        """Redrives and discards; then the waiting keys, which go only here, between two passes."""
        touched = dead_letters.act_on_requests(
            conn,
            owner=self.leases.owner,
            shards=self.leases.active,
            limit=self._loaded.relay_requests_max,
            announcer=self._announcer,
        )
        if touched:
            self.topics.ask()  # a redrive often follows a changed limit
        self._set_waiting(letters.waiting_keys(conn, shards=self.leases.active))

    def _set_waiting(self, found: dict[str, int]) -> None:
        self.waiting_keys = found
        self._waiting_filter = database.Jsonb(found)

    def _measure(self, conn: outbox.Connection) -> None:
        self.backlog = outbox.backlog(conn, shards=self.leases.active, count_max=_BACKLOG_COUNT_MAX)
        self.marker.clock_offset = outbox.database_seconds(conn) - time.monotonic()
        self._gauges["shards"].set(len(self.leases.owned))
        self._gauges["unpublished"].set(self.backlog[0])
        self._gauges["age"].set(self.backlog[1])
        self._gauges["waiting"].set(len(self.waiting_keys))

    def _maintain(self, conn: outbox.Connection) -> None:
        """Make the next days' partitions and drop old ones; a busy table is tried again in a
        minute.
        """
        self._maintenance_at = time.monotonic() + self._loaded.outbox_maintenance_seconds
        try:
            with conn.transaction():
                made = outbox.make_partitions(conn, days_ahead=self._loaded.outbox_days_ahead)
            with conn.transaction():
                dropped = outbox.drop_partitions(
                    conn, retention_days=self._loaded.outbox_retention_days
                )
        except database.Error as error:
            if database.kind_of(error) is not database.ErrorKind.CONFLICT:
                raise
            self._maintenance_at = time.monotonic() + 60
            _log.warning("outbox partitions busy")
        else:
            _log.info("outbox partitions kept", made=made, dropped=dropped)

    # Refusals.

    def _resolve(self, conn: outbox.Connection) -> None:
        """Once everything has an outcome: park the guilty, hold topics, rebuild, and read again."""
        now = time.monotonic()
        if self._halted_at == 0.0:
            self._halted_at = now
            self.topics.ask()
        waited = now - self._halted_at
        if self.publisher.outstanding or not (self.topics.fresh or waited > _FRESH_SECONDS_MAX):
            if waited > self._loaded.lease_seconds / 4:
                self.publisher.purge()
            self.marker.progress.wait(_SETTLE_SLICE_SECONDS)
            self.marker.progress.clear()
            return
        self._halted_at = 0.0
        failures = self.publisher.take_failures()
        for failure in failures:
            self.handover.known.pop(failure.row[0], None)
        self._follow(conn, refusals.judge(failures, too_large=self.publisher.too_large))
        if self.publisher.fatal or self.publisher.limit_batches():
            self.publisher.rebuild()

    def _follow(self, conn: outbox.Connection, verdict: refusals.Verdict) -> None:
        for topic, reason in verdict.topics.items():
            self.topics.hold(topic, reason)
        self.handover.suspects = verdict.suspects
        self.handover.group = refusals.group_size(refused=len(verdict.suspects))
        if verdict.suspects:
            _log.info("refused batch is halved", suspects=len(verdict.suspects))
        guilty, self.handover.to_park = [*verdict.park, *self.handover.to_park], []
        for failure in guilty:
            row = failure.row
            epoch = self.leases.owned.get(row[2])
            # A second guilty row of a key stays where it is: it is looked at when its turn comes.
            if epoch is None or row[0] > self.waiting_keys.get(row[3], row[0]):
                continue
            waits = dead_letters.park(
                conn,
                owner=self.leases.owner,
                epoch=epoch,
                row=row,
                error_class=failure.error_class,
                error_message=failure.message,
                announcer=self._announcer,
            )
            if waits:
                self._set_waiting({**self.waiting_keys, row[3]: row[0]})

    # Waiting, mending.

    def _rest(self, *, published: int) -> None:
        """Sleep between reads: short while rows come, then longer; a notification ends it."""
        warm = self._loaded.relay_poll_interval_ms / 1000
        self._pause = (
            warm
            if published
            else min(self._pause * 2, self._loaded.relay_poll_interval_ms_max / 1000)
        )
        if self.handover.suspects:
            self._wait_for_suspects()
        elif not (self.handover.deep and published):
            self.wakeup.sleep(max(self._pause, warm))

    def _wait_for_suspects(self) -> None:
        """The next group goes out when the last one is acknowledged; without a next one, all goes
        on.
        """
        if self.in_flight:
            self.marker.progress.wait(_SETTLE_SLICE_SECONDS)
            self.marker.progress.clear()
            return
        sent = refusals.group_size(refused=len(self.handover.suspects)) - self.handover.group
        self.handover.group = (
            refusals.group_size(refused=len(self.handover.suspects)) if sent else 0
        )
        if not sent:
            self.handover.suspects = frozenset()

    def _connection(self) -> outbox.Connection:
        if self._conn is None or self._conn.closed:
            self._conn = database.connect(
                self._loaded.database_dsn, application_name=self._name, autocommit=True
            )
            outbox.prepare_session(self._conn)
        return self._conn

    def _lose_connection(self, error: database.Error) -> None:
        """Postgres is away: publish nothing more once half of the lease is gone."""
        self.database_away = True
        if self._conn is not None:
            self._conn.close()
            self._conn = None
        _log.warning("database away", sqlstate=error.sqlstate)
        if not self.leases.may_produce and self.publisher.outstanding:
            self.publisher.purge()

    def _drain(self) -> None:
        """Flush, mark what was acknowledged, release the leases; all within DRAIN_SECONDS."""
        deadline = time.monotonic() + self._loaded.drain_seconds * 0.8
        while self.in_flight > 0 and time.monotonic() < deadline:
            self.heartbeat.beat()
            with contextlib.suppress(database.Error):
                self.leases.renew_when_due(self._connection())
            self.marker.progress.wait(_SETTLE_SLICE_SECONDS)
            self.marker.progress.clear()
        clean = self.in_flight == 0
        if self.publisher.outstanding:
            self.publisher.purge()
            end = time.monotonic() + _PURGE_SECONDS
            while self.publisher.outstanding and time.monotonic() < end:
                time.sleep(_SETTLE_SLICE_SECONDS)
        self.marker.close()
        try:
            self.leases.leave(self._connection(), clean=clean)
        except database.Error as error:
            _log.warning("leases not released", sqlstate=error.sqlstate)
        if self._conn is not None:
            self._conn.close()
        # Last, because it may wait for its connection: the shards are free by now.
        self.topics.close()
        self.wakeup.close()
        self._announcer.close()
        _log.info("drained", clean=clean, unmarked=self.in_flight)
