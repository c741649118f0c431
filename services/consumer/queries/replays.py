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


def read(conn: batch.Connection, keys: Sequence[Key]) -> dict[Key, records.Instruction]:
    """By event and run; a run that nobody asked for is not in the answer."""
    bound = {"event_ids": [key[0] for key in keys], "replays": [key[1] for key in keys]}
    return {
        (row[0], row[1]): records.Instruction(
            mode=row[2], effects=row[3], version_ids=None if row[4] is None else tuple(row[4])
        )
        for row in conn.execute(READ_INSTRUCTIONS, bound).fetchall()
    }
