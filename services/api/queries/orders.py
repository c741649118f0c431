"""Statements on orders, the events that their commands write, and the outbox rows of those."""

from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.api import jobs
from shared import database, events

type Conn = database.AsyncConnection[tuple[Any, ...]]


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it is stored."""

    id: UUID
    customer_id: str
    currency: str
    amount: int
    items: list[dict[str, Any]]
    status: str
    version: int
    created_at: datetime
    updated_at: datetime
    settled_at: datetime | None


class ChangedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order's next state and the event of the change."""

    id: UUID
    status: str
    version: int
    event: jobs.NewEvent


# Rows go in sorted by id, so two writers with the same ids wait for each other in one direction.
# An id that exists does nothing, and its event and outbox rows are then not written either: they
# come from what was inserted. The outbox rows are sorted by arrival, and a sort reads all of its
# input first: every order is inserted (its row locked) before the first outbox id is drawn.
INSERT_ORDERS: LiteralString = """
with i as (
  select n, id, customer_id, currency, amount, items, event_id, hash, traceparent, topic, shard,
    payload
  from unnest(%(n)b::int[], %(id)b::uuid[], %(customer_id)b::text[], %(currency)b::text[],
    %(amount)b::bigint[],
              %(items)b::bytea[], %(event_id)b::uuid[], %(hash)b::bytea[], %(traceparent)b::text[],
                %(topic)b::text[],
              %(shard)b::smallint[], %(payload)b::bytea[])
    as t(n, id, customer_id, currency, amount, items, event_id, hash, traceparent, topic, shard,
      payload)
), o as (
  insert into orders (id, customer_id, currency, amount, items)
  select id, customer_id, currency, amount, convert_from(items, 'UTF8')::jsonb
  from i
  order by id
  on conflict (id) do nothing
  returning id, created_at
), e as (
  insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
    payload_hash, traceparent)
  select event_id, 'oncely:orders', id::text || '-order.created', id::text, 1, 'order.created',
         convert_from(payload, 'UTF8')::jsonb, hash, traceparent
  from i
  join o using (id)
), x as (
  insert into outbox (shard, event_id, aggregate_id, aggregate_seq, event_type, source,
    traceparent, topic, kafka_key, payload)
  select shard, event_id, id::text, 1, 'order.created', 'oncely:orders', traceparent, topic,
    id::text, payload
  from i
  join o using (id)
  order by n
)
select id, created_at from o
"""

# The row lock, taken in id order, is held until the commit: between this look and the update
# nobody changes an order.
_LOCK_ORDERS: LiteralString = """
select id, customer_id, currency, amount, items, status, version, created_at, updated_at, settled_at
from orders
where id = any(%(ids)b::uuid[])
order by id
for no key update
"""

# Runs under the locks of _LOCK_ORDERS in the same transaction; the version in the condition is the
# check that it did. Outbox ids are drawn last, in arrival order, while the orders' locks are held:
# per order they ascend.
_CHANGE_ORDERS: LiteralString = """
with i as (
  select n, id, status, version, event_id, event_type, hash, traceparent, topic, shard, payload
  from unnest(%(n)b::int[], %(id)b::uuid[], %(status)b::text[], %(version)b::int[],
    %(event_id)b::uuid[],
              %(event_type)b::text[], %(hash)b::bytea[], %(traceparent)b::text[], %(topic)b::text[],
              %(shard)b::smallint[], %(payload)b::bytea[])
    as t(n, id, status, version, event_id, event_type, hash, traceparent, topic, shard, payload)
), u as (
  update orders
  set status = i.status, version = i.version, updated_at = now()
  from i
  where orders.id = i.id
    and orders.version = i.version - 1
  returning orders.id, orders.updated_at
), e as (
  insert into events (id, source, external_id, aggregate_id, aggregate_seq, event_type, payload,
    payload_hash, traceparent)
  select event_id, 'oncely:orders', id::text || '-' || event_type, id::text, version, event_type,
         convert_from(payload, 'UTF8')::jsonb, hash, traceparent
  from i
  join u using (id)
), x as (
  insert into outbox (shard, event_id, aggregate_id, aggregate_seq, event_type, source,
    traceparent, topic, kafka_key, payload)
  select shard, event_id, id::text, version, event_type, 'oncely:orders', traceparent, topic,
    id::text, payload
  from i
  join u using (id)
  order by n
)
select id, updated_at from u
"""

# A read of one row: any committed state is a right answer.
_GET_ORDER: LiteralString = """
select id, customer_id, currency, amount, items, status, version, created_at, updated_at, settled_at
from orders
where id = %(id)s
"""

# A keyset page: rows that appear or change between two pages move nothing that was shown.
_LIST_ORDERS: LiteralString = """
select id, customer_id, currency, amount, items, status, version, created_at, updated_at, settled_at
from orders
where true
"""


async def insert_orders(conn: Conn, *, orders: list[jobs.NewOrder]) -> dict[UUID, datetime]:
    """Insert orders with events and outbox rows; ids that do not come back existed already."""
    cursor = await conn.execute(
        INSERT_ORDERS,
        {
            "n": list(range(len(orders))),
            "id": [order.id for order in orders],
            "customer_id": [order.customer_id for order in orders],
            "currency": [order.currency for order in orders],
            "amount": [order.amount for order in orders],
            "items": [order.items for order in orders],
            **_event_columns([order.event for order in orders]),
        },
    )
    rows: list[tuple[UUID, datetime]] = await cursor.fetchall()
    return dict(rows)


async def lock_orders(conn: Conn, *, ids: list[UUID]) -> dict[UUID, OrderRow]:
    """Lock and read orders; ids that do not come back do not exist."""
    async with conn.cursor(row_factory=database.class_row(OrderRow)) as cursor:
        await cursor.execute(_LOCK_ORDERS, {"ids": ids})
        return {row.id: row for row in await cursor.fetchall()}


async def change_orders(conn: Conn, *, changes: list[ChangedOrder]) -> dict[UUID, datetime]:
    """Give locked orders their next state, with the events and outbox rows of it."""
    cursor = await conn.execute(
        _CHANGE_ORDERS,
        {
            "n": list(range(len(changes))),
            "id": [change.id for change in changes],
            "status": [change.status for change in changes],
            "version": [change.version for change in changes],
            "event_type": [change.event.event_type for change in changes],
            **_event_columns([change.event for change in changes]),
        },
    )
    rows: list[tuple[UUID, datetime]] = await cursor.fetchall()
    return dict(rows)


async def get_order(conn: Conn, *, order_id: UUID) -> OrderRow | None:
    async with conn.cursor(row_factory=database.class_row(OrderRow)) as cursor:
        await cursor.execute(_GET_ORDER, {"id": order_id})
        return await cursor.fetchone()


async def list_orders(
    conn: Conn, *, status: str | None, after: UUID | None, limit: int
) -> list[OrderRow]:
    """Newest first; one row more than a page tells whether another follows."""
    statement = _LIST_ORDERS
    if status is not None:
        statement += " and status = %(status)s"
    if after is not None:
        statement += " and id < %(after)s"
    statement += " order by id desc limit %(limit)s"
    async with conn.cursor(row_factory=database.class_row(OrderRow)) as cursor:
        await cursor.execute(statement, {"status": status, "after": after, "limit": limit})
        return await cursor.fetchall()


def _event_columns(new_events: list[jobs.NewEvent]) -> dict[str, list[Any]]:
    return {
        "event_id": [event.id for event in new_events],
        "hash": [event.payload_hash for event in new_events],
        "traceparent": [event.traceparent for event in new_events],
        "topic": [event.topic for event in new_events],
        "shard": [events.shard_of(event.aggregate_id) for event in new_events],
        "payload": [event.payload for event in new_events],
    }
