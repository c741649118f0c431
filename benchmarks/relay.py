"""The relay alone: how fast a backlog drains, and how long after its commit a row is acknowledged.

Every run of ours is verified: each row marked once, each record in the log once, order per key. The
poller beside it (benchmarks/peers) gives no order and is only counted.
"""

import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import msgspec
import psycopg

from benchmarks import cores
from benchmarks import servers as bench_servers
from shared import database, events
from tests import invariants
from tests.fixtures import deadlines, stack

PAYLOAD = json.dumps({"amount": 4200, "currency": "EUR", "note": "x" * 250}).encode()
KEYS = 2_000
COLUMNS = (
    "shard, event_id, aggregate_id, aggregate_seq, event_type, source, traceparent, topic, "
    "kafka_key, payload"
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
DRAIN_SECONDS = 180.0
WARM_UP_SECONDS = 2.0


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """One drained backlog."""

    rate: float
    cores: dict[str, float]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Commit to acknowledgement, in milliseconds."""

    p50_ms: float
    p99_ms: float
    rows: int
    cores: dict[str, float]


def drain_ours(servers: stack.Servers, *, rows: int) -> Drain:
    """Fill, start a relay, time from its first shards to the last mark, verify."""
    with (
        tempfile.TemporaryDirectory() as logs,
        bench_servers.fresh_system(servers, Path(logs)) as system,
    ):
        _fill(system, rows=rows)
        relay = system.start("relay", wait=False, LOG_LEVEL="warning")
        _wait(system, "select exists (select from relay_shards where owner is not null)")
        with cores.sampled(servers, relay=relay.child.pid) as used:
            seconds = _time_until_empty(system)
        relay.stop()
        _verify(system, rows=rows)
        return Drain(rate=rows / seconds, cores=used.cores)


def drain_poller(servers: stack.Servers, *, rows: int) -> Drain:
    """The same rows through the 40-line poller."""
    with (
        tempfile.TemporaryDirectory() as logs,
        bench_servers.fresh_system(servers, Path(logs)) as system,
    ):
        _fill(system, rows=rows)
        env = {
            "DATABASE_URL": system.database.url(),
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
        }
        with subprocess.Popen([sys.executable, "-m", "benchmarks.peers.poller"], env=env) as poller:
            _wait(system, "select exists (select from outbox where published_at is not null)")
            left = rows - system.database.value(
                "select count(*) from outbox where published_at is not null"
            )
            with cores.sampled(servers, poller=poller.pid) as used:
                seconds = _time_until_empty(system)
        if poller.returncode != 0:
            raise RuntimeError(f"the poller ended with status {poller.returncode}")
        return Drain(rate=left / seconds, cores=used.cores)


def latency(servers: stack.Servers, *, rate: int, seconds: float) -> Latency:
    """Small transactions and a coalesced notification, as the api does; then read published_at."""
    with (
        tempfile.TemporaryDirectory() as logs,
        bench_servers.fresh_system(servers, Path(logs)) as system,
    ):
        relay = system.start("relay", LOG_LEVEL="warning")
        _write_steadily(system, rate=rate, seconds=WARM_UP_SECONDS)
        _wait_until_empty(system)
        first = system.database.value("select coalesce(max(id), 0) from outbox")
        with cores.sampled(servers, relay=relay.child.pid) as used:
            written = _write_steadily(system, rate=rate, seconds=seconds)
        _wait_until_empty(system)
        rows, percentiles = system.database.rows(
            """
            select count(*), percentile_cont(array[0.5, 0.99]) within group (
                order by extract(epoch from published_at - created_at)::float8 * 1000)
            from outbox where id > %s""",
            first,
        )[0]
        if rows != written:
            raise RuntimeError(f"{written} rows were committed, {rows} are in the outbox")
        p50, p99 = percentiles
        return Latency(p50_ms=round(p50, 2), p99_ms=round(p99, 2), rows=rows, cores=used.cores)


def _fill(system: stack.System, *, rows: int) -> None:
    run = secrets.token_hex(3)
    with system.database.connect() as conn:
        statement = f"copy outbox ({COLUMNS}) from stdin".encode()
        with conn.transaction(), conn.cursor().copy(statement) as copy:
            for number in range(rows):
                copy.write_row(_row(system, key=f"{run}-{number % KEYS}", seq=number // KEYS + 1))
        conn.execute("analyze outbox")


def _row(system: stack.System, *, key: str, seq: int) -> tuple[object, ...]:
    return (
        events.shard_of(key), uuid.uuid4(), key, seq, "order.paid", "bench", TRACEPARENT,
        system.topics.orders, key, PAYLOAD,
    )  # fmt: skip


def _write_steadily(system: stack.System, *, rate: int, seconds: float) -> int:
    """An open loop: small transactions by the clock, never waiting for the relay."""
    per_commit = max(rate // 250, 1)
    run = secrets.token_hex(3)
    committed, stop = threading.Event(), threading.Event()
    notifier = threading.Thread(target=_notify, args=(system, committed, stop))
    notifier.start()
    insert = f"insert into outbox ({COLUMNS}) values ({', '.join(['%b'] * 10)})".encode()
    number = 0
    with psycopg.connect(system.database.url(), prepare_threshold=0, autocommit=True) as conn:
        due, end = time.monotonic(), time.monotonic() + seconds
        while due < end:
            with conn.transaction():
                for _ in range(per_commit):
                    row = _row(system, key=f"{run}-{number % KEYS}", seq=number // KEYS + 1)
                    conn.execute(insert, row)
                    number += 1
            committed.set()
            due += per_commit / rate
            time.sleep(max(due - time.monotonic(), 0))
    stop.set()
    notifier.join()
    return number


def _notify(system: stack.System, committed: threading.Event, stop: threading.Event) -> None:
    with system.database.connect() as conn:
        while not stop.is_set():
            if committed.wait(0.1):
                committed.clear()
                conn.execute(f"notify {database.OUTBOX_CHANNEL}".encode())
                time.sleep(0.002)


def _verify(system: stack.System, *, rows: int) -> None:
    """Every row once in the log, at the place that its mark names, and in order per key."""
    marked = system.database.value("select count(*) from outbox where published_at is not null")
    records = invariants.read_topics(system.topics)
    wrong = invariants.log_violations(system.database, records)
    if not rows == marked == len(records) or wrong:
        raise RuntimeError(f"{rows} rows, {marked} marked, {len(records)} records; {wrong[:3]}")


def _time_until_empty(system: stack.System) -> float:
    began = time.monotonic()
    _wait_until_empty(system)
    return time.monotonic() - began


def _wait_until_empty(system: stack.System) -> None:
    _wait(
        system,
        "select not exists (select from outbox where published_at is null and parked_at is null)",
    )


def _wait(system: stack.System, question: str) -> None:
    with system.database.connect() as conn:
        deadlines.eventually(
            lambda: (conn.execute(question.encode()).fetchone() or (False,))[0],
            deadline_seconds=DRAIN_SECONDS,
            what=question,
        )
