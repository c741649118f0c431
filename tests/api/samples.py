"""Requests that the tests of the api send."""

import uuid
from typing import Any

from tests.fixtures import client, stack


def order(**changes: Any) -> dict[str, Any]:
    return {"customer_id": "customer-7", "currency": "EUR", "amount": 1999, **changes}


def event(**changes: Any) -> dict[str, Any]:
    return {"id": f"e-{uuid.uuid4()}", "type": "payment.completed", "data": {"a": 1}, **changes}


def create_order(url: str, **changes: Any) -> str:
    answer = client.call(url, "POST", "/orders", order(**changes))
    assert answer.status == 201, answer
    return str(answer.body["id"])


def require_whole_orders(database: stack.Database) -> None:
    """Invariant I1: for every order id all three of order, event and outbox row exist, or none."""
    missing = database.value("""
        select (select count(*) from orders o where not exists (
                  select from events e where e.aggregate_id = o.id::text
                     and e.event_type = 'order.created'))
             + (select count(*) from events e where not exists (
                  select from outbox x where x.event_id = e.id))
             + (select count(*) from outbox x where not exists (
                  select from events e where e.id = x.event_id))
             + (select count(*) from events e where e.source = 'oncely:orders' and not exists (
                  select from orders o where o.id::text = e.aggregate_id))
             + (select count(*) from orders o where o.version <> (
                  select count(*) from events e where e.aggregate_id = o.id::text))
    """)
    assert missing == 0
