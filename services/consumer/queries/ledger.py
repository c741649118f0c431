"""The built-in effect: one debit and one credit per paid or refunded order, and settled_at."""

from typing import LiteralString

from services.consumer.queries import batch

# The caller holds the dedupe rows of these events, uncommitted: nobody else can book them. The
# foreign key says the same, and the primary key would refuse a second pair.
BOOK: LiteralString = """
    insert into ledger_entries (order_id, event_type, side, account, amount, currency, event_id)
    select i.order_id, i.event_type, s.side, s.account, i.amount, i.currency, i.event_id
    from unnest(
      %(order_ids)b::uuid[], %(event_types)b::text[], %(debits)b::text[], %(credits)b::text[],
      %(amounts)b::bigint[], %(currencies)b::text[], %(event_ids)b::uuid[]
    ) as i (order_id, event_type, debit, credit, amount, currency, event_id)
    cross join lateral (values ('debit', i.debit), ('credit', i.credit)) as s (side, account)"""

# In a run after the first: what an earlier one booked stays as it is, and is not booked again.
BOOK_AGAIN: LiteralString = """
    with booked as (
      insert into ledger_entries (
        order_id, event_type, replay, side, account, amount, currency, event_id)
      select i.order_id, i.event_type, i.replay, s.side, s.account, i.amount, i.currency, i.event_id
      from unnest(
        %(order_ids)b::uuid[], %(event_types)b::text[], %(replays)b::int[], %(debits)b::text[],
        %(credits)b::text[], %(amounts)b::bigint[], %(currencies)b::text[], %(event_ids)b::uuid[]
      ) as i (order_id, event_type, replay, debit, credit, amount, currency, event_id)
      cross join lateral (values ('debit', i.debit), ('credit', i.credit)) as s (side, account)
      on conflict do nothing
      returning order_id
    )
    select distinct order_id from booked"""

# Order rows are locked in the order of their ids; the api locks one order at a time.
SETTLE: LiteralString = """
    with locked as (
      select o.id from orders o where o.id = any(%(order_ids)b::uuid[])
      order by o.id for no key update
    )
    update orders o set settled_at = now() from locked where o.id = locked.id"""


def book(conn: batch.Connection, *, columns: batch.Columns) -> None:
    """Debit and credit of every row, then settled_at of its order."""
    conn.execute(BOOK, columns)
    conn.execute(SETTLE, {"order_ids": columns["order_ids"]})


def book_again(conn: batch.Connection, *, columns: batch.Columns) -> None:
    """The same for runs after the first: what is booked already is left alone."""
    booked = conn.execute(BOOK_AGAIN, columns).fetchall()
    if booked:
        conn.execute(SETTLE, {"order_ids": [row[0] for row in booked]})
