"""POST /orders: coalesced commits, one transaction per request, and pgbench with the same SQL.

`python -m benchmarks.api [--seconds 4] [--rounds 3] [--connections 64]` starts a real Postgres of
its own. The three run interleaved; medians are printed. Every run checks that
orders = events = outbox = the 201s that were answered.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import psutil
import psycopg

from cli.stack import postgres, services, supervisor
from services.api.queries import orders as queries
from shared import migrations
from tests.fixtures import stack

BODY = '{"customer_id":"customer-7","currency":"EUR","amount":1999}'
COALESCED = "coalesced"
SINGLE = "one transaction per request, pool of 16"
MODES = {
    COALESCED: {"COALESCE_WRITERS": "2", "COALESCE_BATCH_MAX": "256"},
    SINGLE: {"COALESCE_WRITERS": "16", "COALESCE_BATCH_MAX": "1"},
}
PGBENCH = "pgbench, same SQL, one order"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One measured stretch."""

    rate: float
    p50_ms: float
    p99_ms: float
    app_us: float
    postgres_us: float


def prepare(servers: stack.Servers) -> None:
    """Migrate the server's own database, which every round empties."""
    migrations.up(servers.postgres.url(), role_password=servers.postgres.password)


def measure(servers: stack.Servers, mode: str, *, connections: int, seconds: float) -> Run:
    """One stretch of one contender."""
    with tempfile.TemporaryDirectory() as name:
        if mode == PGBENCH:
            return _pgbench(servers.postgres, Path(name), seconds)
        return _measure(servers.postgres, Path(name), MODES[mode], connections, seconds)


def _measure(
    server: postgres.PostgresServer,
    folder: Path,
    env: dict[str, str],
    connections: int,
    seconds: float,
) -> Run:
    port = supervisor.free_port()
    api = services.ServiceProcess(
        "api",
        env=services.service_env(
            "api",
            database_url=server.url(user="oncely_api"),
            kafka_bootstrap_servers="",
            port=port,
            extra={"LOG_LEVEL": "warning", **env},
        ),
        port=port,
        log_dir=folder,
    )
    _empty(server)
    api.start()
    try:
        api.wait_ready()
        _load(api.url, connections, 1.0)  # warm: prepared statements, caches
        _empty(server)
        assert api.child.pid is not None
        before = _cpu(api.child.pid), _postgres_cpu(server)
        result = _load(api.url, connections, seconds)
        after = _cpu(api.child.pid), _postgres_cpu(server)
    finally:
        api.stop()
    created = result["statuses"].get("201", 0)
    assert set(result["statuses"]) == {"201"}, result
    counts = _counts(server)
    assert counts == (created, created, created), (counts, created)
    return Run(
        rate=created / result["seconds"],
        p50_ms=result["p50_ms"],
        p99_ms=result["p99_ms"],
        app_us=(after[0] - before[0]) / created * 1e6,
        postgres_us=(after[1] - before[1]) / created * 1e6,
    )


def _load(url: str, connections: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.load", url, "/orders"]
    command += [str(connections), str(seconds), BODY]
    done = subprocess.run(command, capture_output=True, timeout=seconds + 60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _pgbench(server: postgres.PostgresServer, folder: Path, seconds: float) -> Run:
    """The service's own statement with arrays of one, each in a transaction, 16 connections."""
    _empty(server)
    script = folder / "order.sql"
    script.write_text(_one_order())
    env = {**os.environ, "PGPASSWORD": server.password}
    before = _postgres_cpu(server)
    done = subprocess.run(
        [str(postgres.bin_dir() / "pgbench"), "-n", "-M", "prepared", "-c", "16", "-j", "1",
         "-T", str(max(1, round(seconds))), "-f", str(script), "-h", "127.0.0.1",
         "-p", str(server.port), "-U", "oncely_api", "oncely"],
        capture_output=True, env=env, timeout=seconds + 60, check=False, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    after = _postgres_cpu(server)
    orders, *others = _counts(server)
    assert others == [orders, orders], (orders, others)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    latency = re.search(r"latency average = ([\d.]+)", done.stdout)
    assert rate, done.stdout
    assert latency, done.stdout
    return Run(
        rate=float(rate[1]),
        p50_ms=float(latency[1]),
        p99_ms=float("nan"),
        app_us=0.0,
        postgres_us=(after - before) / orders * 1e6,
    )


def _one_order() -> str:
    order_id = "md5(:client_id || '-' || :n || '-' || :salt)::uuid"
    # pgbench takes `:1999` and `:orders` for variables, also within quotes.
    payload = f"""convert_to('{BODY.replace(":", ": ")}', 'UTF8')"""
    values = {
        "n": "array[0]",
        "id": f"array[{order_id}]",
        "customer_id": "array['customer-7']",
        "currency": "array['EUR']",
        "amount": "array[1999::bigint]",
        "items": "array['[]'::bytea]",
        "event_id": f"array[{order_id}]",
        "hash": "array[sha256('x')]",
        "traceparent": "array['00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01']",
        "topic": "array['oncely.orders']",
        "shard": "array[7::smallint]",
        "payload": f"array[{payload}]",
    }
    statement = queries.INSERT_ORDERS
    for name, value in values.items():
        statement = re.sub(rf"%\({name}\)b::\w+\[\]", lambda _, v=value: v, statement)
    statement = " ".join(statement.split()).replace(
        "'oncely:orders'", "'oncely'||chr(58)||'orders'"
    )
    return (
        "\\set n random(1, 1000000000)\n\\set salt random(1, 1000000000)\n"
        f"begin;\n{statement};\ncommit;\n"
    )


def _empty(server: postgres.PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as conn:
        conn.execute("truncate orders, events, event_receipts, outbox, idempotency_keys cascade")
        conn.execute("checkpoint") if _may_checkpoint(conn) else None


def _may_checkpoint(conn: psycopg.Connection[Any]) -> bool:
    row = conn.execute("select pg_has_role(current_user, 'pg_checkpoint', 'usage')").fetchone()
    return bool(row and row[0])


def _counts(server: postgres.PostgresServer) -> tuple[int, int, int]:
    with psycopg.connect(server.url()) as conn:
        row = conn.execute(
            "select (select count(*) from orders), (select count(*) from events),"
            " (select count(*) from outbox)"
        ).fetchone()
    assert row is not None
    return row


def _cpu(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def _postgres_cpu(server: postgres.PostgresServer) -> float:
    assert server.child.pid is not None
    parent = psutil.Process(server.child.pid)
    total = 0.0
    for process in (parent, *parent.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            # Ended backends are in the parent's children's time.
            total += times.user + times.system
            if process == parent:
                total += times.children_user + times.children_system
    return total
