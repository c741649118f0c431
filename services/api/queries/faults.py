"""The fault tables as the api changes and shows them. Writes need `take_role` before them."""

from typing import Any

from shared import database

type Rows = list[dict[str, Any]]

# Local to the transaction: the connection goes back to the pool as the api. The role has no login,
# so no other service can take it.
TAKE_ROLE: database.Query = "set local role oncely_faults"

# The row's lock comes first and makes changes wait for each other: the last one wins as a whole.
RAISE_VERSION: database.Query = "update fault_state set version = version + 1 returning version"

# Under the lock of fault_state.
DELETE_RULES: database.Query = "delete from fault_rules"

# Under the lock of fault_state. One moment for all: hits count from created_at, and the time to
# live is by the database's clock.
INSERT_RULES: database.Query = """
    with moment as materialized (select clock_timestamp() as at)
    insert into fault_rules (knob, mode, match, max_hits, seed, created_at, expires_at)
    select chosen.knob, chosen.mode, %(match)s, %(max_hits)s, %(seed)s,
      moment.at, moment.at + make_interval(secs => %(ttl_s)s)
    from moment, unnest(%(knobs)s::text[], %(modes)s::text[]) as chosen (knob, mode)"""

# Append-only.
INSERT_AUDIT: database.Query = """
    insert into audit_log (actor, action, target, detail)
    values (%(actor)s, %(action)s, 'fault_rules', %(detail)s)"""

# Sent after the commit, so that whoever hears it finds the rules; a lost one costs a second.
NOTIFY: database.Query = "select pg_notify('oncely_faults', '')"

# Read-only; expiry by the database's clock. Rules and version are of one snapshot.
READ_RULES: database.Query = """
    select s.version, r.knob, r.mode, r.match, r.max_hits, r.seed, r.created_at, r.expires_at,
      greatest(0, ceil(extract(epoch from r.expires_at - clock_timestamp())))::int as seconds_left,
      (
        select count(*) from fault_hits h where h.knob = r.knob and h.hit_at >= r.created_at
      ) as hits
    from fault_state s
    left join fault_rules r on r.expires_at > clock_timestamp()
    order by r.knob"""

# Read-only. Who has not reported for ten minutes is history; services report every second.
READ_SEEN: database.Query = """
    select service, instance, seen_version, seen_at, active,
      seen_at > clock_timestamp() - interval '5 seconds' as alive
    from fault_seen
    where seen_at > clock_timestamp() - interval '10 minutes'
    order by service, instance
    limit 200"""


async def take_role(conn: database.AsyncConnection[Any]) -> None:
    """Become oncely_faults until the transaction ends."""
    await conn.execute(TAKE_ROLE, prepare=False)


async def raise_version(conn: database.AsyncConnection[Any]) -> None:
    await conn.execute(RAISE_VERSION)


async def delete_rules(conn: database.AsyncConnection[Any]) -> None:
    await conn.execute(DELETE_RULES)


async def insert_rules(
    conn: database.AsyncConnection[Any],
    *,
    modes: dict[str, str],
    match: dict[str, Any],
    max_hits: int | None,
    seed: int,
    ttl_s: int,
) -> None:
    """One rule per knob; modes maps knob to mode."""
    await conn.execute(
        INSERT_RULES,
        {
            "knobs": list(modes),
            "modes": list(modes.values()),
            "match": database.Jsonb(match),
            "max_hits": max_hits,
            "seed": seed,
            "ttl_s": ttl_s,
        },
    )


async def insert_audit(
    conn: database.AsyncConnection[Any], *, actor: str, action: str, detail: dict[str, Any]
) -> None:
    await conn.execute(
        INSERT_AUDIT, {"actor": actor, "action": action, "detail": database.Jsonb(detail)}
    )


async def notify(conn: database.AsyncConnection[Any]) -> None:
    await conn.execute(NOTIFY)


async def read_rules(conn: database.AsyncConnection[Any]) -> Rows:
    """One row per live rule, and one row without a knob when there is none."""
    return await _rows(conn, READ_RULES)


async def read_seen(conn: database.AsyncConnection[Any]) -> Rows:
    """What each service instance has reported."""
    return await _rows(conn, READ_SEEN)


async def _rows(conn: database.AsyncConnection[Any], query: database.Query) -> Rows:
    async with conn.cursor(row_factory=database.dict_row) as cursor:
        await cursor.execute(query)
        return await cursor.fetchall()
