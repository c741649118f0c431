"""What a batch of records asks for: decoded, deduped, judged by the rules, sorted. Pure.

The Kafka thread makes it; when rules changed meanwhile, the database thread judges it again.
"""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from services.consumer import evaluation, records
from shared.rules import patterns


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of records asks for, sorted by key, then offset. `taken` says how many of the
    records are in it: rules that take long, or make many rows, cut a batch short.
    """

    events: list[records.Event]
    repeats: list[records.Event]
    poison: list[records.Poison]
    record_ms: float
    taken: int
    book_version: int


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules to plan with, and how much of a batch they may make; `named` are the versions that
    replays ask for by name.
    """

    book: evaluation.Book
    named: Mapping[int, evaluation.Entry] = {}
    timeout_ms: int
    seconds_max: float
    rows_max: int


def make(
    taken: Sequence[records.Record],
    rules: Rules,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> Plan:
    """Decode, find the same event twice (the first offset wins), evaluate, sort by key.

    Two records are the same only when id and payload agree: a forged record must not take the
    place of the genuine one that follows it. Records are looked at in the order of their offsets,
    so a batch that is cut short holds the first ones of each partition.
    """
    started = clock()
    found: dict[tuple[object, ...], records.Event] = {}
    repeats: list[records.Event] = []
    poison: list[records.Poison] = []
    rows = count = 0
    for record in taken:
        count += 1
        decoded = records.decode(record)
        if isinstance(decoded, records.Poison):
            poison.append(decoded)
            continue
        same = _identity(decoded)
        if same in found:
            repeats.append(decoded)
            continue
        found[same] = event = judged(decoded, rules)
        if event.ruling is not None:
            rows += event.ruling.rows
            if rows >= rules.rows_max or clock() - started >= rules.seconds_max:
                break
    return Plan(
        events=sorted(found.values(), key=_order),
        repeats=repeats,
        poison=poison,
        record_ms=(clock() - started) * 1000 / max(count, 1),
        taken=count,
        book_version=rules.book.version,
    )


def judged(event: records.Event, rules: Rules) -> records.Event:
    """The event with what the rules say of it; the event as it is where no rule looks at it. A run
    after the first waits for its instruction, which is read before it is applied.
    """
    if event.envelope.replay and event.instruction is None:
        return event
    found = evaluation.evaluate(
        rules.book,
        event.envelope,
        event.record.value or b"",
        timeout_ms_default=rules.timeout_ms,
        entries=_named(event, rules),
    )
    if found is event.ruling:
        return event
    return msgspec.structs.replace(event, ruling=found)


def _named(event: records.Event, rules: Rules) -> tuple[evaluation.Entry, ...] | None:
    """The versions that a replay names, as far as they look at the event's type."""
    if event.instruction is None or event.instruction.version_ids is None:
        return None
    entries = (rules.named.get(number) for number in event.instruction.version_ids)
    return tuple(
        entry
        for entry in entries
        if entry is not None and patterns.matches(entry.event_type, event.envelope.event_type)
    )


def make_again(planned: Plan, rules: Rules, *, beat: Callable[[], None]) -> Plan:
    """The same events with other rules: they changed after the batch was planned."""
    again: list[records.Event] = []
    for event in planned.events:
        beat()
        again.append(judged(event, rules))
    return msgspec.structs.replace(planned, events=again, book_version=rules.book.version)


def split(planned: Plan, *, rows_max: int) -> list[Plan]:
    """The plan in pieces of about so many rows of rule history, in its order: each is a transaction
    of its own. What was said twice and what cannot be read goes with the last one.
    """
    pieces: list[list[records.Event]] = [[]]
    rows = 0
    for event in planned.events:
        if rows >= rows_max:
            pieces.append([])
            rows = 0
        pieces[-1].append(event)
        rows += event.ruling.rows if event.ruling is not None else 0
    *first, last = pieces
    replaced = msgspec.structs.replace
    return [
        *(replaced(planned, events=events, repeats=[], poison=[]) for events in first),
        replaced(planned, events=last),
    ]


def without(planned: Plan, lost: Collection[tuple[str, int]]) -> Plan:
    """The plan without the records of some partitions."""

    def kept(record: records.Record) -> bool:
        return (record.topic, record.partition) not in lost

    return msgspec.structs.replace(
        planned,
        events=[event for event in planned.events if kept(event.record)],
        repeats=[event for event in planned.repeats if kept(event.record)],
        poison=[poison for poison in planned.poison if kept(poison.record)],
    )


def _identity(event: records.Event) -> tuple[object, ...]:
    envelope = event.envelope
    return (
        envelope.event_id,
        envelope.replay,
        envelope.event_type,
        envelope.aggregate_id,
        envelope.source,
        event.payload_hash,
        event.record.topic,
    )


def _order(event: records.Event) -> tuple[str, str, int, int]:
    record = event.record
    return event.kafka_key, record.topic, record.partition, record.offset
