"""What waits in the coalescer: one job per request, complete but for the database's word on it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from services.api import problems


class IdempotencyKey(msgspec.Struct, frozen=True, kw_only=True):
    """The client's name for its request; the hash tells whether a second one is the same."""

    scope: str
    key: str
    request_hash: bytes


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One row of events and its row of the outbox."""

    id: UUID
    source: str
    external_id: str
    aggregate_id: str
    aggregate_seq: int
    event_type: str
    subject: str | None
    payload: bytes
    payload_hash: bytes
    occurred_at: datetime | None
    traceparent: str
    topic: str


class CreateOrders(msgspec.Struct, frozen=True, kw_only=True):
    """POST /orders (one) and POST /orders/seed (many): all of them or none."""

    orders: list["NewOrder"]
    key: IdempotencyKey | None = None
    seeded: bool = False

    @property
    def row_count(self) -> int:
        return len(self.orders)


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One order to insert, with the event that says so."""

    id: UUID
    customer_id: str
    currency: str
    amount: int
    items: bytes
    event: NewEvent


class ChangeOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Pay, cancel or refund; legal or not is decided under the order's row lock."""

    order_id: UUID
    command: Literal["pay", "cancel", "refund"]
    traceparent: str
    topic: str
    key: IdempotencyKey | None = None

    @property
    def row_count(self) -> int:
        return 1


class IngestEvents(msgspec.Struct, frozen=True, kw_only=True):
    """POST /events (one) and POST /events/batch (many, each with its own fate)."""

    events: list[NewEvent]

    @property
    def row_count(self) -> int:
        return len(self.events)

    @property
    def key(self) -> None:
        return None


type Job = CreateOrders | ChangeOrder | IngestEvents


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a job that went well; kept as it is under the job's key."""

    status: int
    body: bytes
    location: str | None = None
    replayed: bool = False
    event: NewEvent | None = None  # the one that a command on an order made


class Ingested(msgspec.Struct, frozen=True, kw_only=True):
    """Per event of an IngestEvents: what became of it."""

    outcomes: list["Reply | problems.Problem"]


class Deferred(msgspec.Struct, frozen=True):
    """Not done in this commit because it waits for another job of it; the next commit takes it
    first.
    """


type Result = Reply | Ingested | Deferred | problems.Problem
