"""The record format between the relay and the consumer, and the three functions that carry the
promises: dedupe key, payload hash, shard of a key. Pure: no I/O, no clock.

A record is CloudEvents 1.0 in Kafka's binary mode: the value is the event's `data` as JSON, the
attributes are headers. What CloudEvents has no name for travels as `x-` headers.
"""

import functools
import hashlib
import zlib
from typing import Any
from uuid import UUID

import msgspec

ORDER_SOURCE = "oncely:orders"
SHARD_COUNT = 64
DEPTH_MAX = 32

type Headers = list[tuple[str, bytes]]

_decode = msgspec.json.Decoder().decode
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Envelope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The headers of one record, as the consumer reads them."""

    event_id: UUID
    aggregate_id: str
    aggregate_seq: int
    event_type: str
    source: str
    subject: str | None
    time: str
    replay: int
    outbox_id: int
    traceparent: str


class MalformedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record has no envelope."""

    error_class: str
    message: str


def dedupe_key(aggregate_id: str, event_type: str) -> str:
    """`{orderId}-{eventType}`, for people and the ce_id header. Never compared: joined text is
    ambiguous.
    """
    return f"{aggregate_id}-{event_type}"


def shard_of(kafka_key: str) -> int:
    """The relay shard (0 to 63) that owns a Kafka key."""
    return zlib.crc32(kafka_key.encode()) & (SHARD_COUNT - 1)


def payload_hash(event_type: str, subject: str | None, data: bytes) -> bytes:
    """SHA-256 over type, subject and the data in canonical form (sorted keys, no white space).

    Two payloads are the same when they are the same JSON value: key order and white space do not
    count, integers compare exactly, other numbers as IEEE 754 doubles, and 1 is not 1.0. Raises
    msgspec.DecodeError (also for invalid UTF-8 as UnicodeDecodeError) when data is not JSON, and
    RecursionError when it is nested too deeply to read.
    """
    return payload_hash_of_value(event_type, subject, _decode(data))


def payload_hash_of_value(event_type: str, subject: str | None, value: Any) -> bytes:
    """The same for data that is decoded already."""
    head = b"\0" if subject is None else b"\1" + subject.encode() + b"\0"
    return hashlib.sha256(event_type.encode() + head + _canonical(value)).digest()


def encode_headers(envelope: Envelope) -> Headers:
    """The record's headers; `decode_headers` reads them back."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", dedupe_key(envelope.aggregate_id, envelope.event_type).encode()),
        ("ce_type", envelope.event_type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", envelope.time.encode()),
        ("content-type", b"application/json"),
        ("traceparent", envelope.traceparent.encode()),
        ("x-event-id", str(envelope.event_id).encode()),
        ("x-aggregate-seq", b"%d" % envelope.aggregate_seq),
        ("x-outbox-id", b"%d" % envelope.outbox_id),
        ("x-replay", b"%d" % envelope.replay),
    ]
    if envelope.subject is not None:
        headers.append(("ce_subject", envelope.subject.encode()))
    return headers


def decode_headers(headers: Headers | None) -> Envelope | MalformedRecord:
    """Read an envelope from a record that anybody may have written; says what is wrong instead of
    raising.
    """
    given = headers or []
    found = dict(given)
    if len(found) < len(given):
        return _doubled(given)
    try:
        return _read_envelope(found)
    except KeyError as missing:
        return MalformedRecord(
            error_class="HeaderMissing", message=f"the header {missing} is missing"
        )
    except (ValueError, AttributeError) as error:
        return MalformedRecord(error_class="HeaderInvalid", message=str(error)[:500])


def _doubled(headers: Headers) -> MalformedRecord:
    seen: set[str] = set()
    name = next(name for name, _ in headers if name in seen or seen.add(name))
    return MalformedRecord(
        error_class="HeaderDoubled", message=f"the header {name!r} appears twice"
    )


def _read_envelope(found: dict[str, bytes]) -> Envelope:
    event_type = found["ce_type"].decode()
    identity = found["ce_id"].decode()
    if not identity.endswith(f"-{event_type}"):
        message = f"ce_id {identity[:300]!r} does not end with its ce_type"
        raise ValueError(message)
    if found["ce_specversion"] != b"1.0":
        message = "ce_specversion is not 1.0"
        raise ValueError(message)
    subject = found.get("ce_subject")
    return Envelope(
        event_id=msgspec.convert(found["x-event-id"].decode(), UUID),
        aggregate_id=identity[: -len(event_type) - 1],
        aggregate_seq=_small_int(found["x-aggregate-seq"]),
        event_type=event_type,
        source=found["ce_source"].decode(),
        subject=None if subject is None else subject.decode(),
        time=found["ce_time"].decode(),
        replay=_small_int(found["x-replay"]),
        outbox_id=_bounded_int(found["x-outbox-id"], maximum=2**63 - 1),
        traceparent=found.get("traceparent", b"").decode(),
    )


@functools.lru_cache(maxsize=1024)
def _small_int(text: bytes) -> int:
    """Sequences and replays are nearly always 0, 1 or 2: remember them."""
    return _bounded_int(text, maximum=2**31 - 1)


def _bounded_int(text: bytes, *, maximum: int) -> int:
    if not text.isdigit() or len(text) > 19 or (number := int(text)) > maximum:  # noqa: PLR2004 digits of 2**63
        message = f"{text[:40]!r} is not a number between 0 and {maximum}"
        raise ValueError(message)
    return number
