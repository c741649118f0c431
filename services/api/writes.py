"""What one commit holds: the jobs of a batch, kind by kind, as bulk statements in one open
transaction.

Two writers cannot deadlock: both lock orders to create, orders to change, events and keys in this
sequence, and
within each kind sorted. The coalescer opens and commits the transaction; nothing here does.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec
import uuid_utils.compat

from services.api import coalescer, idempotency, jobs, problems
from services.api.queries import events as event_queries
from services.api.queries import idempotency as key_queries
from services.api.queries import orders as order_queries
from shared import database, events

type Conn = database.AsyncConnection[tuple[Any, ...]]
type Results = dict[int, jobs.Result]
type Outcomes = dict[tuple[int, int], jobs.Reply | problems.Problem]

# command -> (the state it needs, the state it makes, its event); order_edges in the schema says
# the same.
EDGES: dict[str, tuple[str, str, str]] = {
    "pay": ("created", "paid", "order.paid"),
    "cancel": ("created", "cancelled", "order.cancelled"),
    "refund": ("paid", "refunded", "order.refunded"),
}


class _Group(msgspec.Struct):
    """The events of a batch that have one source, id and payload, in order of arrival."""

    event: jobs.NewEvent
    places: list[tuple[int, int]]  # job number, number within the job


type _Name = tuple[str, str]
type _Groups = dict[_Name, dict[bytes, _Group]]
type _Stored = dict[_Name, event_queries.Accepted]


async def apply(conn: Conn, batch: Sequence[jobs.Job]) -> list[jobs.Result]:
    """Run a batch in the caller's transaction and say what became of each job if it commits."""
    results: Results = {}
    await _answer_known_keys(conn, batch, results)
    await _create_orders(conn, batch, results)
    await _change_orders(conn, batch, results)
    await _ingest_events(conn, batch, results)
    await _store_answers(conn, batch, results)
    assert len(results) == len(batch)  # every job has a fate
    return [results[number] for number in range(len(batch))]


async def _answer_known_keys(conn: Conn, batch: Sequence[jobs.Job], results: Results) -> None:
    """Answer what was answered before; of two jobs with one key the second waits for the next
    commit.
    """
    leaders: dict[tuple[str, str], int] = {}
    for number, job in enumerate(batch):
        if job.key is not None:
            name = (job.key.scope, job.key.key)
            if leaders.setdefault(name, number) != number:
                results[number] = jobs.Deferred()
    if not leaders:
        return
    for stored in await key_queries.find(conn, keys=list(leaders)):
        number = leaders[(stored.scope, stored.key)]
        key = batch[number].key
        assert key is not None  # leaders have keys
        try:
            results[number] = idempotency.replay(stored, key)
        except problems.Problem as problem:
            results[number] = problem


async def _create_orders(conn: Conn, batch: Sequence[jobs.Job], results: Results) -> None:
    creations: dict[int, jobs.CreateOrders] = {}
    taken: set[UUID] = set()
    for number, job in enumerate(batch):
        if number in results or not isinstance(job, jobs.CreateOrders):
            continue
        ids = {order.id for order in job.orders}
        if taken & ids:
            results[number] = jobs.Deferred()
        else:
            taken |= ids
            creations[number] = job
    if not creations:
        return
    inserted = await order_queries.insert_orders(
        conn, orders=[order for job in creations.values() for order in job.orders]
    )
    for number, job in creations.items():
        results[number] = _created(job, inserted)


def _created(job: jobs.CreateOrders, inserted: dict[UUID, Any]) -> jobs.Result:
    if job.seeded:
        # Seeded ids are drawn here and nobody chose them: one that exists means a broken clock or
        # generator.
        assert all(order.id in inserted for order in job.orders)
        ids = [order.id for order in job.orders]
        return jobs.Reply(status=201, body=msgspec.json.encode({"count": len(ids), "ids": ids}))
    order = job.orders[0]
    created_at = inserted.get(order.id)
    if created_at is None:
        return problems.Problem(
            "order-exists",
            f"the order {order.id} exists already",
            errors=[problems.Fault(pointer="/id", detail="choose another id or leave it out")],
        )
    row = order_queries.OrderRow(
        id=order.id,
        customer_id=order.customer_id,
        currency=order.currency,
        amount=order.amount,
        items=msgspec.json.decode(order.items),
        status="created",
        version=1,
        created_at=created_at,
        updated_at=created_at,
        settled_at=None,
    )
    return jobs.Reply(status=201, body=msgspec.json.encode(row), location=f"/orders/{order.id}")


async def _change_orders(conn: Conn, batch: Sequence[jobs.Job], results: Results) -> None:
    pending = {
        number: job
        for number, job in enumerate(batch)
        if number not in results and isinstance(job, jobs.ChangeOrder)
    }
    if not pending:
        return
    ids = sorted({job.order_id for job in pending.values()})
    rows = await order_queries.lock_orders(conn, ids=ids)
    changes: dict[int, order_queries.ChangedOrder] = {}
    next_status: dict[UUID, str] = {}
    for number, job in pending.items():
        outcome = _decide(job, rows.get(job.order_id), next_status.get(job.order_id))
        if isinstance(outcome, order_queries.ChangedOrder):
            changes[number] = outcome
            next_status[job.order_id] = outcome.status
        else:
            results[number] = outcome
    if not changes:
        return
    updated = await order_queries.change_orders(conn, changes=list(changes.values()))
    assert len(updated) == len(changes)  # the rows are locked and their versions were read
    for number, change in changes.items():
        row = msgspec.structs.replace(
            rows[change.id],
            status=change.status,
            version=change.version,
            updated_at=updated[change.id],
        )
        results[number] = jobs.Reply(status=200, body=msgspec.json.encode(row), event=change.event)


def _decide(
    job: jobs.ChangeOrder, row: order_queries.OrderRow | None, next_status: str | None
) -> order_queries.ChangedOrder | jobs.Deferred | problems.Problem:
    """Say what a command does to a locked order that an earlier job may have changed."""
    if row is None:
        return problems.Problem("not-found", f"there is no order {job.order_id}")
    needed, made, event_type = EDGES[job.command]
    status = next_status or row.status
    if status != needed:
        return problems.Problem(
            "order-state", f"the order is {status}; {job.command} needs {needed}", state=status
        )
    if next_status is not None:
        return jobs.Deferred()
    return order_queries.ChangedOrder(
        id=row.id,
        status=made,
        version=row.version + 1,
        event=_change_event(job, row, event_type, made),
    )


def _change_event(
    job: jobs.ChangeOrder, row: order_queries.OrderRow, event_type: str, status: str
) -> jobs.NewEvent:
    data = order_data(
        order_id=row.id,
        customer_id=row.customer_id,
        currency=row.currency,
        amount=row.amount,
        status=status,
        version=row.version + 1,
    )
    return order_event(
        order_id=row.id,
        event_type=event_type,
        seq=row.version + 1,
        data=data,
        traceparent=job.traceparent,
        topic=job.topic,
    )


def order_data(
    *, order_id: UUID, customer_id: str, currency: str, amount: int, status: str, version: int
) -> dict[str, Any]:
    """The data of every order event; schemas/events describes it."""
    return {
        "order_id": str(order_id),
        "customer_id": customer_id,
        "currency": currency,
        "amount": amount,
        "status": status,
        "version": version,
    }


def order_event(
    *,
    order_id: UUID,
    event_type: str,
    seq: int,
    data: dict[str, Any],
    traceparent: str,
    topic: str,
) -> jobs.NewEvent:
    identity = str(order_id)
    return jobs.NewEvent(
        id=uuid_utils.compat.uuid7(),
        source=events.ORDER_SOURCE,
        external_id=events.dedupe_key(identity, event_type),
        aggregate_id=identity,
        aggregate_seq=seq,
        event_type=event_type,
        subject=None,
        payload=msgspec.json.encode(data),
        payload_hash=events.payload_hash_of_value(event_type, None, data),
        occurred_at=None,
        traceparent=traceparent,
        topic=topic,
    )


async def _ingest_events(conn: Conn, batch: Sequence[jobs.Job], results: Results) -> None:
    groups = _group(batch, results)
    if not groups:
        return
    leaders = {name: next(iter(by_hash.values())) for name, by_hash in groups.items()}
    accepted = await event_queries.accept(conn, arrivals=_arrivals(leaders.values()))
    stored: _Stored = {(row.source, row.external_id): row for row in accepted}
    others = [name for name in groups if name not in stored]
    if others:
        found = await event_queries.find_by_external_id(conn, keys=others)
        stored |= {(row.source, row.external_id): row for row in found}
        stored |= await _count_late(conn, groups, leaders, stored, others)
    outcomes: Outcomes = {}
    receipts: list[event_queries.Receipt] = []
    for name, by_hash in groups.items():
        _settle(stored[name], list(by_hash.values()), outcomes, receipts)
    if receipts:
        await event_queries.keep_receipts(conn, receipts=receipts)
    _collect(batch, outcomes, results)


async def _count_late(
    conn: Conn, groups: _Groups, leaders: dict[_Name, _Group], stored: _Stored, names: list[_Name]
) -> _Stored:
    """Count arrivals of a stored payload that came behind a conflicting one in the same batch."""
    late = [
        group
        for name in names
        for group in groups[name].values()
        if group is not leaders[name] and group.event.payload_hash == stored[name].payload_hash
    ]
    if not late:
        return {}
    rows = await event_queries.accept(conn, arrivals=_arrivals(late))
    return {(row.source, row.external_id): row for row in rows}


def _arrivals(groups: Iterable[_Group]) -> list[event_queries.Arrival]:
    return [event_queries.Arrival(event=group.event, count=len(group.places)) for group in groups]


def _group(batch: Sequence[jobs.Job], results: Results) -> _Groups:
    groups: _Groups = {}
    for number, job in enumerate(batch):
        if number in results or not isinstance(job, jobs.IngestEvents):
            continue
        for index, event in enumerate(job.events):
            by_hash = groups.setdefault((event.source, event.external_id), {})
            group = by_hash.get(event.payload_hash)
            if group is None:
                group = by_hash[event.payload_hash] = _Group(event=event, places=[])
            group.places.append((number, index))
    return groups


def _settle(
    row: event_queries.Accepted,
    by_payload: list[_Group],
    outcomes: Outcomes,
    receipts: list[event_queries.Receipt],
) -> None:
    """Give every arrival under one source and id its outcome, in order of arrival."""
    for group in by_payload:
        if group.event.payload_hash != row.payload_hash:
            arrival = event_queries.Arrival(event=group.event, count=len(group.places))
            receipts.append(event_queries.Receipt(event_id=row.id, arrival=arrival))
            outcomes |= dict.fromkeys(group.places, _conflict(row, group.event))
        else:
            before = row.received_count - len(group.places)
            for step, place in enumerate(group.places, start=1):
                is_new = row.id == group.event.id and step == 1
                outcomes[place] = _accepted(row, received_count=before + step, is_new=is_new)


def _accepted(row: event_queries.Accepted, *, received_count: int, is_new: bool) -> jobs.Reply:
    body = {
        "id": row.id,
        "external_id": row.external_id,
        "source": row.source,
        "type": row.event_type,
        "subject": row.subject,
        "status": row.status,
        "duplicate": not is_new,
        "received_count": received_count,
        "received_at": row.received_at,
    }
    return jobs.Reply(
        status=201 if is_new else 200,
        body=msgspec.json.encode(body),
        location=f"/events/{row.id}",
    )


def _conflict(row: event_queries.Accepted, event: jobs.NewEvent) -> problems.Problem:
    return problems.Problem(
        "event-id-conflict",
        "an event with this source and id was accepted with another payload",
        errors=[problems.Fault(pointer="/id", detail="send another payload under another id")],
        event_id=str(row.id),
        stored_hash=row.payload_hash.hex(),
        received_hash=event.payload_hash.hex(),
    )


def _collect(
    batch: Sequence[jobs.Job],
    outcomes: Outcomes,
    results: Results,
) -> None:
    for number, job in enumerate(batch):
        if number in results or not isinstance(job, jobs.IngestEvents):
            continue
        results[number] = jobs.Ingested(
            outcomes=[outcomes[(number, index)] for index in range(len(job.events))]
        )


async def _store_answers(conn: Conn, batch: Sequence[jobs.Job], results: Results) -> None:
    answers: list[key_queries.StoredAnswer] = []
    for number, job in enumerate(batch):
        reply = results[number]
        if job.key is None or not isinstance(reply, jobs.Reply) or reply.replayed:
            continue
        answers.append(
            key_queries.StoredAnswer(
                scope=job.key.scope,
                key=job.key.key,
                request_hash=job.key.request_hash,
                status_code=reply.status,
                response_body=reply.body,
                location=reply.location,
            )
        )
    if answers and not await key_queries.store(conn, answers=answers):
        # Another transaction did the same work under this key and committed: undo ours, then
        # replay its answer.
        raise coalescer.TryAgain
