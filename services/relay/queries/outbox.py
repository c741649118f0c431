"""The outbox: unpublished rows, the fenced mark, depth, partitions, notifications.

Rows stay plain tuples: they are the hot path.
"""

import array
import struct
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.adapt import Dumper
from psycopg.pq import Format

from shared import database

type Connection = database.Connection[Any]

# id, created_at, shard, kafka_key, topic, payload, event_id, aggregate_id, aggregate_seq,
# event_type, replay, source, subject, occurred_at, traceparent
type Row = tuple[
    int,
    datetime,
    int,
    str,
    str,
    bytes,
    str,
    str,
    int,
    str,
    int,
    str,
    str | None,
    datetime | None,
    str,
]

# id, created_at, shard, partition, offset, epoch, age of the acknowledgement in microseconds
type Mark = tuple[int, datetime, int, int, int, int, int]

PREPARE_SESSION: Final = (
    # ce_time is written in UTC, and a timestamp in UTC is the cheapest to read.
    "set timezone to 'UTC'",
    # The read must walk its index in id order and the mark must look rows up by their key, whatever
    # the statistics say: a fresh, stale or empty outbox has made the planner sort or scan
    # (performance trap T10).
    "set enable_seqscan to off",
    "set enable_bitmapscan to off",
    "set enable_hashjoin to off",
    "set enable_mergejoin to off",
    "set plan_cache_mode to force_generic_plan",
    "set jit to off",
)

# Reads without a lock or a claim: only the owner of a shard publishes its rows, and a row that
# commits later is found by a later pass. `after` moves inside one snapshot only (see handover.py):
# across two snapshots it could step over a row that committed in between and so publish its key's
# next row first. The partial index outbox_unpublished gives the order. Rows that wait behind a
# parked row of their key are filtered here, so that they never fill a page; rows before it go on.
UNPUBLISHED: Final[database.Query] = """
select id, created_at, shard, kafka_key, topic, payload, event_id::text, aggregate_id,
       aggregate_seq, event_type, replay, source, subject, occurred_at, traceparent
from outbox
where published_at is null
  and parked_at is null
  and shard = any(%(shards)b::smallint[])
  and id > %(after)b::bigint
  and id < coalesce((%(waiting_keys)b::jsonb ->> kafka_key)::bigint, 9223372036854775807)
order by id
limit %(page_rows)b::integer
"""

# Fenced: a row counts only under the epoch that it was published under, and only while the shard is
# ours, so a relay that lost its lease marks nothing. Two marks of one row: the second finds
# published_at set. The epoch is looked up row by row, by primary key, and never joined: with the
# statistics of a new database (no shard has an owner) the planner multiplies each row by all 64
# shards (performance trap T10).
# published_at is the moment of the acknowledgement: the database's clock minus its age.
MARK: Final[database.Query] = """
update outbox o
set published_at = clock_timestamp() - v.a * interval '1 microsecond',
    kafka_partition = v.p::integer,
    kafka_offset = v.o
from unnest(
    %(created_at)b::timestamptz[], %(id)b::bigint[], %(shard)b::bigint[],
    %(partition)b::bigint[], %(offset)b::bigint[], %(epoch)b::bigint[], %(age_us)b::bigint[]
  ) v(c, i, h, p, o, e, a)
where v.e = (
    select s.epoch from relay_shards s where s.shard = v.h::smallint and s.owner = %(owner)b
  )
  and o.created_at = v.c
  and o.id = v.i
  and o.published_at is null
returning o.id
"""


class _Bigints:
    """A column of a mark, as bigint[]."""

    __slots__ = ("numbers",)

    def __init__(self, numbers: Sequence[int]) -> None:
        self.numbers = numbers


class _BigintsDumper(Dumper):
    """Postgres's binary array, made in a dozen steps for all numbers: a list costs a call each.

    Twenty bytes of header, then for each number its length (eight) and its eight bytes.
    """

    format = Format.BINARY
    oid = 1016  # bigint[]

    def dump(self, obj: _Bigints) -> bytearray:
        numbers = array.array("q", obj.numbers)
        if sys.byteorder == "little":
            numbers.byteswap()
        values = numbers.tobytes()
        packed = bytearray(20 + 12 * len(numbers))
        struct.pack_into("!iiIii", packed, 0, 1, 0, 20, len(numbers), 1)
        packed[23::12] = b"\x08" * len(numbers)
        for place in range(8):
            packed[24 + place :: 12] = values[place::8]
        return packed


def prepare_session(conn: Connection) -> None:
    """Set what the hot statements rely on, once per connection."""
    conn.adapters.register_dumper(_Bigints, _BigintsDumper)
    for statement in PREPARE_SESSION:
        conn.execute(statement)


def unpublished(
    conn: Connection,
    *,
    shards: Sequence[int],
    after: int,
    waiting_keys: database.Jsonb,
    page_rows: int,
) -> list[Row]:
    """The next rows to publish, in id order."""
    with conn.cursor(binary=True) as cursor:
        cursor.execute(
            UNPUBLISHED,
            {
                "shards": list(shards),
                "after": after,
                "waiting_keys": waiting_keys,
                "page_rows": page_rows,
            },
        )
        return cursor.fetchall()  # pyright: ignore[reportReturnType] the select list is Row


def begin_snapshot(conn: Connection) -> None:
    """One snapshot for the pages of a pass; it locks nothing and ends with the transaction."""
    conn.execute("begin transaction isolation level repeatable read read only")


def end_snapshot(conn: Connection) -> None:
    """Nothing was written, so there is nothing to keep."""
    conn.execute("rollback")


def mark_published(conn: Connection, *, owner: str, marks: Sequence[Mark]) -> set[int]:
    """Mark what the broker acknowledged and return the ids that took it; the others are fenced."""
    ids, created, shards, partitions, offsets, epochs, ages = zip(*marks, strict=True)
    with conn.cursor(binary=True) as cursor:
        cursor.execute(
            MARK,
            {
                "created_at": list(created),
                "id": _Bigints(ids),
                "shard": _Bigints(shards),
                "partition": _Bigints(partitions),
                "offset": _Bigints(offsets),
                "epoch": _Bigints(epochs),
                "age_us": _Bigints(ages),
                "owner": owner,
            },
        )
        return {row[0] for row in cursor.fetchall()}


def marked_already(conn: Connection, *, marks: Sequence[Mark]) -> set[int]:
    """Of marks that did not come back, those that stand in the table with exactly our place.

    A plain read: it only tells a repeated mark (the commit's answer was lost) from a fenced one.
    """
    rows = conn.execute(
        """
        select o.id
        from unnest(%(created_at)b::timestamptz[], %(id)b::bigint[], %(partition)b::integer[],
                    %(offset)b::bigint[]) v(c, i, p, o)
        join outbox o on o.created_at = v.c and o.id = v.i
          and o.kafka_partition = v.p and o.kafka_offset = v.o
        """,
        {
            "created_at": [mark[1] for mark in marks],
            "id": [mark[0] for mark in marks],
            "partition": [mark[3] for mark in marks],
            "offset": [mark[4] for mark in marks],
        },
    ).fetchall()
    return {row[0] for row in rows}


def unmarked_among(
    conn: Connection, *, shards: Sequence[int], ids: Sequence[int]
) -> list[tuple[int, datetime, int, str]]:
    """Of these outbox ids, the unpublished ones of our shards: (id, created_at, shard, event id).

    A plain read by the shard's owner; the mark that follows is fenced.
    """
    rows = conn.execute(
        """
        select id, created_at, shard, event_id::text
        from outbox
        where published_at is null
          and parked_at is null
          and shard = any(%(shards)s::smallint[])
          and id = any(%(ids)s::bigint[])
        """,
        {"shards": list(shards), "ids": list(ids)},
    ).fetchall()
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def backlog(conn: Connection, *, shards: Sequence[int], count_max: int) -> tuple[int, float]:
    """Unpublished rows of our shards (counted up to a bound) and the age of the oldest in seconds.

    A plain read for probes and metrics.
    """
    row = conn.execute(
        """
        select count(*), coalesce(extract(epoch from now() - min(created_at)), 0)::float8
        from (
          select created_at
          from outbox
          where published_at is null
            and parked_at is null
            and shard = any(%(shards)s::smallint[])
          order by id
          limit %(count_max)s
        ) oldest
        """,
        {"shards": list(shards), "count_max": count_max},
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def database_seconds(conn: Connection) -> float:
    """The database's clock, for durations that begin at a created_at."""
    row = conn.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    assert row is not None
    return row[0]


def make_partitions(conn: Connection, *, days_ahead: int) -> int:
    """Make the next days' partitions. The function takes an advisory lock, so two callers do it
    once.
    """
    conn.execute("select set_config('lock_timeout', '500ms', true)")
    row = conn.execute(
        "select make_outbox_partitions(%(days_ahead)s)", {"days_ahead": days_ahead}
    ).fetchone()
    assert row is not None
    return row[0]


def drop_partitions(conn: Connection, *, retention_days: int) -> int:
    """Drop old days that hold nothing unpublished. The function locks each before it looks."""
    row = conn.execute(
        "select drop_outbox_partitions(%(retention_days)s)", {"retention_days": retention_days}
    ).fetchone()
    assert row is not None
    return row[0]


def listen(conn: Connection) -> None:
    """Hear of commits; a lost notification costs one pause between two reads."""
    conn.execute("listen oncely_outbox")
