"""What was asked of the runs of an event after its first."""

from collections.abc import Sequence
from typing import LiteralString
from uuid import UUID

from services.consumer import records
from services.consumer.queries import batch

type Key = tuple[UUID, int]
"""Event and run."""

# What was asked of runs after the first; the record does not say: anybody may have written it.
READ_INSTRUCTIONS: LiteralString = """
    select r.event_id, r.replay, r.mode, r.effects, r.version_ids
    from unnest(%(event_ids)b::uuid[], %(replays)b::int[]) as i (event_id, replay)
    join event_replays r on r.event_id = i.event_id and r.replay = i.replay"""

# The events are ours, uncommitted: a dispatcher that finishes a delivery of theirs waits for us and
# looks again. What was to do nothing leaves an event as it was, unless an earlier run applied it.
SETTLE_RUNS: LiteralString = """
    update events e
    set status = case
        when v.status = 'failed' then 'failed'
        when r.effects <> 'none' then 'processed'
        when exists (
          select from processed_events p
          left join event_replays b on b.event_id = p.event_id and b.replay = p.replay
          where p.aggregate_id = e.aggregate_id and p.event_type = e.event_type
            and p.replay < i.replay and b.effects is distinct from 'none') then 'processed'
        else r.status_before end
    from unnest(%(event_ids)b::uuid[], %(replays)b::int[]) as i (id, replay)
    join event_replays r on r.event_id = i.id and r.replay = i.replay
    cross join lateral (select delivery_verdict(i.id) as status offset 0) v
    where e.id = i.id and (e.status = 'processing') is true and v.status <> 'processing'
    returning e.id, e.status"""


def read(conn: batch.Connection, keys: Sequence[Key]) -> dict[Key, records.Instruction]:
    """By event and run; a run that nobody asked for is not in the answer."""
    bound = {"event_ids": [key[0] for key in keys], "replays": [key[1] for key in keys]}
    return {
        (row[0], row[1]): records.Instruction(
            mode=row[2], effects=row[3], version_ids=None if row[4] is None else tuple(row[4])
        )
        for row in conn.execute(READ_INSTRUCTIONS, bound).fetchall()
    }


def settle_runs(conn: batch.Connection, keys: Sequence[Key]) -> dict[UUID, str]:
    """After a run is applied and its deliveries are inserted: what became of the event, where
    nothing of it is under way.
    """
    bound = {"event_ids": [key[0] for key in keys], "replays": [key[1] for key in keys]}
    return {row[0]: row[1] for row in conn.execute(SETTLE_RUNS, bound).fetchall()}
