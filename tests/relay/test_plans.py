"""The two hot statements keep their plans whatever the statistics say (performance trap T10)."""

import re
from typing import Any

import psycopg
import pytest

from services.relay.queries import outbox
from shared import events
from tests.fixtures import stack

PUBLISHED = 40_000
UNPUBLISHED = 3_000
MARKS = 500

_FILL = """
insert into outbox (created_at, shard, event_id, aggregate_id, aggregate_seq, event_type, source,
  traceparent, topic, kafka_key, payload, published_at, kafka_partition, kafka_offset)
select now() + (n %% 4) * interval '1 day', n %% 64, gen_random_uuid(), n::text, 1, 'order.paid',
  's', 't', 'orders', n::text, '{}', case when n <= %(published)s then now() end,
  case when n <= %(published)s then 1 end, case when n <= %(published)s then n end
from generate_series(1, %(published)s + %(unpublished)s) n"""

_FORGET = """
delete from pg_statistic
where starelid in (
  select oid from pg_class where relname like 'outbox%' or relname = 'relay_shards')"""
_FORGET_SIZES = """
update pg_class set reltuples = -1, relpages = 0, relallvisible = 0
where relname like 'outbox%' or relname = 'relay_shards'"""


@pytest.fixture(params=["fresh", "stale", "missing"])
def filled(request: pytest.FixtureRequest, database: stack.Database) -> stack.Database:
    """An outbox of four days, most of it published, with one state of statistics."""
    counts = {"published": PUBLISHED, "unpublished": UNPUBLISHED}
    with database.connect() as conn:
        for (name,) in conn.execute(
            "select relname from pg_class where relname ~ '^outbox_[0-9]{8}$'"
        ).fetchall():
            conn.execute(f"alter table {name} set (autovacuum_enabled = false)".encode())
        if request.param == "stale":
            conn.execute("analyze outbox, relay_shards")
        conn.execute(_FILL.encode(), counts)
        conn.execute("update relay_shards set owner = 'me', epoch = 3, expires_at = now() + '1 h'")
        if request.param == "fresh":
            conn.execute("analyze outbox, relay_shards")
    if request.param == "missing":
        with psycopg.connect(
            database.server.admin_url(database.name), autocommit=True
        ) as superuser:
            superuser.execute(_FORGET)
            superuser.execute(_FORGET_SIZES)
    return database


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in _nodes(child))]


def _explain(
    conn: psycopg.Connection[tuple[Any, ...]], statement: str, values: dict[str, str]
) -> list[dict[str, Any]]:
    """Run as the relay does: prepared, with the generic plan."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)b", statement)))
    numbered = re.sub(r"%\((\w+)\)b", lambda found: f"${names.index(found[1]) + 1}", statement)
    conn.execute(f"prepare hot as {numbered}".encode())
    arguments = ", ".join(values[name] for name in names)
    row = conn.execute(
        f"explain (analyze, format json) execute hot({arguments})".encode()
    ).fetchone()
    assert row is not None
    nodes = _nodes(row[0][0]["Plan"])
    return [node for node in nodes if node["Actual Loops"] > 0]


def _array(values: list[Any], kind: str) -> str:
    return "'{" + ",".join(f'"{value}"' for value in values) + "}'::" + kind


def test_the_read_walks_its_index_in_order(filled: stack.Database) -> None:
    with filled.connect("oncely_relay") as conn:
        outbox.prepare_session(conn)
        nodes = _explain(
            conn,
            outbox.UNPUBLISHED,
            {
                "shards": _array(list(range(events.SHARD_COUNT)), "smallint[]"),
                "after": "0",
                "waiting_keys": "'{}'::jsonb",
                "page_rows": "1000",
            },
        )

    scans = [node for node in nodes if str(node.get("Alias", "")).startswith("outbox")]
    assert {node["Node Type"] for node in scans} <= {"Index Scan", "Index Only Scan"}
    assert all("_id_shard_idx" in node["Index Name"] for node in scans)
    assert not any(node["Node Type"] == "Sort" for node in nodes)
    # No scan runs through the published rows, or far past the page.
    assert sum(node["Actual Rows"] for node in scans) <= 1_000 + 8


def test_the_mark_finds_each_row_by_its_key_and_each_shard_once(filled: stack.Database) -> None:
    with filled.connect() as conn:
        rows = conn.execute(
            "select created_at, id, shard from outbox where published_at is null limit %s", [MARKS]
        ).fetchall()
    with filled.connect("oncely_relay") as conn:
        outbox.prepare_session(conn)
        nodes = _explain(
            conn,
            outbox.MARK,
            {
                "created_at": _array([row[0] for row in rows], "timestamptz[]"),
                "id": _array([row[1] for row in rows], "bigint[]"),
                "shard": _array([row[2] for row in rows], "smallint[]"),
                "partition": _array([1] * MARKS, "integer[]"),
                "offset": _array([5] * MARKS, "bigint[]"),
                "epoch": _array([3] * MARKS, "bigint[]"),
                "age_us": _array([1000] * MARKS, "integer[]"),
                "owner": "'me'",
            },
        )

    scans = [node for node in nodes if node.get("Relation Name", "").startswith("outbox_")]
    assert scans
    assert {node["Node Type"] for node in scans} <= {"Index Scan"}
    assert all("_pkey" in node["Index Name"] for node in scans)
    # Were rows multiplied by shards, some node would see 64 times as many.
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in nodes) <= 2 * MARKS
    assert nodes[0]["Actual Rows"] == MARKS
