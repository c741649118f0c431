"""An applied event as templates and conditions read it, with what its record does not carry."""

from collections.abc import Iterable
from uuid import UUID

from services.consumer import records
from services.consumer.queries import batch, rules
from shared.rules import actions, port

type Due = tuple[records.Event, actions.Action]


def of(event: records.Event, external_id: str | None = None) -> port.Facts:
    envelope = event.envelope
    return port.Facts(
        event_id=envelope.event_id,
        event_type=envelope.event_type,
        source=envelope.source,
        subject=envelope.subject,
        data=event.record.value or b"",
        external_id=external_id,
    )


def read_external_ids(conn: batch.Connection, due: Iterable[Due]) -> dict[UUID, str]:
    """The senders' ids, which records do not carry, of the events whose actions name them."""
    wanted = {
        event.envelope.event_id for event, action in due if "external_id" in str(action.params)
    }
    return rules.read_external_ids(conn, sorted(wanted)) if wanted else {}
