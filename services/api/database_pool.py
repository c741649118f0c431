"""The connections for reads and rare writes, and what their errors mean to a client."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from typing import Any

from services.api import problems
from shared import database, telemetry

type Conn = database.AsyncConnection[tuple[Any, ...]]

RETRY_AFTER_SECONDS = 2
SEND_AGAIN = (
    "send the same request again if it has an Idempotency-Key, an order id or an event id; if not, "
    "look first whether it took effect"
)
_log = telemetry.logger(__name__)


class Pool(database.AsyncConnectionPool[database.AsyncConnection[tuple[Any, ...]]]):
    """A pool that gives up a connection which is lent for longer than any statement may take."""

    lend_seconds: float


def make_pool(
    dsn: str, *, application_name: str, size_max: int, wait_seconds: float, statement_ms: int
) -> Pool:
    """Autocommit, so that a read holds no transaction; opened later by the app."""
    options: dict[str, Any] = {
        **database.connection_options(application_name),
        "autocommit": True,
        "prepare_threshold": 1,
    }

    async def configure(conn: database.AsyncConnection[tuple[Any, ...]]) -> None:
        with bounded(conn, wait_seconds):
            await conn.execute(
                "select set_config('statement_timeout', %s, false)", [f"{statement_ms}ms"]
            )

    async def check(conn: database.AsyncConnection[tuple[Any, ...]]) -> None:
        with bounded(conn, wait_seconds):
            await database.AsyncConnectionPool.check_connection(conn)

    pool = Pool(
        dsn,
        min_size=1,
        max_size=size_max,
        timeout=wait_seconds,
        max_waiting=500,
        reconnect_timeout=30.0,
        kwargs=options,
        configure=configure,
        check=check,
        open=False,
    )
    # The server itself ends a statement at its timeout; only one that is frozen or cut off
    # does not.
    pool.lend_seconds = statement_ms / 1000 + wait_seconds
    return pool


@asynccontextmanager
async def connection(
    pool: Pool, *, seconds: float | None = None, writes: bool = False
) -> AsyncGenerator[database.AsyncConnection[tuple[Any, ...]]]:
    """Lend a connection; a database that is away becomes the problem that says so.

    writes: a connection that is lost on the way may have committed, and the client hears that.
    """
    lent = False
    try:
        async with pool.connection() as conn:
            lent = True
            with bounded(conn, seconds or pool.lend_seconds):
                yield conn
    except database.Error as error:
        lost = (
            database.kind_of(error) is database.ErrorKind.CONNECTION and error.sqlstate != "57014"
        )
        if writes and lent and lost:
            raise outcome_unknown() from error
        raise problem_of(error) from error


@contextlib.contextmanager
def bounded(conn: database.AsyncConnection[Any], seconds: float) -> Generator[None]:
    """Cut the connection when the block takes longer than this.

    A frozen server answers neither a statement nor its cancellation, and its kernel keeps the
    connection alive: without this the caller would wait as long as the server is frozen.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _cut, conn)
    try:
        yield
    finally:
        timer.cancel()


def _cut(conn: database.AsyncConnection[Any]) -> None:
    # Shut down and not closed: the event loop still watches the descriptor, and libpq finds the
    # end of the stream, which is a lost connection like any other.
    _log.warning("connection is given up: the server does not answer")
    with (
        contextlib.suppress(OSError, database.Error),
        socket.socket(fileno=os.dup(conn.fileno())) as twin,
    ):
        twin.shutdown(socket.SHUT_RDWR)


def problem_of(error: database.Error) -> problems.Problem:
    """What a failed read or rare write tells the client."""
    if error.sqlstate == "57014":
        return problems.Problem(
            "deadline",
            "the statement ran longer than a read may: ask for less",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    match database.kind_of(error):
        case database.ErrorKind.CONNECTION:
            return away()
        case database.ErrorKind.CONFLICT:
            return contended()
        case database.ErrorKind.DATA:
            return refused(error)
        case database.ErrorKind.PROGRAM:
            _log.error("statement failed", exc_info=error)
            return problems.Problem("internal-error", "the service made a mistake; it is logged")


def away() -> problems.Problem:
    return problems.Problem(
        "database-away",
        "the database cannot be reached; nothing of this request is stored",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def contended() -> problems.Problem:
    return problems.Problem(
        "contended",
        "others change the same rows at this moment; nothing of this request is stored: try again",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def outcome_unknown() -> problems.Problem:
    return problems.Problem(
        "outcome-unknown",
        f"the connection was lost while the commit was under way: {SEND_AGAIN}",
        retry_after_seconds=RETRY_AFTER_SECONDS,
    )


def refused(error: database.Error) -> problems.Problem:
    return problems.Problem(
        "refused-by-database",
        "a value breaks a rule of the schema",
        constraint=database.constraint_of(error),
    )
