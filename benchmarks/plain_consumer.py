"""Drives the plain consumer of benchmarks/peers over the same events as ours."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import consumer
from benchmarks import servers as bench_servers
from tests.fixtures import deadlines, stack

SECONDS_MAX = 180.0


def run(servers: stack.Servers, *, count: int) -> float:
    """Events per second, from the first applied event to the last; rows verified."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        samples = list(consumer.make_samples(count, order_share=0))
        consumer.copy_events(system.database, samples)
        consumer.produce(system.topics, samples)
        env = {
            "DATABASE_URL": system.database.url(),
            "KAFKA_BOOTSTRAP_SERVERS": servers.bootstrap_servers,
            "TOPIC": system.topics.events,
            "GROUP": f"{system.topics.prefix}plain",
            "COUNT": str(count),
        }
        with subprocess.Popen([sys.executable, "-m", "benchmarks.peers.plain_consumer"], env=env):
            first = deadlines.eventually(
                lambda: _applied(system.database), deadline_seconds=60, what="the first event"
            )
            began = time.monotonic()
            deadlines.eventually(
                lambda: _applied(system.database) == count,
                deadline_seconds=SECONDS_MAX,
                what=f"{count} applied events",
            )
            seconds = time.monotonic() - began
        done = system.database.value("select count(*) from events where status = 'processed'")
        if done != count:
            raise RuntimeError(f"{done} of {count} events are processed")
        return (count - first) / seconds


def _applied(database: stack.Database) -> int:
    return database.value("select count(*) from processed_events")
