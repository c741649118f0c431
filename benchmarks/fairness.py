"""Claim: a dead target does not slow a fast one. The p99 of 100 deliveries to a fast target moves
by at most a fifth when 100 to a target that never answers are due at the same moment.

`python -m benchmarks.fairness [--rounds R]`. One dispatcher with its defaults; pairs of both cases
one after the other, so that the machine's load meets both alike; the medians are compared.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from uuid import UUID

import msgspec

from benchmarks import deliveries, ledger_rows, webhook_sink
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, Line, Sizes
from shared import sealing
from tests.fixtures import stack

COUNT = 100
PAIRS_PER_ROUND = 7
RATIO_MAX = 1.2
WAIT_SECONDS_MAX = 60.0
POLL_SECONDS = 0.05
IN_FLIGHT = 10
# From the commit that made them: how long their insert took is nobody's delay.
P99 = """
    select 1000 * percentile_cont(0.99) within group (
      order by extract(epoch from d.finished_at - pg_xact_commit_timestamp(q.xmin)))::float8
    from deliveries d
    join delivery_requests q on q.delivery_id = d.id
    where d.id = any(%s)"""
OPEN = "select count(*) from deliveries where id = any(%s) and state <> 'confirmed'"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    sizes = msgspec.structs.replace(FULL, rounds=parser.parse_args().rounds)
    with bench_servers.running() as servers:
        lines = measure(servers, sizes)
    for line in lines:
        print(f"{line.claim}: {line.median:,.2f} {line.unit} {line.target} {line.note}")
    return int(any(line.met is False for line in lines))


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """p99 in milliseconds from the commit to the confirmation, alone and beside a dead target."""
    alone: list[float] = []
    beside: list[float] = []
    key = sealing.make_key()
    with (
        webhook_sink.running() as sink,
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        fast = deliveries.target(f"{sink.url}/hook", in_flight_max=IN_FLIGHT)
        ledger_rows.add_targets(system.database, [fast], secrets_key=key)
        process = system.start(
            "dispatcher", wait=True, SECRETS_KEY=key, WEBHOOK_ALLOW_CIDRS="127.0.0.0/8"
        )
        _p99(system, fast, dead=None)
        for _ in range(PAIRS_PER_ROUND * sizes.rounds):
            alone.append(_p99(system, fast, dead=None))
            dead = deliveries.target(f"{sink.url}/hang", in_flight_max=IN_FLIGHT)
            ledger_rows.add_targets(system.database, [dead], secrets_key=key)
            beside.append(_p99(system, fast, dead=dead))
        process.kill()  # what hangs would hold the drain
    ratio = statistics.median(beside) / statistics.median(alone)
    claim = f"p99 of {COUNT} deliveries to a fast target"
    return [
        Line(claim=f"{claim}, alone", unit="ms", values=alone),
        Line(claim=f"{claim}, beside {COUNT} to a dead one", unit="ms", values=beside),
        Line(
            claim=f"{claim}: beside / alone",
            unit="ratio",
            values=[ratio],
            target=f"<= {RATIO_MAX}",
            met=ratio <= RATIO_MAX,
        ),
    ]


def _p99(
    system: stack.System, fast: ledger_rows.Target, *, dead: ledger_rows.Target | None
) -> float:
    rows = ledger_rows.make(COUNT, fast)
    others = [] if dead is None else ledger_rows.make(COUNT, dead)
    ledger_rows.add_deliveries(system.database, others + rows)
    ids = [row.id for row in rows]
    _wait_until_confirmed(system.database, ids)
    return system.database.value(P99, ids)


def _wait_until_confirmed(database: stack.Database, ids: list[UUID]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while database.value(OPEN, ids) > 0:
        assert time.monotonic() < deadline, "not confirmed in time"
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    raise SystemExit(main())
