"""Who lives, and which shards are whose: by the database's clock, fenced by epochs."""

from collections.abc import Sequence

from services.relay.queries import outbox


def beat(conn: outbox.Connection, *, name: str, broker_away: bool) -> None:
    """Say that this relay lives, and whether a broker answers it. Each relay writes its own row
    only.
    """
    conn.execute(
        """
        insert into relays (name, broker_away)
        values (%(name)s, %(broker_away)s)
        on conflict (name) do update set heartbeat_at = now(), broker_away = excluded.broker_away
        """,
        {"name": name, "broker_away": broker_away},
    )


def forget_dead_relays(conn: outbox.Connection, *, dead_seconds: float) -> None:
    """Delete presence rows that nobody has renewed for long; a live relay would insert its own
    again.
    """
    conn.execute(
        "delete from relays where heartbeat_at < now() - %(dead_seconds)s * interval '1 second'",
        {"dead_seconds": dead_seconds},
    )


def renew_shards(
    conn: outbox.Connection,
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


def look_at_shards(conn: outbox.Connection, *, lease_seconds: float) -> tuple[int, int]:
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
    conn: outbox.Connection, *, owner: str, count: int, lease_seconds: float
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


def release_shards(
    conn: outbox.Connection, *, owner: str, shards: Sequence[int], clean: bool
) -> None:
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


def leave(conn: outbox.Connection, *, name: str) -> None:
    """Take this relay out of the count at once. Only our own row matches."""
    conn.execute("delete from relays where name = %(name)s", {"name": name})
