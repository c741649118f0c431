"""Claim: questions to the ledger stay quick at 1,000,000 deliveries.

`python -m benchmarks.ledger [--rows N]`: deliveries with attempt and request are inserted by SQL,
97 of 100 confirmed, then an api is asked as a person would ask, one request after the other. Each
answer must hold as many rows as SQL finds.
"""

import argparse
import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from benchmarks import consumer
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, Line, Sizes
from tests.fixtures import stack

P99_MS_MAX = 50.0
REQUESTS = 200
PAGE = 50
CHUNK_ROWS = 100_000
RULES = 100
DESTINATIONS = 200
PER_EVENT = 4
# Ids are made of numbers, so that rows find each other; those of deliveries are as old as their
# number, one a millisecond.
IDS = """
    create function pg_temp.event_id(n int) returns uuid immutable language sql return
      ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;
    create function pg_temp.rule_id(n int) returns uuid immutable language sql return
      ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid"""
RULE_ROWS = """
    insert into rules (id, name) select pg_temp.rule_id(n), 'rule ' || n
    from generate_series(0, %(rules)s::int - 1) n"""
EVENT_ROWS = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
      payload_hash, status, traceparent)
    select pg_temp.event_id(n), 'bench', n, pg_temp.event_id(n), 1, 'payment.completed',
      '{"amount": 12000, "country": "BR"}', sha256(n::text::bytea), 'processed', %(traceparent)s
    from generate_series(0, %(last)s::int / %(per_event)s) n"""
DELIVERY_ROWS = """
    with made as (
      insert into deliveries (id, event_id, event_type, rule_id, version_id, action_key, kind,
        destination, traceparent, state, reason, attempt_no, last_status, last_error, finished_at)
      select uuidv7(make_interval(secs => (n - 2000000) / 1000.0)),
        pg_temp.event_id(n / %(per_event)s), 'payment.completed', pg_temp.rule_id(n %% %(rules)s),
        1, 'call-' || n, 'webhook', 'https://host-' || n %% %(destinations)s || '.test:443',
        %(traceparent)s, state, case when state = 'skipped' then 'the target is disabled' end, 1,
        case when state = 'confirmed' then 200 else 500 end,
        case when state in ('failed', 'unknown') then 'HttpStatus: answered 500' end, now()
      from generate_series(%(first)s::int, %(last)s::int) n
      cross join lateral (
        select case when n %% 200 = 0 then 'unknown' when n %% 200 < 4 then 'failed'
          when n %% 200 < 6 then 'skipped' else 'confirmed' end as state
      ) s
      order by n
      returning id, state
    ), requests as (
      insert into delivery_requests (delivery_id, request)
      select id, '{"method": "POST", "url": "https://host.test/hook", "headers": {}, "body": 1}'
      from made
    )
    insert into delivery_attempts (
      delivery_id, attempt_no, outcome, status_code, error_class, dispatcher, started_at)
    select id, 1, case when state = 'confirmed' then 'confirmed' else 'failed' end, 200,
      case when state <> 'confirmed' then 'HttpStatus' end, 'bench', now()
    from made where state <> 'skipped'"""

type Question = tuple[str, str, str]
"""What is asked; the path; how many rows SQL finds, where it is a list."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=FULL.ledger_rows)
    options = parser.parse_args()
    with bench_servers.running() as servers:
        lines = measure(servers, msgspec.structs.replace(FULL, ledger_rows=options.rows))
    for line in lines:
        print(f"{line.claim}: {line.median:,.2f} {line.unit} {line.target} {line.note}")
    return int(any(line.met is False for line in lines))


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """p50 and p99 of each question; the rounds are the requests."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        with system.database.connect() as conn:
            fill(conn, sizes.ledger_rows)
            questions = _questions(conn)
        api = system.start("api")
        asker = http.client.HTTPConnection("127.0.0.1", api.port, timeout=30)
        try:
            return [_ask(asker, question, sizes.ledger_rows) for question in questions]
        finally:
            asker.close()


def fill(conn: psycopg.Connection[tuple[Any, ...]], rows: int) -> None:
    """Insert in pieces, then vacuum as a table of that age would have been."""
    bound = {
        "last": rows,
        "per_event": PER_EVENT,
        "rules": RULES,
        "destinations": DESTINATIONS,
        "traceparent": consumer.TRACEPARENT,
    }
    conn.execute(IDS)
    conn.execute(RULE_ROWS, bound)
    conn.execute(EVENT_ROWS, bound)
    for first in range(1, rows + 1, CHUNK_ROWS):
        last = min(first + CHUNK_ROWS - 1, rows)
        conn.execute(DELIVERY_ROWS, bound | {"first": first, "last": last})
    conn.execute("insert into destinations (name) select distinct destination from deliveries")
    conn.execute("vacuum (analyze) events, deliveries, delivery_attempts, delivery_requests")


def _questions(conn: psycopg.Connection[tuple[Any, ...]]) -> list[Question]:
    row = conn.execute(
        "select id, event_id, rule_id, destination from deliveries where state = 'unknown'"
        " order by id limit 1"
    ).fetchone()
    assert row is not None
    delivery, event, rule, destination = row
    wanted = (
        ("newest", "", "true"),
        ("state failed", "state=failed", "state = 'failed'"),
        ("state unknown", "state=unknown", "state = 'unknown'"),
        ("one event", f"event_id={event}", f"event_id = '{event}'"),
        ("one rule", f"rule_id={rule}", f"rule_id = '{rule}'"),
        ("one destination", f"destination={destination}", f"destination = '{destination}'"),
    )
    lists = [
        (name, f"/deliveries?limit={PAGE}" + (f"&{query}" if query else ""), where)
        for name, query, where in wanted
    ]
    counted: list[Question] = []
    for name, path, where in lists:
        found = conn.execute(
            f"select count(*) from (select from deliveries where {where} limit {PAGE})".encode()
        ).fetchone()
        assert found is not None
        counted.append((name, path, str(found[0])))
    return [
        *counted,
        ("one delivery with its attempts", f"/deliveries/{delivery}", ""),
        ("the counts", "/deliveries/stats", ""),
    ]


def _ask(asker: http.client.HTTPConnection, question: Question, rows: int) -> Line:
    name, path, count = question
    timed: list[float] = []
    for _ in range(REQUESTS):
        began = time.perf_counter()
        body = _get(asker, path)
        timed.append(1000 * (time.perf_counter() - began))
        assert not count or len(body["deliveries"]) == int(count), (name, len(body["deliveries"]))
    ordered = sorted(timed)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return Line(
        claim=f"{rows:,} deliveries, {name}: p99",
        unit="ms",
        values=[p99],
        target=f"< {P99_MS_MAX:g}",
        met=p99 < P99_MS_MAX,
        note=f"p50 {p50:.1f} ms; {REQUESTS} requests through the api, one after the other",
    )


def _get(asker: http.client.HTTPConnection, path: str) -> dict[str, Any]:
    asker.request("GET", path)
    answer = asker.getresponse()
    text = answer.read()
    assert answer.status == 200, (path, answer.status, text[:500])
    return json.loads(text)


if __name__ == "__main__":
    raise SystemExit(main())
