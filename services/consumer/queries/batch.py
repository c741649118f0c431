"""What one transaction writes: dedupe, history, effects, verdicts, dead letters.

Rows come as one array per column, binary. They are sorted by key, then offset, by the caller: two
consumers that hold the same records meet at the same row first, and so do not deadlock.
"""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from shared import database

type Connection = database.Connection[Any]
type Columns = dict[str, list[Any]]
type Applied = tuple[str, int, int, float]
"""Topic, partition, offset, and the event's age in seconds."""

# The tables grow under plans that live as long as the connection. Each statement here is a handful
# of index probes per row, and stays that with old statistics or none. For the same reason what is
# asked beside an event's id is written so that no index serves it (`is not distinct from`,
# `is true`): on an empty table the planner takes events_unfinished, and keeps to it as it grows.
PIN_PLANS: LiteralString = """
    select set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
      set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)"""

# The heart of every batch. The join with events is the guard: a record that no api accepted, or
# another payload under a known id, has no row there and so no effect. Two consumers with one event:
# `on conflict` waits for the other's commit, then does nothing. Events that failed for good take
# the way of a redrive, not this one.
_RECORDS: LiteralString = """
    unnest(
      %(event_ids)b::uuid[], %(aggregate_ids)b::text[], %(event_types)b::text[],
      %(sources)b::text[], %(replays)b::int[], %(payload_hashes)b::bytea[], %(topics)b::text[],
      %(partitions)b::int[], %(offsets)b::bigint[]
    ) with ordinality as i (event_id, aggregate_id, event_type, source, replay, payload_hash,
      topic, kafka_partition, kafka_offset, n)"""

_FRESH: LiteralString = """
    with fresh as (
      insert into processed_events (
        aggregate_id, event_type, replay, event_id, topic, kafka_partition, kafka_offset, consumer)
      select i.aggregate_id, i.event_type, i.replay, i.event_id,
        i.topic, i.kafka_partition, i.kafka_offset, %(consumer)s
      from"""

_RETURNING_FRESH: LiteralString = """
      order by i.n
      on conflict do nothing
      returning event_id, replay, topic, kafka_partition, kafka_offset
    )"""

# The first run of events that nobody has replayed: nearly everything.
_UNTOUCHED: LiteralString = """
      join events e on e.id = i.event_id
        and (e.aggregate_id, e.event_type, e.source, e.payload_hash)
          is not distinct from (i.aggregate_id, i.event_type, i.source, i.payload_hash)
      where (e.status in ('pending', 'processing')) is true and i.replay = 0 and e.replay = 0"""

_FINISH: LiteralString = """, applied as (
      update events e
      set status = 'processed'
      from fresh
      where e.id = fresh.event_id and (e.status in ('pending', 'processing')) is true
      returning fresh.event_id, fresh.topic, fresh.kafka_partition, fresh.kafka_offset,
        date_part('epoch', clock_timestamp() - e.received_at) as age
    )"""

# A record is accepted when its run is the present one; a run after the first must have been asked
# for, and may carry another payload that was kept (the receipt).
_ACCEPTED: LiteralString = """
      join events e on e.id = i.event_id
        and (e.aggregate_id, e.event_type, e.source)
          is not distinct from (i.aggregate_id, i.event_type, i.source)
      left join event_replays r on r.event_id = i.event_id and r.replay = i.replay
      where (e.status in ('pending', 'processing')) is true and i.replay = e.replay
        and (i.replay = 0 or r.event_id is not null)
        and coalesce(r.payload_hash, e.payload_hash) is not distinct from i.payload_hash"""

# Any run. One after the first waits for SETTLE_RUNS, since earlier runs may have deliveries.
_FINISH_RUN: LiteralString = """, applied as (
      update events e
      set status = case when fresh.replay = 0 then 'processed' else 'processing' end
      from fresh
      where e.id = fresh.event_id and (e.status in ('pending', 'processing')) is true
      returning fresh.event_id, fresh.topic, fresh.kafka_partition, fresh.kafka_offset,
        date_part('epoch', clock_timestamp() - coalesce(e.replayed_at, e.received_at)) as age
    )"""

_PLACES: LiteralString = """
    select topic, kafka_partition, kafka_offset, age from applied"""

# What is tried again or replayed: ADD_SUCCESSES follows, with number and trigger of each attempt.
APPLY_AGAIN: LiteralString = (
    _FRESH + _RECORDS + _ACCEPTED + _RETURNING_FRESH + _FINISH_RUN + _PLACES
)

# A zombie that recorded the same attempt before is left as it stands.
_FIRST_ATTEMPTS: LiteralString = """
    , attempts as (
      insert into event_attempts (event_id, attempt_no, trigger, status, duration_ms, consumer)
      select applied.event_id, 1, 'received', 'success', %(duration_ms)s, %(consumer)s from applied
      on conflict do nothing
    )"""

# What comes from Kafka: these attempts are all the first, so one round trip writes everything.
APPLY: LiteralString = (
    _FRESH + _RECORDS + _UNTOUCHED + _RETURNING_FRESH + _FINISH + _FIRST_ATTEMPTS + _PLACES
)

# One attempt has one writer: whoever inserted the dedupe row, or holds the waiting row. A zombie
# that recorded the same number before is left as it stands.
ADD_ATTEMPTS: LiteralString = """
    insert into event_attempts (
      event_id, replay, attempt_no, trigger, status, error_class, error_message, error_stack,
      injected, duration_ms, consumer)
    select i.event_id, i.replay, i.attempt_no, i.trigger, %(status)s, i.error_class,
      i.error_message, i.error_stack, i.injected, %(duration_ms)s, %(consumer)s
    from unnest(
      %(event_ids)b::uuid[], %(replays)b::int[], %(attempt_nos)b::int[], %(triggers)b::text[],
      %(error_classes)b::text[], %(error_messages)b::text[], %(error_stacks)b::text[],
      %(injected)b::bool[]
    ) as i (event_id, replay, attempt_no, trigger, error_class, error_message, error_stack,
      injected)
    on conflict do nothing"""

# The same for what went well, which is nearly everything: fewer columns to send.
ADD_SUCCESSES: LiteralString = """
    insert into event_attempts (
      event_id, replay, attempt_no, trigger, status, duration_ms, consumer)
    select i.event_id, i.replay, i.attempt_no, i.trigger, 'success', %(duration_ms)s, %(consumer)s
    from unnest(
      %(event_ids)b::uuid[], %(replays)b::int[], %(attempt_nos)b::int[], %(triggers)b::text[]
    ) as i (event_id, replay, attempt_no, trigger)
    on conflict do nothing"""

# Asked about records that were not applied, after the insert above has waited for every other
# writer of their keys: what is read here is committed or our own.
_VERDICTS: LiteralString = """
    select
      case
        when p.event_id <> i.event_id then 'conflict'
        when e.id is null then 'UnknownEvent'
        when e.aggregate_id <> i.aggregate_id or e.event_type <> i.event_type
          or e.source <> i.source then 'ForgedRecord'
        when i.replay <> 0 and r.event_id is null then 'UnknownReplay'
        when coalesce(r.payload_hash, e.payload_hash) <> i.payload_hash then 'ForgedRecord'
        when (p.topic, p.kafka_partition, p.kafka_offset)
            = (i.topic, i.kafka_partition, i.kafka_offset) or d.id is not null then 'redelivered'
        when p.event_id is null and i.replay < e.replay then 'superseded'
        else 'duplicate'
      end
    from"""

_WHAT_IS_KNOWN: LiteralString = """
    left join events e on e.id = i.event_id
    left join event_replays r on r.event_id = i.event_id and r.replay = i.replay
    left join processed_events p on p.aggregate_id = i.aggregate_id
      and p.event_type = i.event_type and p.replay = i.replay
    left join dead_letters d on d.stage = 'consumer' and d.topic = i.topic
      and d.kafka_partition = i.kafka_partition and d.kafka_offset = i.kafka_offset
    order by i.n"""

EXPLAIN_LEFTOVERS: LiteralString = _VERDICTS + _RECORDS + _WHAT_IS_KNOWN

# Which records are those of accepted events that still wait to be applied. The answer is only used
# to let them fail: were it old, the failure would be a row too many in the history, not an effect.
_PLACES_OF_RECORDS: LiteralString = """
    select i.topic, i.kafka_partition, i.kafka_offset
    from"""

_NOT_APPLIED: LiteralString = """
        and not exists (
          select from processed_events p where p.aggregate_id = i.aggregate_id
            and p.event_type = i.event_type and p.replay = i.replay)"""

FIND_OPEN: LiteralString = _PLACES_OF_RECORDS + _RECORDS + _ACCEPTED + _NOT_APPLIED

# The first verdict about a record stays; a record that is delivered ten times is one row.
ADD_DROPPED: LiteralString = """
    insert into dropped_records (
      topic, kafka_partition, kafka_offset, event_id, aggregate_id, event_type, replay, verdict,
      consumer)
    select i.topic, i.kafka_partition, i.kafka_offset, i.event_id, i.aggregate_id, i.event_type,
      i.replay, i.verdict, %(consumer)s
    from unnest(
      %(topics)b::text[], %(partitions)b::int[], %(offsets)b::bigint[], %(event_ids)b::uuid[],
      %(aggregate_ids)b::text[], %(event_types)b::text[], %(replays)b::int[], %(verdicts)b::text[]
    ) as i (topic, kafka_partition, kafka_offset, event_id, aggregate_id, event_type, replay,
      verdict)
    on conflict do nothing"""

# One record is one dead letter (unique by its place), however often it is delivered.
ADD_DEAD_LETTER: LiteralString = """
    insert into dead_letters (
      id, stage, event_id, replay, event_type, kafka_key, topic, kafka_partition, kafka_offset,
      payload, payload_bytes, headers, error_class, error_message, attempts)
    values (
      %(id)s, 'consumer', %(event_id)s, %(replay)s, %(event_type)s, %(kafka_key)s, %(topic)s,
      %(kafka_partition)s, %(kafka_offset)s, %(payload)b, %(payload_bytes)s, %(headers)s,
      %(error_class)s, %(error_message)s, %(attempts)s)
    on conflict do nothing"""

# Only along a legal edge: an event that somebody else finished meanwhile is left alone.
MARK_EVENTS: LiteralString = """
    update events e
    set status = %(status)s
    from unnest(%(event_ids)b::uuid[]) as i (id)
    where e.id = i.id and (e.status = any(%(from_statuses)s)) is true"""

# A redrive: the failed event of exactly this record may be applied again. A record that only claims
# the id reopens nothing.
REOPEN: LiteralString = """
    update events e
    set status = 'pending'
    from unnest(
      %(event_ids)b::uuid[], %(aggregate_ids)b::text[], %(event_types)b::text[],
      %(sources)b::text[], %(replays)b::int[], %(payload_hashes)b::bytea[]
    ) as i (event_id, aggregate_id, event_type, source, replay, payload_hash)
    left join event_replays r on r.event_id = i.event_id and r.replay = i.replay
    where e.id = i.event_id
      and (e.aggregate_id, e.event_type, e.source, e.replay)
        is not distinct from (i.aggregate_id, i.event_type, i.source, i.replay)
      and (i.replay = 0 or r.event_id is not null)
      and coalesce(r.payload_hash, e.payload_hash) is not distinct from i.payload_hash
      and (e.status = 'failed') is true"""

# Read by the few batches in which something failed; a type without a row has the defaults.
READ_EVENT_TYPES: LiteralString = """
    select t.event_type, t.key_policy, t.retry_limit
    from event_types t
    where t.event_type = any(%(event_types)s)"""


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a type, and the defaults of one without a row (those of the schema)."""

    event_type: str = ""
    key_policy: str = "wait"
    retry_limit: int = 10


def pin_plans(conn: Connection) -> None:
    """Once per connection."""
    conn.execute(PIN_PLANS)


def apply(
    conn: Connection, *, columns: Columns, duration_ms: float, consumer: str
) -> list[Applied]:
    """Dedupe, finish and record first attempts; the places that were applied, with their age."""
    bound = {**columns, "duration_ms": duration_ms, "consumer": consumer}
    with conn.cursor(binary=True) as cursor:
        return cursor.execute(APPLY, bound).fetchall()  # pyright: ignore[reportReturnType] the columns of the statement


def apply_again(conn: Connection, *, columns: Columns, consumer: str) -> list[Applied]:
    """The same without the attempts."""
    with conn.cursor(binary=True) as cursor:
        return cursor.execute(APPLY_AGAIN, {**columns, "consumer": consumer}).fetchall()  # pyright: ignore[reportReturnType] the columns of the statement


def add_successes(conn: Connection, *, columns: Columns, duration_ms: float, consumer: str) -> None:
    conn.execute(ADD_SUCCESSES, {**columns, "duration_ms": duration_ms, "consumer": consumer})


def add_failures(conn: Connection, *, columns: Columns, duration_ms: float, consumer: str) -> None:
    bound = {**columns, "status": "failed", "duration_ms": duration_ms, "consumer": consumer}
    conn.execute(ADD_ATTEMPTS, bound)


def explain_leftovers(conn: Connection, *, columns: Columns) -> list[str]:
    """Why each record was not applied, in the order given: a verdict, or a dead letter's class."""
    return [row[0] for row in conn.execute(EXPLAIN_LEFTOVERS, columns).fetchall()]


def find_open(conn: Connection, *, columns: Columns) -> set[tuple[str, int, int]]:
    """The places of records whose events are accepted and not applied."""
    return {(row[0], row[1], row[2]) for row in conn.execute(FIND_OPEN, columns).fetchall()}


def add_dropped(conn: Connection, *, columns: Columns, consumer: str) -> None:
    conn.execute(ADD_DROPPED, {**columns, "consumer": consumer})


def add_dead_letters(conn: Connection, *, rows: Sequence[dict[str, Any]]) -> int:
    """Returns how many were new."""
    added = 0
    for row in rows:
        added += conn.execute(ADD_DEAD_LETTER, row).rowcount
    return added


def mark_events(
    conn: Connection, *, event_ids: Sequence[UUID], status: str, from_statuses: Sequence[str]
) -> None:
    bound = {"event_ids": list(event_ids), "status": status, "from_statuses": list(from_statuses)}
    conn.execute(MARK_EVENTS, bound)


def reopen(conn: Connection, *, columns: Columns) -> None:
    conn.execute(REOPEN, columns)


def read_event_types(conn: Connection, event_types: set[str]) -> dict[str, EventType]:
    """A type that has no row is not in the answer: it has the defaults."""
    bound = {"event_types": sorted(event_types)}
    with conn.cursor(row_factory=database.class_row(EventType)) as cursor:
        found = cursor.execute(READ_EVENT_TYPES, bound).fetchall()
    return {row.event_type: row for row in found}
