"""Rows that are parked, the keys that wait behind them, and what people asked to do with them."""

from collections.abc import Sequence
from uuid import UUID

from services.relay.queries import outbox

type Touched = tuple[str, str, str]
"""Kafka key, id of the dead letter, event type."""


def waiting_keys(conn: outbox.Connection, *, shards: Sequence[int]) -> dict[str, int]:
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


def key_waits(conn: outbox.Connection, *, event_type: str) -> bool:
    """Whether later rows of a key wait behind a parked row of this type."""
    row = conn.execute(
        "select key_policy = 'wait' from event_types where event_type = %(event_type)s",
        {"event_type": event_type},
    ).fetchone()
    return row is None or bool(row[0])


def park(
    conn: outbox.Connection,
    *,
    owner: str,
    epoch: int,
    row: outbox.Row,
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
    conn: outbox.Connection, *, owner: str, shards: Sequence[int], limit: int
) -> list[Touched]:
    """Take requested rows of our shards out of their parking place, oldest first; returns what
    they are.

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
          returning r.outbox_id, r.outbox_created_at, r.id
        )
        update outbox o
        set parked_at = null
        from redriven r
        where o.created_at = r.outbox_created_at
          and o.id = r.outbox_id
          and o.published_at is null
          and o.discarded_at is null
        returning o.kafka_key, r.id::text, o.event_type
        """,
        {"owner": owner, "shards": list(shards), "limit": limit},
    ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]


def discard_requested(
    conn: outbox.Connection, *, owner: str, shards: Sequence[int], limit: int
) -> list[Touched]:
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
          returning r.outbox_id, r.outbox_created_at, r.id
        )
        update outbox o
        set discarded_at = now()
        from discarded r
        where o.created_at = r.outbox_created_at
          and o.id = r.outbox_id
          and o.published_at is null
          and o.parked_at is not null
        returning o.kafka_key, r.id::text, o.event_type
        """,
        {"owner": owner, "shards": list(shards), "limit": limit},
    ).fetchall()
    return [(row[0], row[1], row[2]) for row in rows]
