"""The deliveries that applied rules ask for: rendered, addressed, and made once.

The dispatcher sends them after the commit. What cannot be rendered is a delivery too: skipped, with
the reason, so that the ledger tells it.
"""

from collections.abc import Iterator, Sequence
from itertools import batched
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import uuid_utils.compat

from services.consumer import evaluation, facts, records
from services.consumer.queries import batch
from services.consumer.queries import deliveries as queries
from shared import live, telemetry
from shared.rules import actions, port

KINDS = {"call_webhook": "webhook", "send_email": "email"}
EMAIL_DESTINATION = "email"
# Rendered and inserted together; a rendered body may have 64 KiB, so this bounds the memory.
CHUNK_ROWS = 200

_WITHOUT_BODY = frozenset({"GET", "DELETE"})
_PORTS = {"http": 80, "https": 443}
_REASON_CHARACTERS_MAX = 1000

type Due = tuple[records.Event, evaluation.Entry, actions.Action]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: events with a delivery to send, deliveries by state, and the (event,
    version) pairs whose deliveries were all there before.
    """

    open_events: frozenset[UUID] = frozenset()
    pending: Sequence[live.Item] = ()
    skipped: Sequence[live.Item] = ()
    deduped: frozenset[tuple[UUID, int]] = frozenset()


def make(conn: batch.Connection, fresh: Sequence[records.Event], *, limits: port.Limits) -> Made:
    """In the transaction that holds the dedupe rows of these events, uncommitted."""
    due = list(_due(fresh))
    if not due:
        return Made()
    external_ids = facts.read_external_ids(conn, ((event, action) for event, _, action in due))
    open_events: set[UUID] = set()
    asked: set[tuple[UUID, int]] = set()
    new: set[tuple[UUID, int]] = set()
    pending: list[live.Item] = []
    skipped: list[live.Item] = []
    for chunk in batched(due, CHUNK_ROWS, strict=False):
        rows = [_row(each, external_ids, limits) for each in chunk]
        states = queries.add(conn, rows)
        for row in rows:
            asked.add((row.event_id, row.version_id))
            state = states.get(row.id)
            if state is not None:
                new.add((row.event_id, row.version_id))
            if state == "pending":
                open_events.add(row.event_id)
                pending.append((row.id, row.event_type))
            elif state is not None:
                skipped.append((row.id, row.event_type))
    return Made(
        open_events=frozenset(open_events),
        pending=pending,
        skipped=skipped,
        deduped=frozenset(asked - new),
    )


def of_entry(kept: Sequence[actions.Action]) -> tuple[actions.Action, ...]:
    """Those of a version's actions that are deliveries."""
    return tuple(action for action in kept if action.type in KINDS)


def _due(fresh: Sequence[records.Event]) -> Iterator[Due]:
    for event in fresh:
        if event.ruling is None or event.effects == "none":
            continue
        for execution in event.ruling.executions:
            entry = execution.entry
            if execution.result == "applied" and not entry.shadow:
                for action in entry.deliveries:
                    yield event, entry, action


def _row(due: Due, external_ids: dict[UUID, str], limits: port.Limits) -> queries.Row:
    event, entry, action = due
    envelope = event.envelope
    delivery_id = uuid_utils.compat.uuid7()
    seen = facts.of(event, external_ids.get(envelope.event_id))
    rendered = actions.render(action, seen, limits=limits)
    reason = None if rendered.error is None else f"cannot be rendered: {rendered.error}"
    target_id, target_name = _target(action.params.get("target"))
    destination = None
    if target_id is None and target_name is None:
        destination = _destination(action, rendered)
    return queries.Row(
        id=delivery_id,
        event_id=envelope.event_id,
        event_type=envelope.event_type,
        rule_id=entry.rule_id,
        version_id=entry.version_id,
        action_key=action.key,
        scope=envelope.replay if event.effects == "force" else 0,
        replay=envelope.replay,
        kind=KINDS[action.type],
        destination=destination,
        target_id=target_id,
        target_name=target_name,
        traceparent=_child(envelope.traceparent, delivery_id),
        request=None if rendered.error else _request(action, rendered, seen),
        reason=None if reason is None else reason[:_REASON_CHARACTERS_MAX],
    )


def _target(named: Any) -> tuple[UUID | None, str | None]:
    """A target by its id, or by its name."""
    if not isinstance(named, str):
        return None, None
    try:
        return UUID(named), None
    except ValueError:
        return None, named


def _destination(action: actions.Action, rendered: actions.Rendered) -> str:
    """Where load counts: the origin of a URL (RFC 6454), whatever stands behind it."""
    if action.type == "send_email":
        return EMAIL_DESTINATION
    # A variable never changes scheme and host, so what could not be rendered has them too.
    parts = urlsplit(str(rendered.params.get("url") or action.params["url"]))
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{parts.port or _PORTS.get(parts.scheme, 0)}"


def _request(action: actions.Action, rendered: actions.Rendered, seen: port.Facts) -> str:
    params = rendered.params
    if action.type == "send_email":
        request = {name: params[name] for name in ("to", "subject", "body")}
        return msgspec.json.encode(request).decode()
    method = params.get("method", "POST")
    request = {"method": method, "url": params.get("url"), "headers": params.get("headers", {})}
    if "body" in params:
        request["body"] = params["body"]
    elif method not in _WITHOUT_BODY:
        request["body"] = _default_body(seen)
    return msgspec.json.encode(request).decode()


def _default_body(seen: port.Facts) -> dict[str, Any]:
    """Without a body of its own a webhook tells the event, in the form that Standard Webhooks
    recommends.
    """
    return {
        "type": seen.event_type,
        "timestamp": port.received_at(seen.event_id),
        "event_id": str(seen.event_id),
        "source": seen.source,
        "subject": seen.subject,
        "data": msgspec.Raw(seen.data),
    }


def _child(traceparent: str, delivery_id: UUID) -> str:
    """The event's trace goes on; the span is the delivery's (W3C Trace Context)."""
    version, trace, _, flags = telemetry.traceparent_or_new(traceparent).split("-")
    return f"{version}-{trace}-{delivery_id.hex[-16:]}-{flags}"
