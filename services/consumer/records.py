"""One record of a topic: as it came, and what is left of it when decoded or refused. Pure."""

from typing import Literal

import msgspec

from services.consumer import effects, evaluation
from shared import events

type Place = tuple[str, int, int]
"""Topic, partition, offset."""
type Key = tuple[str, int, str]
"""Topic, partition, Kafka key: what order is kept for."""
type Trigger = Literal["received", "retry", "replay", "redrive"]
type Mode = Literal["current", "original", "pinned"]
type Effects = Literal["dedupe", "force", "none"]


class Instruction(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asked of a run after the first; version_ids: exactly these are evaluated."""

    mode: Mode
    effects: Effects
    version_ids: tuple[int, ...] | None


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What Kafka gave us; anybody may have written it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: events.Headers

    @property
    def place(self) -> Place:
        return self.topic, self.partition, self.offset


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record that can be read. Whether an api ever accepted it, only the database can say."""

    record: Record
    envelope: events.Envelope
    kafka_key: str
    payload_hash: bytes
    effect: effects.Effect | None
    attempt_no: int = 1
    trigger: Trigger = "received"
    ruling: evaluation.Evaluation | None = None
    instruction: Instruction | None = None

    @property
    def effects(self) -> Effects:
        """What this run may do: a first run does everything once."""
        return "dedupe" if self.instruction is None else self.instruction.effects

    @property
    def key(self) -> Key:
        return self.record.topic, self.record.partition, self.kafka_key


class Poison(msgspec.Struct, frozen=True, kw_only=True):
    """A record that nobody can read, and why."""

    record: Record
    error_class: str
    message: str


def decode(record: Record, *, attempt_no: int = 1, trigger: Trigger = "received") -> Event | Poison:
    """Read a record that anybody may have written; says what is wrong instead of raising."""
    envelope = _envelope(record)
    if isinstance(envelope, Poison):
        return envelope
    value = record.value or b""
    try:
        payload_hash = events.payload_hash(envelope.event_type, envelope.subject, value)
        effect = effects.of(envelope, value)
    except RecursionError:
        return _poison(record, "PayloadTooDeep", "the payload is nested too deeply to read")
    except (ValueError, TypeError, OverflowError) as error:
        return _poison(record, "PayloadInvalid", str(error)[:500])
    return Event(
        record=record,
        envelope=envelope,
        kafka_key=envelope.aggregate_id if envelope.subject is None else envelope.subject,
        payload_hash=payload_hash,
        effect=effect,
        attempt_no=attempt_no,
        trigger="replay" if envelope.replay and trigger == "received" else trigger,
    )


def _envelope(record: Record) -> events.Envelope | Poison:
    if not record.value:
        kind = "Tombstone" if record.value is None else "EmptyValue"
        return _poison(record, kind, "the record has no payload")
    envelope = events.decode_headers(record.headers)
    if isinstance(envelope, events.MalformedRecord):
        return _poison(record, envelope.error_class, envelope.message)
    if "\0" in f"{envelope.aggregate_id}{envelope.event_type}{envelope.source}{envelope.subject}":
        return _poison(record, "HeaderInvalid", "a header holds a NUL, which no accepted event has")
    key = envelope.aggregate_id if envelope.subject is None else envelope.subject
    if record.key != key.encode():
        message = "the Kafka key is neither the subject nor, without one, the aggregate"
        return _poison(record, "KeyMismatch", message)
    return envelope


def _poison(record: Record, error_class: str, message: str) -> Poison:
    return Poison(record=record, error_class=error_class, message=message)
