"""The rule versions that somebody named for a replay."""

from uuid import UUID

from services.api import database_pool, problems
from services.api.queries import replays as queries
from shared.rules import patterns

type Conn = database_pool.Conn


async def find(
    conn: Conn, named: dict[UUID, int], *, effects: str, event_type: str | None = None
) -> list[queries.Version]:
    """Each named version, or a Problem that points at those which do not exist, look at other
    events than these, or were never published and so may not act.
    """
    rows = await queries.find_versions(conn, named=named)
    found = {row.rule_id: row for row in rows}
    faults: list[problems.Fault] = []
    for rule_id, version in named.items():
        row = found.get(rule_id)
        detail = None
        if row is None:
            detail = f"there is no such rule, or it has no version {version}"
        elif event_type is not None and not patterns.matches(row.event_type, event_type):
            detail = f"version {version} looks at {row.event_type}, not at {event_type}"
        elif effects != "none" and not row.was_published:
            detail = f"version {version} was never published: only effects none may evaluate it"
        if detail is not None:
            faults.append(problems.Fault(pointer=f"/rule_versions/{rule_id}", detail=detail))
    if faults:
        raise problems.Problem("invalid-request", "nothing was replayed: see errors", errors=faults)
    return rows
