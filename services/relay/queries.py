"""All SQL of the relay: leases, unpublished rows, the fenced mark, parking, redrives.

Every function takes the connection first and never commits. Rows stay plain tuples: they are the
hot path.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

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
# commits later is found by a later pass. `after` moves inside one snapshot only (see loop.Relay):
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
    kafka_partition = v.p,
    kafka_offset = v.o
from unnest(
    %(created_at)b::timestamptz[], %(id)b::bigint[], %(shard)b::smallint[],
    %(partition)b::integer[], %(offset)b::bigint[], %(epoch)b::bigint[], %(age_us)b::integer[]
  ) v(c, i, h, p, o, e, a)
where v.e = (select s.epoch from relay_shards s where s.shard = v.h and s.owner = %(owner)b)
  and o.created_at = v.c
  and o.id = v.i
  and o.published_at is null
returning o.id
"""


def prepare_session(conn: Connection) -> None:
    """Set what the hot statements rely on, once per connection."""
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
                "id": list(ids),
                "shard": list(shards),
                "partition": list(partitions),
                "offset": list(offsets),
                "epoch": list(epochs),
                "age_us": list(ages),
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


def beat(conn: Connection, *, name: str) -> None:
    """Say that this relay lives. Each relay writes its own row only."""
    conn.execute(
        """
        insert into relays (name)
        values (%(name)s)
        on conflict (name) do update set heartbeat_at = now()
        """,
        {"name": name},
    )


def forget_dead_relays(conn: Connection, *, dead_seconds: float) -> None:
    """Delete presence rows that nobody has renewed for long; a live relay would insert its own
    again.
    """
    conn.execute(
        "delete from relays where heartbeat_at < now() - %(dead_seconds)s * interval '1 second'",
        {"dead_seconds": dead_seconds},
    )


def renew_shards(
    conn: Connection,
    *,
    owner: str,
    shards: Sequence[int],
    epochs: Sequence[int],
    lease_seconds: float,
) -> set[int]:
    """Extend leases and return the shards that are still ours.

    Owner and epoch must be unchanged, so a shard that another relay took is not taken back; one
    that expired and that nobody took is still ours. Rows are locked in shard order, against
    deadlocks.
    """
    rows = conn.execute(
        """
        with ours as (
          select s.shard
          from relay_shards s
          join unnest(%(shards)s::smallint[], %(epochs)s::bigint[]) v(shard, epoch)
            on s.shard = v.shard and s.epoch = v.epoch
          where s.owner = %(owner)s
          order by s.shard
          for update of s
        )
        update relay_shards s
        set expires_at = now() + %(lease_seconds)s * interval '1 second'
        from ours
        where s.shard = ours.shard
        returning s.shard
        """,
        {
            "owner": owner,
            "shards": list(shards),
            "epochs": list(epochs),
            "lease_seconds": lease_seconds,
        },
    ).fetchall()
    return {row[0] for row in rows}


def look_at_shards(conn: Connection, *, lease_seconds: float) -> tuple[int, int]:
    """Relays alive and shards that anybody may take, by the database's clock. A hint: taking
    decides.
    """
    row = conn.execute(
        """
        select
          (select count(*) from relays
           where heartbeat_at > now() - %(lease_seconds)s * interval '1 second'),
          (select count(*) from relay_shards where owner is null or expires_at < now())
        """,
        {"lease_seconds": lease_seconds},
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def take_shards(
    conn: Connection, *, owner: str, count: int, lease_seconds: float
) -> list[tuple[int, int, bool]]:
    """Take free or expired shards: (shard, epoch, expired).

    Every take raises the epoch, which fences whoever owned the shard before. Two takers at once
    skip each other's locked rows and so never get the same one. `expired` tells that the last owner
    did not release.
    """
    rows = conn.execute(
        """
        with free as (
          select shard, owner is not null as expired
          from relay_shards
          where owner is null or expires_at < now()
          order by shard
          limit %(count)s
          for update skip locked
        )
        update relay_shards s
        set owner = %(owner)s,
            epoch = s.epoch + 1,
            expires_at = now() + %(lease_seconds)s * interval '1 second'
        from free
        where s.shard = free.shard
        returning s.shard, s.epoch, free.expired
        """,
        {"owner": owner, "count": count, "lease_seconds": lease_seconds},
    ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


def release_shards(conn: Connection, *, owner: str, shards: Sequence[int], clean: bool) -> None:
    """Give shards back; `clean` says that nothing of them may be in the log without its mark.

    Only our own rows match. An unclean release keeps the owner and expires at once, so that the
    next owner looks at the last records first.
    """
    conn.execute(
        """
        update relay_shards
        set owner = case when %(clean)s then null else owner end,
            expires_at = now() - interval '1 millisecond'
        where owner = %(owner)s
          and shard = any(%(shards)s::smallint[])
        """,
        {"owner": owner, "shards": list(shards), "clean": clean},
    )


def leave(conn: Connection, *, name: str) -> None:
    """Take this relay out of the count at once. Only our own row matches."""
    conn.execute("delete from relays where name = %(name)s", {"name": name})


def waiting_keys(conn: Connection, *, shards: Sequence[int]) -> dict[str, int]:
    """Keys that wait, with the first parked row before them, unless its type lets them pass.

    A plain read; only the shard's owner parks, and it adds the key to its own list when it does.
    """
    rows = conn.execute(
        """
        select o.kafka_key, min(o.id)
        from outbox o
        left join event_types t using (event_type)
        where o.parked_at is not null
          and o.published_at is null
          and o.discarded_at is null
          and o.shard = any(%(shards)s::smallint[])
          and coalesce(t.key_policy, 'wait') = 'wait'
        group by o.kafka_key
        """,
        {"shards": list(shards)},
    ).fetchall()
    return {row[0]: row[1] for row in rows}


def key_waits(conn: Connection, *, event_type: str) -> bool:
    """Whether later rows of a key wait behind a parked row of this type."""
    row = conn.execute(
        "select key_policy = 'wait' from event_types where event_type = %(event_type)s",
        {"event_type": event_type},
    ).fetchone()
    return row is None or bool(row[0])


def park(
    conn: Connection,
    *,
    owner: str,
    epoch: int,
    row: Row,
    dead_letter_id: UUID,
    error_class: str,
    error_message: str,
    payload_bytes_max: int,
) -> bool:
    """Park one row and write its dead letter in one statement; False when the lease was lost.

    Fenced by owner and epoch like the mark. A row that is parked already does not match, so it gets
    no second letter.
    """
    parked = conn.execute(
        """
        with parked as (
          update outbox o
          set parked_at = now(),
              attempts = o.attempts + 1,
              last_error = %(error_message)s
          from relay_shards s
          where s.shard = %(shard)s
            and s.epoch = %(epoch)s
            and s.owner = %(owner)s
            and o.created_at = %(created_at)s
            and o.id = %(id)s
            and o.published_at is null
            and o.parked_at is null
          returning o.id, o.created_at, o.event_id, o.replay, o.event_type, o.kafka_key, o.topic,
                    o.payload, o.attempts
        )
        insert into dead_letters (id, stage, event_id, replay, event_type, kafka_key, outbox_id,
          outbox_created_at, topic, payload, payload_bytes, error_class, error_message, attempts)
        select %(dead_letter_id)s, 'relay', event_id, replay, event_type, kafka_key, id, created_at,
          topic, case when octet_length(payload) <= %(payload_bytes_max)s then payload end,
          octet_length(payload),
          %(error_class)s, %(error_message)s, attempts
        from parked
        """,
        {
            "id": row[0],
            "created_at": row[1],
            "shard": row[2],
            "epoch": epoch,
            "owner": owner,
            "dead_letter_id": dead_letter_id,
            "error_class": error_class,
            "error_message": error_message,
            "payload_bytes_max": payload_bytes_max,
        },
    )
    return parked.rowcount == 1


def redrive_requested(
    conn: Connection, *, owner: str, shards: Sequence[int], limit: int
) -> list[str]:
    """Take requested rows of our shards out of their parking place, oldest first; returns their
    keys.

    Letter and row change in one statement. The state is tested again under the row's lock, so two
    owners (one of them stale) cannot redrive twice; the epoch is not needed, because un-parking
    publishes nothing.
    """
    rows = conn.execute(
        """
        with requested as (
          select d.id, d.outbox_id, d.outbox_created_at
          from dead_letters d
          join outbox o on o.created_at = d.outbox_created_at and o.id = d.outbox_id
          join relay_shards s on s.shard = o.shard and s.owner = %(owner)s
          where d.stage = 'relay'
            and d.state = 'redrive_requested'
            and o.shard = any(%(shards)s::smallint[])
          order by d.outbox_id
          limit %(limit)s
          for update of d
        ), redriven as (
          update dead_letters d
          set state = 'redriven', resolved_at = now()
          from requested r
          where d.id = r.id
          returning r.outbox_id, r.outbox_created_at
        )
        update outbox o
        set parked_at = null
        from redriven r
        where o.created_at = r.outbox_created_at
          and o.id = r.outbox_id
          and o.published_at is null
          and o.discarded_at is null
        returning o.kafka_key
        """,
        {"owner": owner, "shards": list(shards), "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


def discard_requested(
    conn: Connection, *, owner: str, shards: Sequence[int], limit: int
) -> list[str]:
    """Give requested rows of our shards up: they stay parked for good and their keys go on.

    As in redrive_requested: one statement, and the state is tested under the letter's lock.
    """
    rows = conn.execute(
        """
        with requested as (
          select d.id, d.outbox_id, d.outbox_created_at
          from dead_letters d
          join outbox o on o.created_at = d.outbox_created_at and o.id = d.outbox_id
          join relay_shards s on s.shard = o.shard and s.owner = %(owner)s
          where d.stage = 'relay'
            and d.state = 'discard_requested'
            and o.shard = any(%(shards)s::smallint[])
          order by d.outbox_id
          limit %(limit)s
          for update of d
        ), discarded as (
          update dead_letters d
          set state = 'discarded', resolved_at = now()
          from requested r
          where d.id = r.id
          returning r.outbox_id, r.outbox_created_at
        )
        update outbox o
        set discarded_at = now()
        from discarded r
        where o.created_at = r.outbox_created_at
          and o.id = r.outbox_id
          and o.published_at is null
          and o.parked_at is not null
        returning o.kafka_key
        """,
        {"owner": owner, "shards": list(shards), "limit": limit},
    ).fetchall()
    return [row[0] for row in rows]


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
