"""Logs, metrics and traceparent. Names of metrics stand here and nowhere else.

OpenTelemetry's API is what the services call; the SDK with its Prometheus reader is set up once per
process. One process per port: the exporter loses metrics when several processes share one.
"""

import logging
import re
import secrets
import sys
from typing import Any, Literal

import structlog
from opentelemetry import metrics
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

type MetricName = Literal[
    "oncely.http.requests",  # requests answered, by route and status class
    "oncely.http.duration",  # seconds from first byte to answer, by route
    "oncely.coalescer.batch.size",  # rows per commit
    "oncely.coalescer.queue",  # requests that wait for a writer
    "oncely.coalescer.rejected",  # requests answered 503 because the queue was full
    "oncely.outbox.published",  # rows acknowledged by the broker
    "oncely.outbox.marked",  # rows marked published
    "oncely.outbox.refused",  # rows that the broker refused
    "oncely.outbox.parked",  # rows parked in the dead letters
    # seconds from the row's created_at to its acknowledgement
    "oncely.outbox.unpublished",  # unpublished rows of this relay's shards, counted up to a bound
    "oncely.outbox.oldest_unpublished.age",  # seconds since the oldest of them was written
    "oncely.outbox.waiting_keys",  # keys that wait behind a parked row
    "oncely.outbox.commit_to_ack.duration",
    "oncely.relay.shards.owned",  # shards this relay owns
    "oncely.relay.marks.fenced",  # marks refused because the epoch was stale
    "oncely.relay.producer.rebuilds",  # fatal producers replaced
    "oncely.consumer.records",  # records taken from Kafka
    "oncely.consumer.applied",  # events applied
    "oncely.consumer.batch.size",  # records per transaction
    "oncely.consumer.commit.duration",  # seconds per transaction
    "oncely.consumer.rebalances",  # assignments and revocations, by kind
    "oncely.consumer.lag",  # records behind the end, by topic and partition
    "oncely.dedupe.hits",  # records dropped because their key was applied, by verdict
    "oncely.dead_letters.added",  # dead letters written, by stage
    "oncely.event.end_to_end.duration",  # seconds from acceptance to applied
    "oncely.rules.live",  # rule versions that are evaluated here, published and in shadow
    "oncely.rules.evaluations",  # evaluations of a rule on an event, by result
    "oncely.rules.duration",  # seconds that all rules of one event took
    "oncely.rules.logs_dropped",  # log actions beyond the bound of one transaction
    "oncely.deliveries.attempts",  # attempts recorded, by outcome
    "oncely.deliveries.attempt.duration",  # seconds of an attempt (a sample of large batches)
    "oncely.deliveries.pending",  # deliveries that wait, counted up to a bound
    "oncely.deliveries.unknown",  # deliveries that ended as unknown, counted up to a bound
    "oncely.deliveries.leases.expired",  # attempts of dead or frozen dispatchers, found here
    "oncely.deliveries.breaker.opened",  # times that a destination was given a rest
    "oncely.live.clients",  # sockets that are open on GET /ws
    "oncely.live.dropped",  # sockets that were ended because they took nothing or were too many
    "oncely.faults.active",  # fault rules that this process sees
]

SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def start_metrics(*, service: str, instance: str) -> None:
    """Install this process's meter provider: once, before the first instrument is made."""
    views = [
        View(
            instrument_name="*.duration",
            aggregation=ExplicitBucketHistogramAggregation(SECONDS_BUCKETS),
        ),
        View(
            instrument_name="*.size", aggregation=ExplicitBucketHistogramAggregation(SIZE_BUCKETS)
        ),
    ]
    resource = Resource.create({"service.name": service, "service.instance.id": instance})
    metrics.set_meter_provider(
        MeterProvider(metric_readers=[PrometheusMetricReader()], views=views, resource=resource)
    )


def counter(name: MetricName) -> metrics.Counter:
    return metrics.get_meter("oncely").create_counter(name)


def histogram(name: MetricName) -> metrics.Histogram:
    return metrics.get_meter("oncely").create_histogram(name)


def gauge(name: MetricName) -> Any:
    """A gauge that is set, not observed. (The SDK's class for it is private, hence Any.)"""
    return metrics.get_meter("oncely").create_gauge(name)


def render_metrics() -> tuple[bytes, str]:
    """The body and the content type of /metrics."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST


def start_logs(
    *, service: str, instance: str, log_format: Literal["json", "pretty"], level: str
) -> None:
    """Send structlog and the standard library's loggers through one renderer to stderr."""

    def add_origin(
        _logger: Any, _method: str, event: structlog.typing.EventDict
    ) -> structlog.typing.EventDict:
        # Not a context variable: those do not reach other threads.
        return {"service": service, "instance": instance, **event}

    stamps: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_origin,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*stamps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamps,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger(name)


def traceparent_or_new(received: str | None) -> str:
    """Keep a valid W3C traceparent, else begin a trace (https://www.w3.org/TR/trace-context/)."""
    if received is not None and _TRACEPARENT.fullmatch(received):
        return received
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
