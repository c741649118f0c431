"""Claims due deliveries, one short transaction at a time, and makes of each what the senders take.

Nothing is sent here: between the claim's commit and the record no transaction is open.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from services.consumer.dispatcher import outgoing, schedule
from services.consumer.dispatcher import settings as dispatch_settings
from services.consumer.queries import dispatch
from shared import sealing, webhook_secrets

EMAIL = "email"
OPENED_MAX = 10_000
# A shorter value is no secret, and would blot out half of an answer.
HIDDEN_CHARACTERS_MIN = 4


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed delivery; after send_before (monotonic) its lease leaves no time to send it."""

    claimed: dispatch.Claimed
    timeout_seconds: float
    send_before: float
    unproven: bool


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What one claim brought; more_in_seconds: when a rate lets the next one through, if soon."""

    jobs: list[Job]
    more: bool
    more_in_seconds: float | None


class Refused(Exception):
    """A delivery that cannot be sent as it is; carries what is recorded of it."""

    def __init__(self, error_class: str, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.answer = outgoing.Answer(
            outcome="failed", error_class=error_class, error_message=message, permanent=permanent
        )


class Claimer:
    """Takes what this process has places for, from each destination its share."""

    def __init__(self, loaded: dispatch_settings.DispatchSettings, *, me: str) -> None:
        self._loaded = loaded
        self._me = me
        self._without = [EMAIL] if loaded.email_mode == "disabled" else []

    async def claim(
        self,
        conn: dispatch.Connection,
        *,
        held: Mapping[str, int],
        free: int,
        free_for_unproven: int,
    ) -> Claims:
        """Claim at most `free`, and for unproven destinations at most `free_for_unproven` of them;
        held: how many of each destination are in flight here.
        """
        loaded = self._loaded
        asked_at = time.monotonic()
        async with conn.transaction():
            ready = await dispatch.lock_ready(
                conn,
                in_flight_max=loaded.destination_in_flight_max,
                without=self._without,
                limit=loaded.claim_destinations_max,
            )
            free = min(free, loaded.claim_batch_max)
            wanted = _wanted(ready, held=held, free=free, free_for_unproven=free_for_unproven)
            if not any(wanted):
                return Claims(jobs=[], more=False, more_in_seconds=None)
            rows = await dispatch.claim(
                conn,
                ready=ready,
                wanted=wanted,
                me=self._me,
                timeout_seconds=loaded.delivery_timeout_ms / 1000,
                margin_seconds=loaded.delivery_lease_margin_seconds,
            )
        unproven = {one.name for one in ready if one.unproven}
        return Claims(
            jobs=[self._job(row, asked_at, unproven=row.destination in unproven) for row in rows],
            more=len(ready) == loaded.claim_destinations_max or _cut_short(rows, ready, wanted),
            more_in_seconds=_next_token_in(ready),
        )

    def _job(self, row: dispatch.Claimed, asked_at: float, *, unproven: bool) -> Job:
        timeout_ms = row.target_timeout_ms or self._loaded.delivery_timeout_ms
        # The lease begins after asked_at and is longer than the timeout by the margin: what begins
        # before this is over before the lease is, and half the margin is left to record it. The
        # monotonic clock goes on while the process is frozen.
        margin = self._loaded.delivery_lease_margin_seconds / 2
        return Job(
            claimed=row,
            timeout_seconds=timeout_ms / 1000,
            send_before=asked_at + margin,
            unproven=unproven,
        )


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """delivery_requests.request of a webhook; the body stays as it was written."""

    method: str = "POST"
    url: str | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw()


class EmailRequest(msgspec.Struct, frozen=True, kw_only=True):
    """delivery_requests.request of a mail."""

    to: list[str]
    subject: str
    body: str


class Outbox:
    """Makes the outgoing message of a claimed delivery; opens what is sealed."""

    def __init__(self, loaded: dispatch_settings.DispatchSettings) -> None:
        self._sealer = loaded.sealer
        secret = loaded.webhook_secret.get_secret_value()
        self._plain_secrets = (webhook_secrets.read_secret(secret),) if secret else ()
        # What was sealed never changes, and most deliveries go to few targets: opening a secret
        # again for each of them would cost as much as sending.
        self._secret: Callable[[bytes], bytes] = functools.lru_cache(OPENED_MAX)(self._open_secret)
        self._headers: Callable[[bytes], dict[str, str]] = functools.lru_cache(OPENED_MAX)(
            self._open_headers
        )

    def outgoing_of(self, job: Job) -> outgoing.Outgoing:
        """Raises Refused."""
        row = job.claimed
        if row.request is None:
            raise Refused("RequestExpired", "retention removed what it was to send", permanent=True)
        try:
            match row.kind:
                case "email":
                    return self._email(job, msgspec.json.decode(row.request, type=EmailRequest))
                case _:
                    found = msgspec.json.decode(row.request, type=WebhookRequest)
                    return self._webhook(job, found)
        except msgspec.MsgspecError as error:
            raise Refused("RequestUnreadable", str(error), permanent=True) from error

    def _email(self, job: Job, found: EmailRequest) -> outgoing.Email:
        row = job.claimed
        return outgoing.Email(
            delivery_id=row.id,
            attempt_no=row.attempt_no,
            to=found.to,
            subject=found.subject,
            body=found.body,
            timeout_seconds=job.timeout_seconds,
            traceparent=row.traceparent,
        )

    def _webhook(self, job: Job, found: WebhookRequest) -> outgoing.Webhook:
        row = job.claimed
        url = found.url or row.target_url
        if url is None:
            raise Refused("RequestUnreadable", "neither it nor a target has a URL", permanent=True)
        headers = found.headers
        secrets = self._plain_secrets
        if row.target_id is not None:
            if row.headers_sealed is not None:
                headers = _merged(found.headers, self._headers(row.headers_sealed))
            secrets = tuple(self._secret(sealed) for sealed in row.secrets_sealed)
        return outgoing.Webhook(
            delivery_id=row.id,
            attempt_no=row.attempt_no,
            method=found.method,
            url=url,
            headers=headers,
            body=bytes(found.body),
            secrets=secrets,
            timeout_seconds=job.timeout_seconds,
            traceparent=row.traceparent,
        )

    def hidden_of(self, job: Job) -> list[str]:
        """What must not come back out of a receiver's answer: the values of a target's headers."""
        sealed = job.claimed.headers_sealed
        if sealed is None:
            return []
        values = self._headers(sealed).values()
        return [value for value in values if len(value) >= HIDDEN_CHARACTERS_MIN]

    def _open_headers(self, sealed: bytes) -> dict[str, str]:
        return msgspec.json.decode(self._open(sealed), type=dict[str, str])

    def _open_secret(self, sealed: bytes) -> bytes:
        return webhook_secrets.read_secret(self._open(sealed).decode())

    def _open(self, sealed: bytes) -> bytes:
        """Not permanent: whoever gives the dispatcher the right key mends it."""
        if self._sealer is None:
            message = "SECRETS_KEY is not set, so the target's secrets cannot be opened"
            raise Refused("SecretsUnavailable", message, permanent=False)
        try:
            return self._sealer.open(sealed)
        except sealing.SealBroken as error:
            raise Refused("SecretsUnavailable", str(error), permanent=False) from error


def held_by_destination(claimed: Mapping[UUID, dispatch.Claimed]) -> Counter[str]:
    return Counter(row.destination for row in claimed.values())


def _wanted(
    ready: Sequence[dispatch.Ready], *, held: Mapping[str, int], free: int, free_for_unproven: int
) -> list[int]:
    """A share for each; unproven ones come behind the others, and never take all places."""
    well = _shares([one for one in ready if not one.unproven], held=held, free=free)
    rest = min(free - sum(well.values()), free_for_unproven)
    found = well | _shares([one for one in ready if one.unproven], held=held, free=max(rest, 0))
    return [found[one.name] for one in ready]


def _shares(
    ready: Sequence[dispatch.Ready], *, held: Mapping[str, int], free: int
) -> dict[str, int]:
    allowed = [
        one.slots if one.tokens is None else min(one.slots, int(one.tokens)) for one in ready
    ]
    shares = schedule.shares(
        held=[held.get(one.name, 0) for one in ready], allowed=allowed, free=free
    )
    return {one.name: share for one, share in zip(ready, shares, strict=True)}


def _cut_short(
    rows: Sequence[dispatch.Claimed], ready: Sequence[dispatch.Ready], wanted: Sequence[int]
) -> bool:
    """Whether some destination gave all that was asked of it, and so may have more."""
    found = Counter(row.destination for row in rows)
    return any(
        share > 0 and found[one.name] == share for one, share in zip(ready, wanted, strict=True)
    )


def _next_token_in(ready: Sequence[dispatch.Ready]) -> float | None:
    waits = [1 / one.rate_per_second for one in ready if one.rate_per_second is not None]
    return min(waits, default=None)


def _merged(own: dict[str, str], targets: dict[str, str]) -> dict[str, str]:
    """The target's headers win: they carry its credentials."""
    names = {name.lower() for name in targets}
    return {name: value for name, value in own.items() if name.lower() not in names} | targets
