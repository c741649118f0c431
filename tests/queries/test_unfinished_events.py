"""The few unfinished events are found without reading the others, and a status change is cheap."""

import asyncio
from typing import LiteralString
from uuid import UUID

import pytest

from services.api.queries import events as queries
from shared import database as shared_database
from tests.fixtures import stack

FILL = """
    insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
      payload_hash, traceparent)
    select id, 'test', id::text, id::text, 1, 'test.made', '{}', sha256(id::text::bytea), ''
    from (select uuidv7() as id from generate_series(1, %(amount)s::int)) as made"""
# Legal edges only: each status is reached as the consumer reaches it.
SPOIL = """
    with chosen as (select id from events order by id offset 5000 limit 3)
    update events e set status = %(status)s from chosen where e.id = chosen.id"""
FINISH = "update events set status = 'processed' where status = 'pending'"


def _fill(database: stack.Database, status: str) -> None:
    with database.connect() as conn:
        conn.execute(FILL, {"amount": 20_000})
        if status != "pending":
            conn.execute(SPOIL, {"status": status})
        conn.execute(FINISH)
        if status == "pending":
            conn.execute(FILL, {"amount": 3})
        conn.execute("vacuum analyze events")


async def _list(url: str, status: str) -> list[UUID]:
    conn = await shared_database.connect_async(url, application_name="test", autocommit=True)
    async with conn:
        filters = queries.EventFilters(status=status)
        rows = await queries.list_events(conn, filters=filters, after=None, limit=51)
    return [row.id for row in rows]


@pytest.mark.parametrize("status", ["pending", "processing", "failed"])
def test_unfinished_events_are_found_by_their_index(database: stack.Database, status: str) -> None:
    _fill(database, status)
    listed: LiteralString = (
        queries._EVENTS + queries.STATUSES[status] + " order by id desc limit 51"  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] the statement itself is what is explained
    )
    plan = "\n".join(row[0] for row in database.rows("explain (costs off) " + listed))

    found = asyncio.run(_list(database.url("oncely_api"), status))

    assert "Bitmap Index Scan on events_unfinished" in plan
    ids = [row[0] for row in database.rows("select id from events where status <> 'processed'")]
    assert found == sorted(ids, reverse=True)
    assert len(found) == 3


def test_a_change_of_status_writes_no_btree(database: stack.Database) -> None:
    """A btree that mentions the column would make every applied event write all indexes again."""
    query = """
        select i.indexrelid::regclass::text
        from pg_index i
        join pg_class c on c.oid = i.indexrelid
        join pg_am m on m.oid = c.relam
        where i.indrelid = 'events'::regclass and m.amname <> 'brin'
          and pg_get_indexdef(i.indexrelid) ~ '\\mstatus\\M'"""

    assert database.rows(query) == []
