"""Claim: a bulk replay goes nearly as fast as the pipeline that it shares with new events.

`python -m benchmarks.replays [--events N] [--rounds R]`: events are applied by a consumer, then one
job replays them all through outbox, relay, Kafka and the same consumer. Each must be applied
exactly once more, and nothing may be booked or sent again, else the run fails.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from benchmarks import consumer, cores
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, Line, Sizes
from cli.stack import services
from tests.fixtures import client, stack

RATE_MAX = 100_000
SPAN_SECONDS_MAX = 300.0
POLL_SECONDS = 0.2
# Seconds from a moment (or the first commit, whose rows are then left out) to the last commit.
FIRST_RUN = """
    with commits as (
      select pg_xact_commit_timestamp(xmin) as moment, count(*) as amount
      from processed_events where replay = 0 group by 1
    )
    select sum(amount)::int - (array_agg(amount order by moment))[1]::int,
      extract(epoch from max(moment) - min(moment))::float8
    from commits"""
SECOND_RUN = """
    select count(*)::int,
      extract(epoch from max(pg_xact_commit_timestamp(xmin)) - %s::timestamptz)::float8
    from processed_events where replay = 1"""
CHECK = """
    select (select count(*) from processed_events where replay = 1),
      (select count(*) from events where status = 'processed' and replay = 1),
      (select count(*) from event_attempts where replay = 1 and trigger = 'replay'),
      (select count(*) from outbox where replay = 1 and published_at is not null),
      (select count(*) from event_replays)"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured."""

    first_per_second: float
    replay_per_second: float
    cores: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=FULL.replay_events)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = msgspec.structs.replace(FULL, replay_events=options.events, rounds=options.rounds)
    with bench_servers.running() as servers:
        lines = measure(servers, sizes)
    for line in lines:
        print(f"{line.claim}: {line.median:,.2f} {line.unit} {line.note}")
    return 0


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """The replay beside the first run of the same events."""
    results = [run(servers, count=sizes.replay_events) for _ in range(sizes.rounds)]
    again, first = (
        statistics.median(getattr(each, name) for each in results)
        for name in ("replay_per_second", "first_per_second")
    )
    return [
        Line(
            claim=f"bulk replay of {sizes.replay_events:,} events, from start to last effect",
            unit="events/s",
            values=[each.replay_per_second for each in results],
            note=f"cores: {results[-1].cores}",
        ),
        Line(
            claim="their first run: the consumer alone, records already in Kafka",
            unit="events/s",
            values=[each.first_per_second for each in results],
        ),
        Line(claim="bulk replay / first run", unit="ratio", values=[again / first]),
    ]


def run(servers: stack.Servers, *, count: int) -> Result:
    """Apply, replay, verify."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        samples = list(consumer.make_samples(count, order_share=0.1))
        consumer.copy_events(system.database, samples)
        consumer.produce(system.topics, samples)
        eater = system.start("consumer", wait=False)
        _wait_for_runs(system, eater, count, replay=0)
        rows, seconds = system.database.rows(FIRST_RUN)[0]
        booked = system.database.value("select count(*) from ledger_entries")
        relay = system.start("relay")
        api = system.start("api", REPLAY_RATE_PER_SECOND_MAX=str(RATE_MAX))
        with cores.sampled(
            servers, api=api.child.pid, relay=relay.child.pid, consumer=eater.child.pid
        ) as used:
            job = _replay_all(api.url)
            _wait_for_runs(system, eater, count, replay=1)
        job = _wait_until_done(api.url, job)
        replayed, again = system.database.rows(SECOND_RUN, job["started_at"])[0]
        assert set(system.database.rows(CHECK)[0]) == {count}, system.database.rows(CHECK)
        assert system.database.value("select count(*) from ledger_entries") == booked
    return Result(
        first_per_second=rows / seconds, replay_per_second=replayed / again, cores=str(used)
    )


def _replay_all(url: str) -> str:
    """Ask for the job as a client would; returns its place."""
    wanted: dict[str, object] = {
        "filter": {},
        "all": True,
        "mode": "current",
        "effects": "dedupe",
        "reason": "benchmark",
        "rate_per_second": RATE_MAX,
    }
    answer = client.call(url, "POST", "/replays", wanted)
    assert answer.status == 202, answer
    return answer.headers["location"]


def _wait_until_done(url: str, place: str) -> dict[str, str]:
    deadline = time.monotonic() + SPAN_SECONDS_MAX
    while (job := client.call(url, "GET", place).body)["state"] in {"queued", "running"}:
        assert time.monotonic() < deadline, job
        time.sleep(POLL_SECONDS)
    assert job["state"] == "done", job
    return job


def _wait_for_runs(
    system: stack.System, eater: services.ServiceProcess, count: int, *, replay: int
) -> None:
    deadline = time.monotonic() + SPAN_SECONDS_MAX
    query = "select count(*) from processed_events where replay = %s"
    while (done := system.database.value(query, replay)) < count:
        eater.child.must_be_alive()
        assert time.monotonic() < deadline, (done, count, eater.child.tail())
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
