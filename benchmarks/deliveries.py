"""Claim: the dispatcher delivers at least 0.3 times as fast as a plain aiohttp loop that posts the
same bodies to the same receiver and records nothing.

`python -m benchmarks.deliveries [--count N] [--rounds R]`. With 1, 10 and 100 targets, and beside
them one that never answers. Every delivery must be confirmed once with its attempt recorded, and
the receiver must have seen each id, else the run fails.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import uuid_utils.compat

from benchmarks import cores, ledger_rows, webhook_sink
from benchmarks import servers as bench_servers
from benchmarks.lines import FULL, Line, Sizes
from cli.stack import supervisor
from shared import sealing
from tests.fixtures import stack

RATIO_MIN = 0.3
TARGET_COUNTS = (1, 10, 100)
# Requests under way at once: to one target (a process has 200 places and gives none more than
# half), and of the plain loop.
CONCURRENCY = 100
HANGING = 20
HANGING_IN_FLIGHT = 10
SPAN_SECONDS_MAX = 300.0
POLL_SECONDS = 0.2
CHECK = """
    select count(*),
      count(*) filter (where d.state = 'confirmed' and d.attempt_no = 1
        and a.outcome = 'confirmed' and a.status_code = 200 and e.status = 'processed')
    from deliveries d
    join events e on e.id = d.event_id
    left join delivery_attempts a on a.delivery_id = d.id
    where d.destination <> %s"""
SPAN = """
    select extract(epoch from max(pg_xact_commit_timestamp(a.xmin)) - min(a.started_at))::float8
    from delivery_attempts a"""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured."""

    per_second: float
    cores: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=FULL.deliveries)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sizes = msgspec.structs.replace(FULL, deliveries=options.count, rounds=options.rounds)
    with bench_servers.running() as servers:
        lines = measure(servers, sizes)
    for line in lines:
        print(f"{line.claim}: {line.median:,.2f} {line.unit} {line.target} {line.note}")
    return int(any(line.met is False for line in lines))


def measure(servers: stack.Servers, sizes: Sizes) -> list[Line]:
    """Each number of targets beside the plain loop, interleaved."""
    lines: list[Line] = []
    ours: dict[int, list[Result]] = {count: [] for count in TARGET_COUNTS}
    plain: list[float] = []
    with webhook_sink.running() as sink:
        for _ in range(sizes.rounds):
            plain.append(send_plainly(sink, sizes.deliveries))
            for count, results in ours.items():
                results.append(dispatch(servers, sink, sizes.deliveries, targets=count))
    limit = statistics.median(plain)
    for count, results in ours.items():
        rate = statistics.median(each.per_second for each in results)
        lines += [
            Line(
                claim=f"deliveries to {count} target(s), another one hanging, all recorded",
                unit="deliveries/s",
                values=[each.per_second for each in results],
                note=f"cores: {results[-1].cores}",
            ),
            Line(
                claim=f"deliveries to {count} target(s) / plain aiohttp loop",
                unit="ratio",
                values=[rate / limit],
                target=f">= {RATIO_MIN}",
                met=rate / limit >= RATIO_MIN,
            ),
        ]
    plainly = f"plain aiohttp loop, the same bodies, {CONCURRENCY} at once, nothing recorded"
    return [*lines, Line(claim=plainly, unit="requests/s", values=plain)]


def dispatch(
    servers: stack.Servers, sink: webhook_sink.Sink, count: int, *, targets: int
) -> Result:
    """Prepare, send, verify."""
    sink.seen("DELETE")
    key = sealing.make_key()
    fast = [target(f"{sink.url}/hook") for _ in range(targets)]
    hanging = target(f"{sink.url}/hang", in_flight_max=HANGING_IN_FLIGHT)
    share = count // targets
    rows = [row for each in fast for row in ledger_rows.make(share, each)]
    with (
        tempfile.TemporaryDirectory() as folder,
        bench_servers.fresh_system(servers, Path(folder)) as system,
    ):
        ledger_rows.add_targets(system.database, [*fast, hanging], secrets_key=key)
        ledger_rows.add_deliveries(system.database, rows + ledger_rows.make(HANGING, hanging))
        process = system.start(
            "dispatcher",
            wait=False,
            SECRETS_KEY=key,
            WEBHOOK_ALLOW_CIDRS="127.0.0.0/8",
        )
        with cores.sampled(servers, dispatcher=process.child.pid, sink=sink.pid) as used:
            _wait_until_sent(system, process.child, hanging)
        process.kill()  # what hangs would hold the drain
        per_second = len(rows) / system.database.value(SPAN)
        _verify(system.database, sink, rows, hanging)
    return Result(per_second=per_second, cores=str(used))


def send_plainly(sink: webhook_sink.Sink, count: int) -> float:
    """The limit: a process of its own that only posts."""
    sink.seen("DELETE")
    rows = ledger_rows.make(count, target(f"{sink.url}/hook"))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "bodies"
        file.write_bytes(b"\n".join(b"%s %s %s" % (*_parts(each), each.body) for each in rows))
        command = [sys.executable, "-m", "benchmarks.plain_sender", str(file), str(CONCURRENCY)]
        ran = subprocess.run(command, capture_output=True, check=True, timeout=SPAN_SECONDS_MAX)
    assert sink.seen().ids == count, sink.seen()
    told = json.loads(ran.stdout)
    return told["requests"] / told["seconds"]


def _parts(row: ledger_rows.Delivery) -> tuple[bytes, bytes]:
    return row.target.url.encode(), str(row.id).encode()


def target(url: str, *, in_flight_max: int = CONCURRENCY) -> ledger_rows.Target:
    return ledger_rows.Target(id=uuid_utils.compat.uuid7(), url=url, in_flight_max=in_flight_max)


def _wait_until_sent(
    system: stack.System, child: supervisor.Child, hanging: ledger_rows.Target
) -> None:
    """By the index of what is due, which empties; an exact count comes afterwards."""
    deadline = time.monotonic() + SPAN_SECONDS_MAX
    query = (
        "select exists (select from deliveries where destination <> %s"
        " and state in ('pending', 'sending'))"
        " or (select count(*) from events where status = 'processing') > %s"
    )
    with system.database.connect() as conn:
        while True:
            row = conn.execute(query, [hanging.destination, HANGING]).fetchone()
            if row == (False,):
                return
            child.must_be_alive()
            assert time.monotonic() < deadline, child.tail()
            time.sleep(POLL_SECONDS)


def _verify(
    database: stack.Database,
    sink: webhook_sink.Sink,
    rows: list[ledger_rows.Delivery],
    hanging: ledger_rows.Target,
) -> None:
    total, good = database.rows(CHECK, hanging.destination)[0]
    assert total == good == len(rows), (total, good, len(rows))
    seen = sink.seen()
    assert (seen.ids, seen.requests) == (len(rows), len(rows)), seen
    assert seen.hung > 0, "nothing was sent to the target that hangs"
    query = "select count(*) from deliveries where destination = %s and state = 'confirmed'"
    assert database.value(query, hanging.destination) == 0


if __name__ == "__main__":
    raise SystemExit(main())
