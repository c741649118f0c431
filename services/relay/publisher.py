"""Rows in, outcomes out. An outcome is one of three: acknowledged with its place, refused with an
error, or unknown (the row stays unpublished and is sent again).

The producer is idempotent and gapless: after a refused batch it turns fatal and writes nothing
later, where proofs.py says so, and `rebuild` makes a new one. Refusals are judged in refusals.py.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any

import msgspec

from services.relay import proofs
from services.relay.queries import outbox
from shared import kafka, telemetry

# Room for what a batch adds to its record: 61 bytes of batch header, 21 of record, 4 for each
# header.
_BATCH_OVERHEAD_BYTES = 100
_HEADER_OVERHEAD_BYTES = 4
# Below limit minus this, a payload needs no exact measure: key and headers are bounded by the api.
_ENVELOPE_BYTES_MAX = 8_192
_BATCH_BYTES_MIN = 1_024

# The row may or may not be in the log: purged by us, or given up when the producer turned fatal.
UNKNOWN_CODES = frozenset(
    {
        kafka.KafkaError._PURGE_QUEUE,  # noqa: SLF001
        kafka.KafkaError._PURGE_INFLIGHT,  # noqa: SLF001
        kafka.KafkaError._GAPLESS_GUARANTEE,  # noqa: SLF001
        kafka.KafkaError._FATAL,  # noqa: SLF001
        kafka.KafkaError._DESTROY,  # noqa: SLF001
        kafka.KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        kafka.KafkaError._TRANSPORT,  # noqa: SLF001
    }
)

_SPEC_VERSION = ("ce_specversion", "1.0")
_CONTENT_TYPE = ("content-type", "application/json")
_NO_REPLAY = ("x-replay", "0")
_TIMES_KEPT = 256

_log = telemetry.logger(__name__)
_client_log = logging.getLogger("librdkafka")


def _says_something(record: logging.LogRecord) -> bool:
    """Every new producer calls the gapless guarantee experimental. It was chosen and is tested."""
    return "enable.gapless.guarantee is experimental" not in record.getMessage()


_client_log.addFilter(_says_something)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A row without an acknowledgement; no code means that the outcome is unknown."""

    row: outbox.Row
    code: int | None
    error_class: str
    message: str


class Acknowledgements:
    """What one poll brought: the moment, the rows with their places, and beside each its event."""

    __slots__ = ("acked_at", "events", "places")

    def __init__(self) -> None:
        self.acked_at = time.monotonic()
        # id, created_at, shard, partition, offset, epoch
        self.places: list[tuple[Any, ...]] = []
        # event id, event type: for who watches
        self.events: list[tuple[str, str]] = []


class Publisher:
    """One producer at a time. `send` and `rebuild` belong to the loop, `poll` to the thread of the
    reports.
    """

    def __init__(self, bootstrap_servers: str, *, client_id: str) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._failures: deque[Failure] = deque()
        self._acked: list[tuple[Any, ...]] = []
        self._acked_events: list[tuple[str, str]] = []
        self.limits: dict[str, int] = {}
        self.handed = 0
        self.failed = 0
        self.fatal = False
        self.broker_away = False
        self.last_ack_at = time.monotonic()
        self.batch_bytes = 0
        self._producer = self._make()

    def send(
        self,
        row: outbox.Row,
        *,
        epoch: int,
        proves: proofs.Place | None = None,
        copies: int = 0,
        forget: bool = False,
    ) -> bool:
        """Hand one row to the producer; False when it takes no more (queue full, fatal, refused).

        `copies` and `forget` are fault injection: extra records, and an outcome that is looked away
        from.
        """
        report = partial(self._report_unknown if forget else self._report, row, epoch)
        if proves is not None:
            report = partial(_report_proof, self.proofs, proves, report)
        headers = headers_of(row)
        try:
            self._producer.produce(row[4], row[5], row[3], on_delivery=report, headers=headers)
            for _ in range(copies):
                self._producer.produce(row[4], row[5], row[3], headers=headers)
        except BufferError:
            return False
        except kafka.KafkaException as error:
            self._refuse_at_once(row, error.args[0])
            return False
        self.handed += 1
        if proves is not None:
            self.proofs.ask(proves)
        return True

    def poll(self, seconds: float) -> Acknowledgements | None:
        """Serve delivery reports; returns what was acknowledged meanwhile."""
        try:
            self._producer.poll(seconds)
        except kafka.KafkaException as error:
            # The client raises a fatal error here, once, instead of calling error_cb with it.
            self._on_error(error.args[0])
        if not self._acked:
            return None
        found = Acknowledgements()
        found.places, self._acked = self._acked, found.places
        found.events, self._acked_events = self._acked_events, found.events
        self.last_ack_at = found.acked_at
        self.broker_away = False
        return found

    @property
    def outstanding(self) -> int:
        """Records without a delivery report."""
        return len(self._producer)

    @property
    def halted(self) -> bool:
        """True when something was not acknowledged and must be looked at before anything else is
        sent.
        """
        return self.fatal or bool(self._failures)

    def take_failures(self) -> list[Failure]:
        """Everything refused or unknown since the last call; nothing may be outstanding."""
        self.proofs.give_up()
        failures = list(self._failures)
        for _ in failures:
            self._failures.popleft()
        return failures

    def purge(self) -> None:
        """Give up what is queued or in flight: its outcome becomes unknown, and the producer is
        spent.
        """
        self.fatal = True
        self._producer.purge(blocking=False)

    def rebuild(self) -> None:
        """Replace the producer. The old one holds nothing any more, or its rest was purged."""
        self._producer = self._make()
        self.fatal = False
        telemetry.counter("oncely.relay.producer.rebuilds").add(1)
        _log.info("producer rebuilt", batch_bytes=self.batch_bytes)

    def limit_batches(self) -> bool:
        """Whether a batch of ours may exceed a topic's limit and so be refused as a whole."""
        return self.batch_bytes > self._batch_bytes_allowed()

    def too_large(self, row: outbox.Row) -> bool:
        """Whether the broker would refuse this row for its size alone."""
        limit = self.limits.get(row[4], kafka.MESSAGE_BYTES_MAX)
        if len(row[5]) + _ENVELOPE_BYTES_MAX < limit:
            return False
        return record_bytes(row) > min(limit, kafka.MESSAGE_BYTES_MAX)

    def broker_answers(self, seconds: float) -> bool:
        """Ask for metadata once; an answer ends `broker_away`."""
        try:
            self._producer.list_topics(timeout=seconds)
        except kafka.KafkaException:
            self.broker_away = True
        else:
            self.broker_away = False
        return not self.broker_away

    def _make(self) -> kafka.Producer:
        options = kafka.producer_options(self._bootstrap_servers, client_id=self._client_id)
        self.batch_bytes = min(int(options["batch.size"]), self._batch_bytes_allowed())
        options["batch.size"] = self.batch_bytes
        options["error_cb"] = self._on_error
        options["logger"] = _client_log
        self.proofs = proofs.Proofs()
        return kafka.Producer(options)

    def _batch_bytes_allowed(self) -> int:
        smallest = min(self.limits.values(), default=kafka.MESSAGE_BYTES_MAX)
        return max(smallest - _BATCH_OVERHEAD_BYTES, _BATCH_BYTES_MIN)

    def _report(self, row: outbox.Row, epoch: int, error: Any, message: Any) -> None:
        """One delivery report: the hottest callback of the relay."""
        if error is None:
            self._acked.append(
                (row[0], row[1], row[2], message.partition(), message.offset(), epoch)
            )
            self._acked_events.append((row[6], row[9]))
        else:
            self._fail(row, error)

    def _report_unknown(self, row: outbox.Row, _epoch: int, _error: Any, _message: Any) -> None:
        self._failures.append(
            Failure(
                row=row, code=None, error_class="INJECTED", message="outcome unknown on purpose"
            )
        )
        self.failed += 1

    def _refuse_at_once(self, row: outbox.Row, error: Any) -> None:
        if error.code() == kafka.KafkaError._FATAL:  # noqa: SLF001 the client's name for a fatal producer
            self.fatal = True
            return
        self.handed += 1
        self._fail(row, error)

    def _fail(self, row: outbox.Row, error: Any) -> None:
        code = None if error.code() in UNKNOWN_CODES else error.code()
        self._failures.append(
            Failure(row=row, code=code, error_class=error.name(), message=error.str())
        )
        self.failed += 1
        self.fatal = self.fatal or error.fatal()

    def _on_error(self, error: Any) -> None:
        if error.fatal():
            self.fatal = True
        elif error.code() == kafka.KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 the client's name
            self.broker_away = True
        _log.warning("producer error", code=error.name(), fatal=error.fatal())


def _report_proof(
    known: proofs.Proofs,
    place: proofs.Place,
    report: Callable[[Any, Any], None],
    error: Any,
    message: Any,
) -> None:
    """A delivery report that also proves a place. A failure opens nothing before it is judged."""
    report(error, message)
    if error is None:
        known.settle(place, (message.topic(), message.partition()))


def headers_of(row: outbox.Row) -> list[tuple[str, str | bytes | None]]:
    """The same headers as events.encode_headers, built from a row without a struct in between."""
    (row_id, created_at, _, _, _, _, event_id, aggregate_id, aggregate_seq, event_type, replay,
     source, subject, occurred_at, traceparent) = row  # fmt: skip
    headers: list[tuple[str, str | bytes | None]] = [
        _SPEC_VERSION,
        ("ce_id", f"{aggregate_id}-{event_type}"),
        ("ce_type", event_type),
        ("ce_source", source),
        _time_header(occurred_at or created_at),
        _CONTENT_TYPE,
        ("traceparent", traceparent),
        ("x-event-id", event_id),
        ("x-aggregate-seq", str(aggregate_seq)),
        ("x-outbox-id", str(row_id)),
        ("x-replay", str(replay)) if replay else _NO_REPLAY,
    ]
    if subject is not None:
        headers.append(("ce_subject", subject))
    return headers


# The rows of one commit share their created_at, so the text is made once for them.
@lru_cache(maxsize=_TIMES_KEPT)
def _time_header(moment: datetime) -> tuple[str, str]:
    return "ce_time", moment.isoformat()


def record_bytes(row: outbox.Row) -> int:
    """Size of a batch that holds this row alone, uncompressed and rounded up."""
    headers = sum(
        len(name) + len(str(value).encode()) + _HEADER_OVERHEAD_BYTES
        for name, value in headers_of(row)
    )
    return len(row[5]) + len(row[3].encode()) + headers + _BATCH_OVERHEAD_BYTES
