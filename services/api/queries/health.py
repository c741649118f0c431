"""Statements of the probes, the start-up checks and the wake-up of the relay."""

from typing import Any, LiteralString

from shared import database

type Conn = database.AsyncConnection[tuple[Any, ...]]

# Touches no table: it asks whether a statement gets through and whether the server takes writes.
_PING: LiteralString = "select pg_is_in_recovery()"

# A read of the server's settings.
_UNSAFE: LiteralString = """
select name
from pg_settings
where name in ('fsync', 'full_page_writes', 'synchronous_commit')
  and setting = 'off'
order by name
"""

# Outside every transaction of an order: inside one it would take a lock that all commits share.
_NOTIFY: LiteralString = "select pg_notify(%(channel)s, '')"


async def takes_writes(conn: Conn) -> bool:
    row = await (await conn.execute(_PING)).fetchone()
    return row is not None and not row[0]


def unsafe_settings(conn: database.Connection[Any]) -> list[str]:
    """Settings under which a crash could take back what the relay has published."""
    return [name for (name,) in conn.execute(_UNSAFE).fetchall()]


async def notify(conn: Conn, *, channel: str) -> None:
    await conn.execute(_NOTIFY, {"channel": channel})
