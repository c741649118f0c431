"""How an api hears of what all services have committed."""

from typing import Any, LiteralString

from shared import database

# Heard from the next commit on: whoever listens again after a loss tells its watchers of a gap.
_LISTEN: LiteralString = f"listen {database.LIVE_CHANNEL}"


async def listen(conn: database.AsyncConnection[Any]) -> None:
    await conn.execute(_LISTEN, prepare=False)
