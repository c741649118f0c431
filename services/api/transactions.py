"""One act of a person in one transaction, run again when it met another one crosswise.

Acts lock rows of deliveries, events and dead letters that consumers and dispatchers lock in orders
of their own: Postgres ends one of two that wait for each other, and that one starts anew.
"""

import contextlib
from collections.abc import Awaitable, Callable

from services.api import database_pool
from services.api.queries import health
from shared import database, telemetry

type Conn = database_pool.Conn

TRIES = 3
_CROSSED = frozenset({"40001", "40P01"})  # serialization failure, deadlock
_log = telemetry.logger(__name__)


async def run[Result](
    pool: database_pool.Pool,
    act: Callable[[Conn], Awaitable[Result]],
    *,
    channel: str | None = None,
) -> Result:
    """Whole or not at all. channel: who is told when it is committed."""
    seconds = TRIES * pool.lend_seconds
    async with database_pool.connection(pool, seconds=seconds, writes=True) as conn:
        result = await _run(conn, act, seconds=pool.lend_seconds)
        if channel is not None:
            # It stands: who does not hear of it finds it by the next poll.
            with contextlib.suppress(database.Error):
                await health.notify(conn, channel=channel)
    return result


async def _run[Result](
    conn: Conn, act: Callable[[Conn], Awaitable[Result]], *, seconds: float
) -> Result:
    tries = 1
    while True:
        try:
            with database_pool.bounded(conn, seconds):
                async with conn.transaction():
                    return await act(conn)
        except database.Error as error:
            if error.sqlstate not in _CROSSED or tries == TRIES:
                raise
            _log.info("act is run again", sqlstate=error.sqlstate, tries=tries)
            tries += 1
