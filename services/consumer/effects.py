"""The built-in effects: what an order event books in the ledger. Pure; queries.batch writes it."""

from uuid import UUID

import msgspec

from shared import errors, events

# A refund books the payment backwards: the order's entries sum to zero per account.
ACCOUNTS = {
    "order.paid": ("cash", "sales"),
    "order.refunded": ("sales", "cash"),
}


class OrderData(msgspec.Struct, frozen=True, kw_only=True):
    """What an effect reads of an order event's data; other members are for other readers."""

    order_id: UUID
    currency: str
    amount: int


class Booking(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One debit and one credit of the same amount."""

    order_id: UUID
    debit: str
    credit: str
    amount: int
    currency: str


class Unbookable(msgspec.Struct, frozen=True, kw_only=True):
    """An order event whose data has not the shape of an order's: nobody may guess an amount."""

    message: str


type Effect = Booking | Unbookable

_decode_order = msgspec.json.Decoder(OrderData).decode


def of(envelope: events.Envelope, data: bytes) -> Effect | None:
    """What the event books; None for the many that book nothing."""
    accounts = ACCOUNTS.get(envelope.event_type)
    if accounts is None or envelope.source != events.ORDER_SOURCE:
        return None
    try:
        order = _decode_order(data)
    except msgspec.ValidationError as error:
        return Unbookable(message=str(error)[:500])
    if str(order.order_id) != envelope.aggregate_id:
        return Unbookable(message="order_id is not the event's aggregate")
    debit, credit = accounts
    return Booking(
        order_id=order.order_id,
        debit=debit,
        credit=credit,
        amount=order.amount,
        currency=order.currency,
    )


def booking(effect: Effect | None) -> Booking | None:
    """Raise DeadLetter for what cannot be booked: no retry mends it."""
    if isinstance(effect, Unbookable):
        raise errors.DeadLetter("Unbookable", effect.message)
    return effect
