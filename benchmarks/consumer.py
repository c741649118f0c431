"""Claim: one consumer process applies at least 20,000 events a second with their history written.

`python -m benchmarks.consumer [--events N] [--orders SHARE] [--rounds R]`: accepted events are
copied into Postgres, their records are produced to the topics, then one consumer is started. Every
row that a person would look for must be there exactly once, else the run fails.
"""

import argparse
import contextlib
import http.client
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import psutil
import psycopg
import uuid_utils.compat
from confluent_kafka import Producer

from benchmarks import cores
from benchmarks import servers as bench_servers
from cli.stack import services, supervisor
from shared import events
from shared import kafka as kafka_client
from tests.fixtures import stack

TARGET_PER_SECOND = 20_000
SPAN_SECONDS_MAX = 300.0
POLL_SECONDS = 0.2
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted event and its record."""

    envelope: events.Envelope
    data: bytes
    payload_hash: bytes

    @property
    def key(self) -> str:
        return self.envelope.subject or self.envelope.aggregate_id


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured."""

    events: int
    seconds: float
    consumer_cpu_us: float
    postgres_cpu_us: float
    cores: str

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=150_000)
    parser.add_argument("--orders", type=float, default=0.1, help="share of order.paid events")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with bench_servers.running() as servers:
        results = [
            run(servers, count=options.events, order_share=options.orders)
            for _ in range(options.rounds)
        ]
    for result in results:
        print(
            f"{result.per_second:,.0f} events/s ({result.events:,} in {result.seconds:.2f} s);"
            f" CPU us per event: consumer {result.consumer_cpu_us:.0f},"
            f" postgres {result.postgres_cpu_us:.0f}; cores: {result.cores}"
        )
    median = statistics.median(result.per_second for result in results)
    print(f"consumer: median {median:,.0f} events/s, target {TARGET_PER_SECOND:,}")
    return 0 if median >= TARGET_PER_SECOND else 1


def run(
    servers: stack.Servers,
    *,
    count: int,
    order_share: float = 0.1,
    prepare: Callable[[stack.Database], None] | None = None,
    verify: Callable[[stack.Database], None] | None = None,
) -> Result:
    """Prepare, consume, verify."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        samples = list(make_samples(count, order_share=order_share))
        copy_events(system.database, samples)
        produce(system.topics, samples)
        if prepare is not None:
            prepare(system.database)
        result = _consume(servers, system, count)
        if verify is not None:
            verify(system.database)
        return result


def make_samples(count: int, *, order_share: float) -> Iterator[Sample]:
    """Ingested events about 2,000 subjects, and order.paid events, a record of about 300 bytes."""
    every = round(1 / order_share) if order_share else count + 1
    for number in range(1, count + 1):
        yield _paid(number) if number % every == 0 else _ingested(number)


def copy_events(database: stack.Database, samples: list[Sample]) -> None:
    """The rows that the api would have written."""
    orders = [
        (sample.envelope.aggregate_id, "c-1", "EUR", 1250, "paid", 2)
        for sample in samples
        if sample.envelope.source == events.ORDER_SOURCE
    ]
    with database.connect() as conn, conn.cursor() as cursor:
        with cursor.copy(
            "copy orders (id, customer_id, currency, amount, status, version) from stdin"
        ) as copy:
            for order in orders:
                copy.write_row(order)
        with cursor.copy(
            "copy events (id, source, external_id, aggregate_id, aggregate_seq, event_type,"
            " subject, payload, payload_hash, traceparent) from stdin"
        ) as copy:
            for sample in samples:
                copy.write_row(_event_row(sample))
        conn.execute("analyze events")


def _event_row(sample: Sample) -> tuple[Any, ...]:
    envelope = sample.envelope
    return (
        envelope.event_id,
        envelope.source,
        events.dedupe_key(envelope.aggregate_id, envelope.event_type),
        envelope.aggregate_id,
        envelope.aggregate_seq,
        envelope.event_type,
        envelope.subject,
        sample.data.decode(),
        sample.payload_hash,
        envelope.traceparent,
    )


def produce(topics: stack.Topics, samples: list[Sample]) -> None:
    """The records that the relay would have sent."""
    options = kafka_client.producer_options(topics.bootstrap_servers, client_id="bench")
    producer = Producer(options | {"log_level": 3})
    for sample in samples:
        topic = topics.orders if sample.envelope.source == events.ORDER_SOURCE else topics.events
        headers: list[tuple[str, str | bytes | None]] = [*events.encode_headers(sample.envelope)]
        while True:
            with contextlib.suppress(BufferError):
                producer.produce(topic, sample.data, sample.key, headers=headers)
                break
            producer.poll(0.05)
    assert producer.flush(60) == 0


def _consume(servers: stack.Servers, system: stack.System, count: int) -> Result:
    with system.database.connect() as conn:
        postgres = psutil.Process(conn.info.backend_pid).parent()
        assert postgres is not None
        cpu_before = _family_cpu(postgres)
        process = system.start("consumer", wait=False)
        _wait_for_rows(process, 1)
        pid = process.child.pid
        with cores.sampled(servers, consumer=pid) as used_cores:
            _wait_for_rows(process, count)
        used = psutil.Process(pid).cpu_times()
        process.stop()
        postgres_cpu = _family_cpu(postgres) - cpu_before
        _verify(conn, count)
        first, seconds = _time_commits(conn)
    return Result(
        events=count - first,
        seconds=seconds,
        consumer_cpu_us=(used.user + used.system) * 1e6 / count,
        postgres_cpu_us=postgres_cpu * 1e6 / count,
        cores=str(used_cores),
    )


def _wait_for_rows(process: services.ServiceProcess, count: int) -> None:
    """Rarely: rendering the metrics takes processor time from what is measured."""
    deadline = time.monotonic() + SPAN_SECONDS_MAX
    while (rows := _applied(process.port)) < count:
        process.child.must_be_alive()
        if time.monotonic() > deadline:
            message = f"{rows} of {count} events applied; {process.child.tail()}"
            raise supervisor.StackError(message)
        time.sleep(POLL_SECONDS)


def _time_commits(conn: psycopg.Connection[tuple[Any, ...]]) -> tuple[int, float]:
    """The rows of the first commit, and the seconds from it to the last, as Postgres saw them.

    Start-up and joining the group are not throughput.
    """
    row = conn.execute("""
        with commits as (
          select pg_xact_commit_timestamp(xmin) as moment, count(*) as amount
          from processed_events group by 1
        )
        select (array_agg(amount order by moment))[1]::int,
          extract(epoch from max(moment) - min(moment))::float8
        from commits
    """).fetchone()
    assert row is not None
    return row[0], row[1]


def _applied(port: int) -> int:
    """The consumer's own counter of committed events; rows are counted at the end."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    except OSError:
        return 0
    finally:
        connection.close()
    found = re.search(r"^oncely_consumer_applied_total\S* (\S+)$", text, re.MULTILINE)
    return int(float(found[1])) if found else 0


def _verify(conn: psycopg.Connection[tuple[Any, ...]], count: int) -> None:
    row = conn.execute("""
        select (select count(*) from processed_events),
          (select count(*) from event_attempts where status = 'success'),
          (select count(*) from events where status = 'processed'),
          (select count(*) from ledger_entries),
          (select 2 * count(*) from orders where settled_at is not null),
          (select count(*) from dead_letters) + (select count(*) from dropped_records)
    """).fetchone()
    assert row is not None
    assert row[:3] == (count, count, count), row
    assert row[3] == row[4], row
    assert row[5] == 0, row


def _family_cpu(postmaster: psutil.Process) -> float:
    """Seconds of the postmaster and its children, living and reaped."""
    own = postmaster.cpu_times()
    total = own.user + own.system + own.children_user + own.children_system
    for child in postmaster.children():
        with contextlib.suppress(psutil.Error):
            times = child.cpu_times()
            total += times.user + times.system
    return total


def _ingested(number: int) -> Sample:
    event_id = uuid_utils.compat.uuid7()
    data = msgspec.json.encode(
        {
            "amount": 100 + number,
            "country": "BR",
            "customer": f"customer-{number % 2000}",
            "note": "x" * 180,
            "items": [{"sku": "a-1", "quantity": 2}, {"sku": "b-2", "quantity": 1}],
        }
    )
    return _sample(
        event_id, str(event_id), 1, "payment.completed", "bench", f"customer-{number % 2000}", data
    )


def _paid(number: int) -> Sample:
    order_id = str(uuid_utils.compat.uuid7())
    data = msgspec.json.encode(
        {
            "order_id": order_id,
            "customer_id": f"customer-{number % 2000}",
            "currency": "EUR",
            "amount": 1250,
            "status": "paid",
            "version": 2,
        }
    )
    return _sample(
        uuid_utils.compat.uuid7(), order_id, 2, "order.paid", events.ORDER_SOURCE, None, data
    )


def _sample(  # noqa: PLR0917 the seven parts of an event, in the order of the table
    event_id: UUID,
    aggregate_id: str,
    aggregate_seq: int,
    event_type: str,
    source: str,
    subject: str | None,
    data: bytes,
) -> Sample:
    envelope = events.Envelope(
        event_id=event_id,
        aggregate_id=aggregate_id,
        aggregate_seq=aggregate_seq,
        event_type=event_type,
        source=source,
        subject=subject,
        time="2026-01-01T00:00:00Z",
        replay=0,
        outbox_id=1,
        traceparent=TRACEPARENT,
    )
    return Sample(
        envelope=envelope,
        data=data,
        payload_hash=events.payload_hash(event_type, subject, data),
    )


if __name__ == "__main__":
    raise SystemExit(main())
