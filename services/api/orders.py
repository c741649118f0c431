"""Orders: create, seed, pay, cancel and refund as commands; get and list as reads."""

import random
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import uuid_utils.compat
from litestar import get
from litestar.datastructures import State
from litestar.params import FromPath, FromQuery, QueryParameter

from services.api import (
    calls,
    cursors,
    database_pool,
    guards,
    idempotency,
    jobs,
    pages,
    problems,
    writes,
)
from services.api.queries import orders as queries
from shared import telemetry

type Status = Literal["created", "paid", "cancelled", "refunded"]

_CURRENCIES = ("EUR", "USD", "BRL", "JPY")


class CreateOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /orders."""

    customer_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200, examples=["customer-7"])]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$", max_length=3, examples=["EUR"])]
    amount: Annotated[
        int,
        msgspec.Meta(
            ge=1, le=10**15, description="Minor units: 1999 EUR is 19.99 euros.", examples=[1999]
        ),
    ]
    id: Annotated[
        UUID | None, msgspec.Meta(description="Chosen by the client; a UUIDv7 when absent.")
    ] = None
    items: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=100)] = []


class OrderPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list, newest first."""

    orders: list[queries.OrderRow]
    next_cursor: str | None


class SeededOrders(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of the orders that POST /orders/seed made."""

    count: int
    ids: list[UUID]


async def create_order(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    body = guards.decode(call.body, CreateOrder)
    guards.require_printable(body.customer_id, "/customer_id")
    key = idempotency.read_key(call.header(b"idempotency-key"), scope="POST /orders", request=body)
    traceparent = telemetry.traceparent_or_new(call.header(b"traceparent"))
    order = _new_order(body, traceparent=traceparent, topic=resources.settings.orders_topic)
    return await _submit(resources, jobs.CreateOrders(orders=[order], key=key))


async def seed_orders(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    if call.body:
        raise problems.at("", "takes no body; the number goes into the query as ?count=")
    count = _seed_count(call.query, maximum=resources.settings.seed_count_max)
    key = idempotency.read_key(
        call.header(b"idempotency-key"), scope="POST /orders/seed", request=count
    )
    traceparent = telemetry.traceparent_or_new(call.header(b"traceparent"))
    orders = [
        _new_order(_sample(), traceparent=traceparent, topic=resources.settings.orders_topic)
        for _ in range(count)
    ]
    return await _submit(resources, jobs.CreateOrders(orders=orders, key=key, seeded=True))


async def pay_order(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    return await _change(call, resources, "pay")


async def cancel_order(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    return await _change(call, resources, "cancel")


async def refund_order(call: calls.Call, resources: calls.Resources) -> calls.Answer:
    return await _change(call, resources, "refund")


@get(
    "/orders/{order_id:str}",
    tags=["orders"],
    summary="One order; settled_at says that the pipeline has done its work",
)
async def get_order(order_id: FromPath[str], state: State) -> queries.OrderRow:
    found = read_order_id(order_id)
    async with database_pool.connection(state.pool) as conn:
        row = await queries.get_order(conn, order_id=found)
    if row is None:
        raise problems.Problem("not-found", f"there is no order {found}")
    return row


@get("/orders", tags=["orders"], summary="Orders, newest first")
async def list_orders(
    state: State,
    status: FromQuery[Status | None] = None,
    cursor: Annotated[str | None, QueryParameter(max_length=4000)] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
) -> OrderPage:
    filters = {} if status is None else {"status": str(status)}
    place = pages.place(cursor, route="/orders", filters=filters)
    async with database_pool.connection(state.pool) as conn:
        rows = await queries.list_orders(
            conn, status=place.filters.get("status"), after=place.after, limit=limit + 1
        )
    shown = rows[:limit]
    next_cursor = (
        cursors.encode(cursors.Cursor("/orders", shown[-1].id, place.filters))
        if len(rows) > limit
        else None
    )
    return OrderPage(orders=shown, next_cursor=next_cursor)


COMMANDS = (
    calls.Command(
        method="POST",
        path="/orders",
        run=create_order,
        summary="Create an order and its order.created event",
        tag="orders",
        body=CreateOrder,
        answers={201: queries.OrderRow},
        problems=("order-exists", "idempotency-key-reused"),
        idempotent_by_key=True,
    ),
    calls.Command(
        method="POST",
        path="/orders/seed",
        run=seed_orders,
        summary="Make sample orders, all in one transaction",
        tag="orders",
        body=None,
        answers={201: SeededOrders},
        problems=("idempotency-key-reused",),
        idempotent_by_key=True,
        query={"count": "How many; default 10, at most 10,000."},
    ),
    *(
        calls.Command(
            method="POST",
            path=f"/orders/{{order_id}}/{command}",
            run=run,
            summary=summary,
            tag="orders",
            body=None,
            answers={200: queries.OrderRow},
            problems=("not-found", "order-state", "idempotency-key-reused"),
            idempotent_by_key=True,
        )
        for command, run, summary in (
            ("pay", pay_order, "created -> paid"),
            ("cancel", cancel_order, "created -> cancelled"),
            ("refund", refund_order, "paid -> refunded"),
        )
    ),
)


def read_order_id(text: str) -> UUID:
    """An order's id from a path; another text than a UUID names no order."""
    found = pages.read_uuid(text)
    if found is None:
        raise problems.Problem("not-found", "there is no such order: an order id is a UUID")
    return found


async def _change(
    call: calls.Call, resources: calls.Resources, command: Literal["pay", "cancel", "refund"]
) -> calls.Answer:
    order_id = read_order_id(call.target_id)
    if call.body and guards.decode(call.body, dict[str, Any]):
        raise problems.at("", f"{command} takes no fields: send no body or an empty object")
    scope = f"POST /orders/{{order_id}}/{command} {order_id}"
    return await _submit(
        resources,
        jobs.ChangeOrder(
            order_id=order_id,
            command=command,
            traceparent=telemetry.traceparent_or_new(call.header(b"traceparent")),
            topic=resources.settings.orders_topic,
            key=idempotency.read_key(call.header(b"idempotency-key"), scope=scope, request={}),
        ),
    )


async def _submit(resources: calls.Resources, job: jobs.Job) -> calls.Answer:
    result = await resources.coalescer.submit(job)
    assert isinstance(result, jobs.Reply)  # submit raises problems and never hands out Deferred
    return calls.raw_answer(
        result.status, result.body, location=result.location, replayed=result.replayed
    )


def _new_order(body: CreateOrder, *, traceparent: str, topic: str) -> jobs.NewOrder:
    order_id = body.id or uuid_utils.compat.uuid7()
    data = writes.order_data(
        order_id=order_id,
        customer_id=body.customer_id,
        currency=body.currency,
        amount=body.amount,
        status="created",
        version=1,
    )
    data["items"] = body.items
    return jobs.NewOrder(
        id=order_id,
        customer_id=body.customer_id,
        currency=body.currency,
        amount=body.amount,
        items=msgspec.json.encode(body.items),
        event=writes.order_event(
            order_id=order_id,
            event_type="order.created",
            seq=1,
            data=data,
            traceparent=traceparent,
            topic=topic,
        ),
    )


def _seed_count(query: bytes, *, maximum: int) -> int:
    values = pages.read_query(query, allowed=frozenset({"count"}))
    text = values.get("count", "10")
    if not text.isascii() or not text.isdigit() or len(text) > len(str(maximum)):
        raise problems.parameter("count", f"must be a number from 1 to {maximum}")
    if not 1 <= int(text) <= maximum:
        raise problems.parameter("count", f"must be a number from 1 to {maximum}")
    return int(text)


def _sample() -> CreateOrder:
    return CreateOrder(
        customer_id=f"customer-{random.randint(1, 500)}",  # noqa: S311 sample data
        currency=random.choice(_CURRENCIES),  # noqa: S311 sample data
        amount=random.randint(100, 50_000),  # noqa: S311 sample data
    )
