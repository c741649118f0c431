"""Connections, their timeouts, and what a database error means. No SQL of the product lives here.

Everybody else takes psycopg's types from this module.
"""

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, LiteralString

import psycopg
from psycopg import AsyncConnection, Connection, errors
from psycopg.rows import class_row, dict_row, scalar_row, tuple_row
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool, PoolTimeout

__all__ = [
    "DELIVERIES_CHANNEL",
    "LIVE_CHANNEL",
    "OUTBOX_CHANNEL",
    "RULES_CHANNEL",
    "AsyncConnection",
    "AsyncConnectionPool",
    "Connection",
    "Error",
    "ErrorKind",
    "Jsonb",
    "PoolTimeout",
    "Query",
    "class_row",
    "connect",
    "connect_async",
    "connection_options",
    "constraint_of",
    "dict_row",
    "kind_of",
    "scalar_row",
    "tuple_row",
]

type Query = LiteralString

Error = psycopg.Error

# Sent by the api after a commit, heard by the relays: it only ends a sleep, so losing one costs
# milliseconds.
OUTBOX_CHANNEL = "oncely_outbox"
# Sent by whoever committed deliveries that are due now, after the commit; losing one costs a poll.
DELIVERIES_CHANNEL = "oncely_deliveries"
# Sent after every change of rules or event types; losing one costs the second of the readers' poll.
RULES_CHANNEL = "oncely_rules"
# Sent by every service about what it has committed (shared/live.py), heard by the apis for their
# watchers; losing one costs a watcher one question to the REST api.
LIVE_CHANNEL = "oncely_live"

# Moments are read in UTC, whatever the server's own time zone: it would stand in every answer, and
# the last hours of the year 9999, which many write for "never", could not be read east of London.
# libpq has no option for it but this variable.
os.environ["PGTZ"] = "UTC"

_CONNECT_SECONDS = 5
_KEEPALIVES: Mapping[str, int] = {
    # A server that vanished without a reset is noticed in 5 + 3 * 2 = 11 s, not in the kernel's 15
    # minutes.
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}


class ErrorKind(StrEnum):
    """What to do after a database error."""

    DATA = "data"  # this row is at fault: bisect
    CONFLICT = "conflict"  # serialization or deadlock: the same batch again
    CONNECTION = "connection"  # the server is away or the outcome is unknown: reconnect
    PROGRAM = "program"  # a bug or a missing right: nobody's row is at fault


def connection_options(application_name: str) -> dict[str, Any]:
    """Keyword arguments for every connection, sync or async."""
    return {
        "connect_timeout": _CONNECT_SECONDS,
        "application_name": application_name,
        **_KEEPALIVES,
    }


def connect(
    dsn: str, *, application_name: str, autocommit: bool = False
) -> Connection[tuple[Any, ...]]:
    """Open one connection. Statements are prepared from their first use: the hot ones run thousands
    of times.
    """
    return psycopg.connect(
        dsn, autocommit=autocommit, prepare_threshold=0, **connection_options(application_name)
    )


async def connect_async(
    dsn: str, *, application_name: str, autocommit: bool = False
) -> AsyncConnection[tuple[Any, ...]]:
    """The same for the api's event loop."""
    return await psycopg.AsyncConnection.connect(
        dsn, autocommit=autocommit, prepare_threshold=0, **connection_options(application_name)
    )


def kind_of(error: psycopg.Error) -> ErrorKind:
    """Tell by SQLSTATE class what an error means; no SQLSTATE means that the connection is gone."""
    state = error.sqlstate
    if isinstance(error, PoolTimeout) or state is None:
        return (
            ErrorKind.CONNECTION
            if isinstance(error, psycopg.OperationalError)
            else ErrorKind.PROGRAM
        )
    if state in {"40001", "40P01", "55P03"}:
        return ErrorKind.CONFLICT
    if state[:2] in {"08", "53", "57", "58"} or state == "25P03":
        return ErrorKind.CONNECTION
    if state[:2] in {"22", "23"} or state == "P0001":
        return ErrorKind.DATA
    return ErrorKind.PROGRAM


def constraint_of(error: psycopg.Error) -> str:
    """The name of the violated constraint, or an empty text."""
    return error.diag.constraint_name or "" if isinstance(error, errors.IntegrityError) else ""
