"""What is sent, and what was learned by sending it: the one interface between the loop and the two
senders (webhook, mail). Pure.
"""

from collections.abc import Awaitable, Callable
from typing import Literal
from uuid import UUID

import msgspec

type Outcome = Literal["confirmed", "failed", "unknown"]
"""Failed: it was surely not accepted. Unknown: it may have been (sent, and no answer came)."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a webhook; `secrets` are the raw keys, newest first, none: unsigned."""

    delivery_id: UUID
    attempt_no: int
    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    secrets: tuple[bytes, ...]
    timeout_seconds: float
    traceparent: str


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """One mail; its Message-ID is made of the delivery's id, the same at each attempt."""

    delivery_id: UUID
    attempt_no: int
    to: list[str]
    subject: str
    body: str
    timeout_seconds: float
    traceparent: str


type Outgoing = Webhook | Email


class Phases(msgspec.Struct, frozen=True, kw_only=True):
    """How long each part took, in milliseconds; none where it did not happen (a kept connection
    needs no DNS, connect and TLS).
    """

    dns_ms: float | None = None
    connect_ms: float | None = None
    tls_ms: float | None = None
    first_byte_ms: float | None = None
    total_ms: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt taught. error_class is None exactly when it is confirmed."""

    outcome: Outcome
    error_class: str | None = None
    error_message: str | None = None
    status_code: int | None = None
    address: str | None = None
    phases: Phases = Phases()
    response_head: str | None = None
    response_body: str | None = None
    retry_after_seconds: float | None = None
    gone: bool = False  # 410: the target wants nothing any more
    permanent: bool = False  # no retry can mend it (a mailbox that does not exist, a forbidden URL)


type Send = Callable[[Outgoing], Awaitable[Answer]]
"""Never raises but CancelledError; ends within the timeout."""
