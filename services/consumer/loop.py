"""The thread that owns all Kafka calls: take, plan, hand to the writer, commit offsets after it.

Offsets are a hint. What was applied is in the database, and a record that comes again is dropped
there, so every doubt here is decided for taking a record twice.
"""

import queue
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any

from services.consumer import partitions, plans, records, status, writer
from services.consumer.settings import ConsumerSettings
from shared import faults, kafka, telemetry

POLL_SECONDS = 0.1
REPORT_SECONDS = 1.0
PROBE_SECONDS = 5.0
PROBE_TIMEOUT_SECONDS = 1.0
COMMITTED_TIMEOUT_SECONDS = 2.0
NO_OFFSET = -1

_log = telemetry.logger(__name__)

type Taken = tuple[records.Record, int]
"""A record and the epoch of its partition when it was taken."""


class Loop:
    """One consumer of the group; run() is the body of its thread."""

    def __init__(
        self,
        *,
        settings: ConsumerSettings,
        consumer: str,
        owned: partitions.Partitions,
        state: status.Status,
        output: writer.Writer,
        stopping: threading.Event,
    ) -> None:
        self._settings = settings
        self._partitions = owned
        self._status = state
        self._writer = output
        self._stopping = stopping
        self._under_way = 0
        self._paused: list[kafka.TopicPartition] = []
        self._spare: list[Taken] = []
        self._report_at = 0.0
        self._probe_at = 0.0
        self._records = telemetry.counter("oncely.consumer.records")
        self._rebalances = telemetry.counter("oncely.consumer.rebalances")
        self._lag = telemetry.gauge("oncely.consumer.lag")
        options = kafka.consumer_options(
            settings.kafka_bootstrap_servers,
            client_id=consumer,
            group_id=settings.consumer_group,
            group_instance_id=settings.group_instance_id,
            group_protocol=settings.group_protocol,
            session_timeout_ms=settings.session_timeout_ms,
            max_poll_interval_ms=max(settings.max_poll_interval_ms, settings.session_timeout_ms),
        )
        options |= {"error_cb": self._on_error, "on_commit": self._on_commit}
        self._consumer = kafka.Consumer(options)

    def run(self) -> None:
        """Until asked to stop; then drain, commit, leave the group."""
        self._consumer.subscribe(
            self._settings.topics,
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        while not self._stopping.is_set():
            self._turn()
        self._wait_for_writer(self._settings.drain_seconds * 0.7)
        self._commit(self._partitions.to_commit(), wait=True)
        self._report()
        self._consumer.close()

    def _turn(self) -> None:
        self._status.kafka_loop.beat()
        self._finish_jobs()
        if time.monotonic() >= self._report_at:
            self._report()
        if self._under_way >= self._settings.queue_batches_max:
            self._wait_or_pause()
            return
        self._resume()
        taken = self._take()
        if taken:
            self._hand_over(taken)

    def _take(self) -> list[records.Record]:
        """A batch: of whatever is there when nothing is under way, else gathered for a moment."""
        spare, self._spare = self._spare, []
        first: list[Taken] = []
        if not spare and self._under_way == 0:
            message = self._consumer.poll(POLL_SECONDS)
            if message is None:
                return []
            first = self._read([message])
        seconds = 0.0 if spare or first else self._settings.batch_linger_ms / 1000
        room = max(self._settings.batch_size_max - len(spare) - len(first), 1)
        rest = self._read(self._consumer.consume(room, seconds))
        # A rebalance inside a call above took away what an earlier call had given.
        return [
            record
            for record, epoch in [*spare, *first, *rest]
            if self._partitions.is_current((record.topic, record.partition), epoch)
        ]

    def _read(self, messages: Sequence[kafka.Message]) -> list[Taken]:
        taken: list[Taken] = []
        for message in messages:
            if (error := message.error()) is not None:
                self._on_error(error)
                continue
            record = record_of(message)
            taken.append((record, self._partitions.epoch((record.topic, record.partition))))
        return taken

    def _hand_over(self, taken: list[records.Record]) -> None:
        """Plan, and keep for the next turn what the rules left no time for."""
        if faults.ENABLED:
            faults.hit("consumer.after_poll")
        self._status.kafka_error = ""
        planned = plans.make(taken, self._writer.rules())
        self._spare = [
            (record, self._partitions.epoch((record.topic, record.partition)))
            for record in taken[planned.taken :]
        ]
        taken = taken[: planned.taken]
        self._records.add(len(taken))
        ends: dict[partitions.Partition, tuple[int, int]] = {}
        for record in taken:
            partition = (record.topic, record.partition)
            _, end = ends.get(partition, (0, 0))
            ends[partition] = (
                self._partitions.epoch(partition),
                max(end, record.offset + 1),
            )
        self._writer.submit(writer.Job(plan=planned, records=len(taken), ends=ends))
        self._under_way += 1

    def _finish_jobs(self, *, wait_seconds: float = 0.0) -> None:
        """Commit the offsets of every partition of the jobs that the database has committed."""
        finished = False
        while self._under_way:
            try:
                job = self._writer.done.get(wait_seconds > 0, wait_seconds or None)
            except queue.Empty:
                break
            wait_seconds = 0.0
            finished = True
            self._under_way -= 1
            for partition, (epoch, end) in job.ends.items():
                if self._partitions.is_current(partition, epoch):
                    self._partitions.applied(partition, end)
        if finished:
            self._status.moved()
            self._commit(self._partitions.to_commit(), wait=False)

    def _commit(self, offsets: list[tuple[str, int, int]], *, wait: bool) -> None:
        if not offsets:
            return
        places = [kafka.TopicPartition(*offset) for offset in offsets]
        try:
            if wait:
                committed = self._consumer.commit(offsets=places, asynchronous=False)
                self._on_commit(None, committed or [])
            else:
                self._consumer.commit(offsets=places, asynchronous=True)
                for topic, partition, offset in offsets:
                    self._partitions.committed[topic, partition] = offset
        except kafka.KafkaException as error:
            # Generation gone or broker away: the records come again and are dropped as redelivered.
            _log.warning("offsets not committed", error=str(error))
        if faults.ENABLED:
            faults.hit("consumer.after_offset_commit")

    def _wait_or_pause(self) -> None:
        """The queue is full: take no more, but keep polling while the database is slow or away."""
        self._finish_jobs(wait_seconds=self._settings.pause_after_seconds)
        if self._under_way < self._settings.queue_batches_max:
            return
        if not self._paused:
            self._paused = self._consumer.assignment()
            self._consumer.pause(self._paused)
            _log.info("partitions paused", partitions=len(self._paused))
        # Partitions that came with a rebalance are not paused: keep what they give, pause them too.
        came = self._read(self._consumer.consume(self._settings.batch_size_max, POLL_SECONDS))
        if came:
            self._spare.extend(came)
            self._paused = self._consumer.assignment()
            self._consumer.pause(self._paused)

    def _resume(self) -> None:
        if self._paused:
            ours = self._consumer.assignment()
            self._consumer.resume(ours)
            self._paused = []
            _log.info("partitions resumed", partitions=len(ours))

    def _wait_for_writer(self, seconds: float) -> None:
        """Let the writer finish what is under way, for so long."""
        deadline = time.monotonic() + seconds
        while self._under_way and (left := deadline - time.monotonic()) > 0:
            self._status.kafka_loop.beat()
            self._finish_jobs(wait_seconds=min(left, POLL_SECONDS))

    def _on_assign(self, _consumer: kafka.Consumer, given: list[kafka.TopicPartition]) -> None:
        if faults.ENABLED:
            faults.hit("consumer.on_assign")
        self._partitions.give(_names(given))
        self._changed("assigned", given)

    def _on_revoke(self, _consumer: kafka.Consumer, taken: list[kafka.TopicPartition]) -> None:
        """Drain first, then commit what is going away, then let go."""
        if faults.ENABLED:
            faults.hit("consumer.on_revoke")
        self._wait_for_writer(self._settings.revoke_drain_seconds)
        self._commit(self._partitions.to_commit(_names(taken)), wait=True)
        self._partitions.take_away(_names(taken))
        self._changed("revoked", taken)

    def _on_lost(self, _consumer: kafka.Consumer, taken: list[kafka.TopicPartition]) -> None:
        """Somebody else may own them already: commit nothing."""
        if faults.ENABLED:
            faults.hit("consumer.on_lost")
        self._partitions.take_away(_names(taken))
        self._changed("lost", taken)

    def _changed(self, kind: str, among: list[kafka.TopicPartition]) -> None:
        self._rebalances.add(1, {"kind": kind})
        self._status.joined = kind == "assigned" or bool(self._partitions.owned)
        self._status.partitions = len(self._partitions.owned)
        self._status.moved()
        self._report_at = 0.0
        _log.info("partitions changed", kind=kind, count=len(among), owned=self._status.partitions)

    def _on_error(self, error: kafka.KafkaError) -> None:
        if error.fatal():
            raise kafka.KafkaException(error)
        if error.code() == kafka.KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 the client's public name for it
            self._status.kafka_error = "no broker answers"
        elif error.code() == kafka.KafkaError.UNKNOWN_TOPIC_OR_PART:
            self._status.kafka_error = str(error)
        _log.warning("kafka", error=str(error))

    def _on_commit(
        self, error: kafka.KafkaError | None, offsets: list[kafka.TopicPartition]
    ) -> None:
        failed = [each for each in offsets if each.error is not None]
        for each in failed:
            # Forget it: the next completion of the partition, or its revocation, commits again.
            self._partitions.committed.pop((each.topic, each.partition), None)
        if error is not None or failed:
            reason = str(error or failed[0].error)
            _log.warning("offsets not committed", error=reason)

    def _report(self) -> None:
        """Once a second: lag for the table, the metric and the probes."""
        self._report_at = time.monotonic() + REPORT_SECONDS
        self._probe()
        self._learn_committed()
        rows: list[tuple[str, int, int, int]] = []
        for topic, partition in sorted(self._partitions.owned):
            committed = self._partitions.committed.get((topic, partition))
            # Cached: what the last fetch said, without asking a broker.
            ends = self._consumer.get_watermark_offsets(
                kafka.TopicPartition(topic, partition), cached=True
            )
            if committed is None or ends[1] < 0:
                continue
            start = max(committed, ends[0], 0)
            rows.append((topic, partition, start, ends[1]))
            self._lag.set(max(ends[1] - start, 0), {"topic": topic, "partition": partition})
        self._status.lag = sum(max(end - start, 0) for _, _, start, end in rows)
        if not self._status.lag:
            self._status.moved()
        self._writer.progress = rows

    def _learn_committed(self) -> None:
        """Where the group stands in partitions that were just assigned."""
        unknown = [p for p in sorted(self._partitions.owned) if p not in self._partitions.committed]
        if not unknown:
            return
        places = [kafka.TopicPartition(*partition) for partition in unknown]
        try:
            found = self._consumer.committed(places, timeout=COMMITTED_TIMEOUT_SECONDS)
        except kafka.KafkaException as error:
            _log.warning("committed offsets unknown", error=str(error))
            return
        for place in found:
            offset = place.offset if place.offset >= 0 else NO_OFFSET
            self._partitions.committed.setdefault((place.topic, place.partition), offset)

    def _probe(self) -> None:
        """Ask the brokers whether they are there: at once while they are not, else now and then."""
        if not self._status.kafka_error and time.monotonic() < self._probe_at:
            return
        self._probe_at = time.monotonic() + PROBE_SECONDS
        try:
            known = self._consumer.list_topics(timeout=PROBE_TIMEOUT_SECONDS).topics
        except kafka.KafkaException as error:
            self._status.kafka_error = f"no broker answers ({error.args[0].name()})"
            return
        missing = [topic for topic in self._settings.topics if topic not in known]
        self._status.kafka_error = f"topics missing: {', '.join(missing)}" if missing else ""


def record_of(message: kafka.Message) -> records.Record:
    """Copy a message out of the client. A header name that is no text makes it poison later."""
    key: Any = message.key()
    value: Any = message.value()
    return records.Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        key=key,
        value=value,
        headers=kafka.headers_of(message),
    )


def _names(given: Iterable[kafka.TopicPartition]) -> list[partitions.Partition]:
    return [(each.topic, each.partition) for each in given]
