"""Rows that no retry mends: parked with a dead letter; and what people asked to do with them."""

import secrets
from uuid import UUID

from services.relay.queries import letters, outbox
from shared import clock, faults, live, telemetry

# The table's bound; a larger payload stays in the outbox row only.
PAYLOAD_BYTES_MAX = 1_048_576
_ERROR_CHARS_MAX = 1_000

_log = telemetry.logger(__name__)


def park(
    conn: outbox.Connection,
    *,
    owner: str,
    epoch: int,
    row: outbox.Row,
    error_class: str,
    error_message: str,
    announcer: live.Announcer,
) -> bool:
    """Park one row; True when the later rows of its key must wait."""
    letter_id = _uuid7()
    with conn.transaction():
        parked = letters.park(
            conn,
            owner=owner,
            epoch=epoch,
            row=row,
            dead_letter_id=letter_id,
            error_class=error_class,
            error_message=error_message[:_ERROR_CHARS_MAX],
            payload_bytes_max=PAYLOAD_BYTES_MAX,
        )
        waits = letters.key_waits(conn, event_type=row[9])
    if parked:
        announcer.announce("dead_letter", "open", [(letter_id, row[9])])
        telemetry.counter("oncely.outbox.parked").add(1)
        telemetry.counter("oncely.dead_letters.added").add(1, {"stage": "relay"})
        _log.warning(
            "outbox row parked",
            outbox_id=row[0],
            event_id=row[6],
            error_class=error_class,
            key_waits=waits,
        )
    if faults.ENABLED:
        faults.hit("relay.after_park")
    return waits


def act_on_requests(
    conn: outbox.Connection,
    *,
    owner: str,
    shards: list[int],
    limit: int,
    announcer: live.Announcer,
) -> list[letters.Touched]:
    """Redrive and discard what was asked for; returns the keys that were touched."""
    with conn.transaction():
        redriven = letters.redrive_requested(conn, owner=owner, shards=shards, limit=limit)
        discarded = letters.discard_requested(conn, owner=owner, shards=shards, limit=limit)
    if redriven or discarded:
        announcer.announce("dead_letter", "redriven", [(one[1], one[2]) for one in redriven])
        announcer.announce("dead_letter", "discarded", [(one[1], one[2]) for one in discarded])
        _log.info("dead letters resolved", redriven=len(redriven), discarded=len(discarded))
    return redriven + discarded


def _uuid7() -> UUID:
    """An id that sorts by time (RFC 9562), as the list of dead letters is read newest first."""
    milliseconds = int(clock.now().timestamp() * 1000)
    value = milliseconds << 80 | 0x7 << 76 | secrets.randbits(12) << 64
    return UUID(int=value | 0b10 << 62 | secrets.randbits(62))
