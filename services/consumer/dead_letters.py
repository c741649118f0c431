"""What no retry mends, as rows: the record as it came, its place, and why. Pure but for the ids."""

from typing import Any, cast

import uuid_utils.compat

from services.consumer import records
from shared import database, events

PAYLOAD_BYTES_MAX = 1_048_576
TEXT_CHARS_MAX = 1000

MESSAGES = {
    "UnknownEvent": "no accepted event has this id",
    "ForgedRecord": "the accepted event of this id has another aggregate, type, source or payload",
    "UnknownReplay": "nobody asked for this replay",
}


def row(
    record: records.Record,
    *,
    event: records.Event | None,
    error_class: str,
    message: str,
) -> dict[str, Any]:
    """The parameters of one dead letter; the payload is capped, its length is not."""
    value = record.value or b""
    envelope = event.envelope if event else None
    return {
        "id": uuid_utils.compat.uuid7(),
        "event_id": envelope.event_id if envelope else None,
        "replay": envelope.replay if envelope else None,
        "event_type": envelope.event_type if envelope else None,
        "kafka_key": None if record.key is None else printable(record.key),
        "topic": record.topic,
        "kafka_partition": record.partition,
        "kafka_offset": record.offset,
        "payload": None if record.value is None else value[:PAYLOAD_BYTES_MAX],
        "payload_bytes": len(value),
        "headers": database.Jsonb(headers_as_json(record.headers)),
        "error_class": error_class,
        "error_message": without_nul(message)[:TEXT_CHARS_MAX],
        "attempts": event.attempt_no if event else 1,
    }


def headers_as_json(headers: events.Headers) -> dict[str, Any]:
    """Name -> text; a name that came twice keeps all its values, so that a redrive sees both."""
    found: dict[str, Any] = {}
    for name, value in headers:
        text = None if value is None else printable(value)  # pyright: ignore[reportUnnecessaryComparison] anybody may send a null header
        key = without_nul(name)
        if key not in found:
            found[key] = text
        elif isinstance(found[key], list):
            found[key].append(text)
        else:
            found[key] = [found[key], text]
    return found


def headers_from_json(stored: dict[str, Any]) -> events.Headers:
    """The way back. Bytes that were no text come back as their escapes: refused once more."""
    headers: events.Headers = []
    for name, found in stored.items():
        texts = cast("list[Any]", found if isinstance(found, list) else [found])
        headers.extend((name, text.encode()) for text in texts if isinstance(text, str))
    return headers


def printable(data: bytes) -> str:
    return without_nul(data.decode(errors="backslashreplace"))


def without_nul(text: str) -> str:
    """Postgres takes every character but this one."""
    return text.replace("\0", "\\0")
