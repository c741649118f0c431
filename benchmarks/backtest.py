"""Claim: a backtest compares two versions of a rule over at least 50,000 past events a second.

`python -m benchmarks.backtest [--events N] [--rounds R] [--engine E] [--actions-differ]`: events of
about 300 bytes are copied into Postgres, then an api is asked for a backtest as a client would ask.
Its counts must be those that SQL finds in the same rows, else the run fails.
"""

import argparse
import itertools
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import psycopg

from benchmarks import consumer
from benchmarks import servers as bench_servers
from benchmarks.lines import Line, Sizes
from cli.stack import supervisor
from shared.rules import port
from tests.fixtures import client, stack

TARGET_PER_SECOND = 50_000
SPAN_SECONDS_MAX = 600.0
POLL_SECONDS = 0.5
CHUNK_EVENTS = 100_000
EVENT_TYPE = "payment.completed"
LIVE = {">": [{"var": "amount"}, 500_000]}
CANDIDATE = {"and": [{">": [{"var": "amount"}, 400_000]}, {"in": ["7", {"var": "customer"}]}]}
EXPECTED = """
    select count(*) filter (where had and gains), count(*) filter (where not had and not gains),
      count(*) filter (where gains and not had), count(*) filter (where had and not gains)
    from (
      select (payload->>'amount')::bigint > 500000 as had,
        (payload->>'amount')::bigint > 400000 and strpos(payload->>'customer', '7') > 0 as gains
      from events where event_type = %s) e"""

# The page of the backtest itself (services/api/queries/backtest_pages.py), as short as it gets.
PAGE = """
    select id, source, subject, external_id, payload::text from events
    where event_type = %s and id > %s
    order by id
    limit 2000"""

type Say = Callable[[str], None]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured; seconds are from the request to the last count, start-up included."""

    events: int
    seconds: float
    running_seconds: float
    gained: int
    lost: int
    both: int
    changed: int
    read_per_second: float = 0.0

    @property
    def per_second(self) -> float:
        return self.events / self.seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--engine", choices=get_args(port.EngineName.__value__), default="datalogic"
    )
    parser.add_argument("--actions-differ", action="store_true", help="render both versions' too")
    options = parser.parse_args()
    with bench_servers.running() as servers:
        results = run(
            servers,
            events=options.events,
            rounds=options.rounds,
            engine=options.engine,
            actions_differ=options.actions_differ,
            say=print,
        )
    for result in results:
        print(
            f"{result.per_second:,.0f} events/s ({result.events:,} in {result.seconds:.2f} s, of"
            f" which {result.running_seconds:.2f} s as a running job); gained {result.gained:,},"
            f" lost {result.lost:,}, both {result.both:,}, changed {result.changed:,}: as SQL"
        )
    median = statistics.median(result.per_second for result in results)
    print(f"backtest: median {median:,.0f} events/s, target {TARGET_PER_SECOND:,}")
    return 0 if median >= TARGET_PER_SECOND else 1


def run(
    servers: stack.Servers,
    *,
    events: int = 1_000_000,
    rounds: int = 1,
    engine: str = port.ENGINE_DEFAULT,
    actions_differ: bool = False,
    say: Say = lambda _text: None,
) -> list[Result]:
    """Fill once, run as often as asked, verify each run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        samples = consumer.make_samples(events, order_share=0)
        for chunk in itertools.batched(samples, CHUNK_EVENTS, strict=False):
            consumer.copy_events(system.database, list(chunk))
        with system.database.connect() as conn:
            conn.execute("vacuum analyze events")
            rule_id = _insert_rule(conn, engine=engine, actions_differ=actions_differ)
            expected = conn.execute(EXPECTED, [EVENT_TYPE]).fetchone()
        api = system.start("api")
        results: list[Result] = []
        for _ in range(rounds):
            result = _run_once(api.url, rule_id, events=events, expected=expected, say=say)
            limit = _read_rate(system.database, events=events)
            results.append(msgspec.structs.replace(result, read_per_second=limit))
        return results


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """The claim beside its limit: the same rows read in the same pages, and nothing else."""
    results = run(servers, events=sizes.backtest_events, rounds=sizes.rounds)
    ours = statistics.median(result.per_second for result in results)
    limit = statistics.median(result.read_per_second for result in results)
    return [
        Line(
            claim=f"backtest over {sizes.backtest_events:,} events, two versions each",
            unit="events/s",
            values=[result.per_second for result in results],
            target=f">= {TARGET_PER_SECOND:,}",
            met=ours >= TARGET_PER_SECOND,
            note=f"{results[-1].seconds:.1f} s with progress; every count as SQL finds it",
        ),
        Line(
            claim="the same rows read in the same pages, nothing evaluated",
            unit="events/s",
            values=[result.read_per_second for result in results],
        ),
        Line(claim="backtest / reading alone", unit="ratio", values=[ours / limit]),
    ]


def _read_rate(database: stack.Database, *, events: int) -> float:
    """The limit: what one connection and psycopg give when nobody looks at the rows."""
    started = time.perf_counter()
    after, count = uuid.UUID(int=0), 0
    with database.connect() as conn:
        while rows := conn.execute(PAGE, [EVENT_TYPE, after]).fetchall():
            count += len(rows)
            after = rows[-1][0]
    assert count == events, (count, events)
    return count / (time.perf_counter() - started)


def _insert_rule(
    conn: psycopg.Connection[tuple[Any, ...]], *, engine: str, actions_differ: bool
) -> str:
    rule_id = str(uuid.uuid4())
    conn.execute("insert into rules (id, name) values (%s, 'benchmark')", [rule_id])
    for number, (state, condition) in enumerate((("published", LIVE), ("draft", CANDIDATE)), 1):
        text = f"{number if actions_differ else 1}: {{{{ data.customer }}}}"
        actions = [{"key": "log", "type": "log", "params": {"message": text}}]
        conn.execute(
            "insert into rule_versions (rule_id, version, state, event_type, condition, actions,"
            " engine, engine_version) values (%s, %s, %s, %s, %s, %s, %s, 'benchmark')",
            [
                rule_id,
                number,
                state,
                EVENT_TYPE,
                msgspec.json.encode(condition).decode(),
                msgspec.json.encode(actions).decode(),
                engine,
            ],
        )
    return rule_id


def _run_once(
    url: str, rule_id: str, *, events: int, expected: tuple[Any, ...] | None, say: Say
) -> Result:
    began = time.monotonic()
    answer = client.call(url, "POST", f"/rules/{rule_id}/backtests", {"events_max": events})
    assert answer.status == 202, answer
    place = answer.headers["location"]
    while True:
        job = client.call(url, "GET", place).body
        if job["state"] not in {"queued", "running"}:
            break
        say(
            f"  {job['progress']:7.2%} of {job['total'] or '?'} events,"
            f" {job['events_per_second'] or 0:,.0f}/s, {job['eta_seconds'] or '?'} s to go"
        )
        if time.monotonic() - began > SPAN_SECONDS_MAX:
            raise supervisor.StackError(f"the backtest is not done in time: {job}")
        time.sleep(POLL_SECONDS)
    seconds = time.monotonic() - began
    found = (job["both"], job["neither"], job["gained"], job["lost"])
    assert (job["state"], job["examined"]) == ("done", events), job
    assert found == expected, (found, expected)
    return Result(
        events=events,
        seconds=seconds,
        running_seconds=events / job["events_per_second"],
        gained=job["gained"],
        lost=job["lost"],
        both=job["both"],
        changed=job["changed"],
    )


if __name__ == "__main__":
    raise SystemExit(main())
