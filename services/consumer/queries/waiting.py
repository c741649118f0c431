"""What waits for its time or its turn, and requests to redrive or discard a dead letter.

The rule that keeps a key moving: whoever adds a row behind a key's first row, or changes next_at of
a key's rows, holds the lock of that first row. next_at is null for all rows of a key whose first
row sits in the dead letters, and never null otherwise.
"""

from collections.abc import Sequence
from typing import Any, LiteralString
from uuid import UUID

import msgspec

from services.consumer import records
from shared import database

type Connection = database.Connection[Any]
type Columns = dict[str, list[Any]]

PIECE_ROWS = 10_000

# One semi-join per batch. Only the owner of a partition adds rows for its keys, so a key that is
# free here stays free until this transaction ends.
FIND_WAITING_KEYS: LiteralString = """
    select i.topic, i.kafka_partition, i.kafka_key
    from (
      select distinct k.topic, k.kafka_partition, k.kafka_key
      from unnest(%(topics)b::text[], %(partitions)b::int[], %(keys)b::text[])
        as k (topic, kafka_partition, kafka_key)
    ) as i
    where exists (
      select from waiting_events w where w.kafka_key = i.kafka_key and w.topic = i.topic
        and w.kafka_partition = i.kafka_partition)"""

# The table is nearly always empty, and asking that is cheaper than sending a batch's keys.
ANYTHING_WAITS: LiteralString = "select exists (select from waiting_events)"

# The first rows of the given keys, locked against release and removal until we commit; those that
# went away meanwhile do not come back, and their keys are alive.
LOCK_PARKED_HEADS: LiteralString = """
    select w.topic, w.kafka_partition, w.kafka_key
    from unnest(%(topics)b::text[], %(partitions)b::int[], %(keys)b::text[])
      as i (topic, kafka_partition, kafka_key)
    join waiting_events w on w.kafka_key = i.kafka_key and w.topic = i.topic
      and w.kafka_partition = i.kafka_partition
    where w.next_at is null and not exists (
      select from waiting_events f where f.kafka_key = w.kafka_key and f.topic = w.topic
        and f.kafka_partition = w.kafka_partition and f.kafka_offset < w.kafka_offset)
    order by w.kafka_key, w.topic, w.kafka_partition
    for share of w"""

# A redelivered record finds its own row and leaves it. wait_seconds is null for a parked key.
ADD: LiteralString = """
    insert into waiting_events (
      topic, kafka_partition, kafka_offset, kafka_key, event_id, replay, value, headers, attempt_no,
      trigger, next_at)
    select i.topic, i.kafka_partition, i.kafka_offset, i.kafka_key, i.event_id, i.replay, i.value,
      i.headers::jsonb, i.attempt_no, i.trigger, now() + make_interval(secs => i.wait_seconds)
    from unnest(
      %(topics)b::text[], %(partitions)b::int[], %(offsets)b::bigint[], %(keys)b::text[],
      %(event_ids)b::uuid[], %(replays)b::int[], %(values)b::bytea[], %(headers)b::text[],
      %(attempt_nos)b::int[], %(triggers)b::text[], %(waits)b::float8[]
    ) as i (topic, kafka_partition, kafka_offset, kafka_key, event_id, replay, value, headers,
      attempt_no, trigger, wait_seconds)
    on conflict do nothing"""

# The first row of each key that is due, of our partitions only. A consumer that lost the partition
# and does not know it yet holds the row's lock: we skip, it finishes. The partition is compared as
# one text so that only the index by time serves, which holds nothing of parked keys.
TAKE_DUE_HEADS: LiteralString = """
    select w.topic, w.kafka_partition, w.kafka_key, w.kafka_offset
    from waiting_events w
    where w.next_at <= now()
      and w.topic || '/' || w.kafka_partition = any(%(owned)b::text[])
      and not exists (
        select from waiting_events f where f.kafka_key = w.kafka_key and f.topic = w.topic
          and f.kafka_partition = w.kafka_partition and f.kafka_offset < w.kafka_offset)
    order by w.next_at
    limit %(limit)s
    for update of w skip locked"""

# The rows of those keys in key order. The caller holds their first rows.
READ_ROWS: LiteralString = """
    select w.topic, w.kafka_partition, w.kafka_offset, w.kafka_key, w.value, w.headers,
      w.attempt_no, w.trigger
    from unnest(%(topics)b::text[], %(partitions)b::int[], %(keys)b::text[])
      as i (topic, kafka_partition, kafka_key)
    join waiting_events w on w.kafka_key = i.kafka_key and w.topic = i.topic
      and w.kafka_partition = i.kafka_partition
    order by w.kafka_key, w.topic, w.kafka_partition, w.kafka_offset
    limit %(limit)s"""

# The caller holds the keys' first rows.
REMOVE: LiteralString = """
    delete from waiting_events w
    using unnest(%(topics)b::text[], %(partitions)b::int[], %(offsets)b::bigint[])
      as i (topic, kafka_partition, kafka_offset)
    where w.topic = i.topic and w.kafka_partition = i.kafka_partition
      and w.kafka_offset = i.kafka_offset"""

# As above: the row that failed is the first of its key.
RESCHEDULE: LiteralString = """
    update waiting_events w
    set
      attempt_no = %(attempt_no)s,
      trigger = 'retry',
      next_at = now() + make_interval(secs => %(wait_seconds)s)
    where w.topic = %(topic)s and w.kafka_partition = %(partition)s
      and w.kafka_offset = %(offset)s"""

# Locks the first row before SET_PIECE: rows that were added under that lock are in its snapshot.
LOCK_HEAD: LiteralString = """
    select w.kafka_offset
    from waiting_events w
    where w.kafka_key = %(key)s and w.topic = %(topic)s and w.kafka_partition = %(partition)s
    order by w.kafka_offset
    limit 1
    for update"""

# Where the next piece of a key ends, and how many rows it has. The caller holds the first row, so
# none is added meanwhile.
END_OF_PIECE: LiteralString = """
    select max(p.kafka_offset), count(*)
    from (
      select w.kafka_offset
      from waiting_events w
      where w.kafka_key = %(key)s and w.topic = %(topic)s and w.kafka_partition = %(partition)s
        and w.kafka_offset > %(after)s
      order by w.kafka_offset
      limit %(limit)s) p"""

# Parks a key (null) or lets it go on (now), all rows in one transaction; the caller holds the first
# row. A piece at a time: a million rows behind one take longer than a statement may.
SET_PIECE: LiteralString = """
    update waiting_events w
    set next_at = case when %(parked)s then null else now() end
    where w.kafka_key = %(key)s and w.topic = %(topic)s and w.kafka_partition = %(partition)s
      and w.kafka_offset > %(after)s and w.kafka_offset <= %(last)s
      and (w.next_at is null) <> %(parked)s"""

# One request of our partitions, oldest record first. Two consumers at once: the second skips the
# locked row. A request behind an earlier waiting row of its key waits for its turn.
TAKE_REQUEST: LiteralString = """
    select d.id, d.state, d.event_id, d.replay, d.topic, d.kafka_partition, d.kafka_offset,
      d.kafka_key, d.payload, d.payload_bytes, d.headers
    from dead_letters d
    where d.stage = 'consumer' and d.state in ('redrive_requested', 'discard_requested')
      and d.topic || '/' || d.kafka_partition = any(%(owned)b::text[])
      and (d.state = 'discard_requested' or not exists (
        select from waiting_events w where w.kafka_key = d.kafka_key and w.topic = d.topic
          and w.kafka_partition = d.kafka_partition and w.kafka_offset < d.kafka_offset))
    order by d.kafka_offset
    limit 1
    for update of d skip locked"""

# The row is locked by TAKE_REQUEST in the same transaction.
RESOLVE: LiteralString = """
    update dead_letters d
    set
      state = %(state)s,
      resolved_at = case when %(state)s = 'open' then null else now() end,
      attempts = d.attempts + %(tried)s
    where d.id = %(id)s"""

# Attempts of one event are made by one consumer at a time: whoever holds its row or its request.
LAST_ATTEMPT: LiteralString = """
    select coalesce(max(a.attempt_no), 0)
    from event_attempts a
    where a.event_id = %(event_id)s and a.replay = %(replay)s"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One waiting record."""

    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_key: str
    value: bytes
    headers: dict[str, Any]
    attempt_no: int
    trigger: records.Trigger


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter that somebody wants redriven or discarded."""

    id: UUID
    state: str
    event_id: UUID | None
    replay: int | None
    topic: str
    kafka_partition: int
    kafka_offset: int
    kafka_key: str | None
    payload: bytes | None
    payload_bytes: int
    headers: dict[str, Any]


def find_waiting_keys(conn: Connection, keys: Sequence[records.Key]) -> set[records.Key]:
    """Those of the given keys that have a waiting row."""
    anything = conn.execute(ANYTHING_WAITS).fetchone()
    if anything == (False,):
        return set()
    rows = conn.execute(FIND_WAITING_KEYS, _key_columns(keys)).fetchall()
    return {(row[0], row[1], row[2]) for row in rows}


def lock_parked_heads(conn: Connection, keys: Sequence[records.Key]) -> set[records.Key]:
    """Those of the given keys that wait behind a dead letter."""
    rows = conn.execute(LOCK_PARKED_HEADS, _key_columns(keys)).fetchall()
    return {(row[0], row[1], row[2]) for row in rows}


def add(conn: Connection, *, columns: Columns) -> None:
    conn.execute(ADD, columns)


def take_due(conn: Connection, *, owned: Sequence[tuple[str, int]], limit: int) -> list[Row]:
    """Due first rows and what follows them, in key order; the first rows are locked."""
    heads = conn.execute(TAKE_DUE_HEADS, {**_owned_columns(owned), "limit": limit}).fetchall()
    if not heads:
        return []
    keys: list[records.Key] = [(row[0], row[1], row[2]) for row in heads]
    with conn.cursor(row_factory=database.class_row(Row)) as cursor:
        return cursor.execute(READ_ROWS, {**_key_columns(keys), "limit": limit}).fetchall()


def remove(conn: Connection, places: Sequence[records.Place]) -> None:
    topics, partitions, offsets = (list(column) for column in zip(*places, strict=True))
    conn.execute(REMOVE, {"topics": topics, "partitions": partitions, "offsets": offsets})


def reschedule(
    conn: Connection, place: records.Place, *, attempt_no: int, wait_seconds: float
) -> None:
    topic, partition, offset = place
    bound = {"topic": topic, "partition": partition, "offset": offset}
    conn.execute(RESCHEDULE, {**bound, "attempt_no": attempt_no, "wait_seconds": wait_seconds})


def lock_head(conn: Connection, key: records.Key) -> int | None:
    """Lock the first row of a key and return its offset; None when nothing waits."""
    topic, partition, kafka_key = key
    bound = {"topic": topic, "partition": partition, "key": kafka_key}
    row = conn.execute(LOCK_HEAD, bound).fetchone()
    return int(row[0]) if row else None


def park_key(conn: Connection, key: records.Key) -> None:
    """Nothing of this key is tried until its first row is redriven or discarded."""
    lock_head(conn, key)
    _set_key(conn, key, parked=True)


def release_key(conn: Connection, key: records.Key) -> None:
    """Its rows are due again, first one first. The caller holds the first row, or removed it."""
    _set_key(conn, key, parked=False)


def take_request(conn: Connection, *, owned: Sequence[tuple[str, int]]) -> Request | None:
    with conn.cursor(row_factory=database.class_row(Request)) as cursor:
        return cursor.execute(TAKE_REQUEST, _owned_columns(owned)).fetchone()


def resolve(conn: Connection, request_id: UUID, *, state: str, tried: int) -> None:
    conn.execute(RESOLVE, {"id": request_id, "state": state, "tried": tried})


def last_attempt(conn: Connection, *, event_id: UUID, replay: int) -> int:
    row = conn.execute(LAST_ATTEMPT, {"event_id": event_id, "replay": replay}).fetchone()
    return int(row[0]) if row else 0


def _set_key(conn: Connection, key: records.Key, *, parked: bool) -> None:
    topic, partition, kafka_key = key
    bound = {"topic": topic, "partition": partition, "key": kafka_key}
    last, rows = -1, PIECE_ROWS
    while rows == PIECE_ROWS:
        place = {**bound, "after": last, "limit": PIECE_ROWS}
        last, rows = conn.execute(END_OF_PIECE, place).fetchone() or (None, 0)
        if rows:
            conn.execute(SET_PIECE, {**place, "last": last, "parked": parked})


def _key_columns(keys: Sequence[records.Key]) -> Columns:
    topics, partitions, names = (list(column) for column in zip(*keys, strict=True))
    return {"topics": topics, "partitions": partitions, "keys": names}


def _owned_columns(owned: Sequence[tuple[str, int]]) -> Columns:
    return {"owned": [f"{topic}/{partition}" for topic, partition in owned]}
