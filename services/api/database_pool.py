"""The connections for reads and rare writes, and what their errors mean to a client."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from services.api import problems
from shared import database, telemetry

type Conn = database.AsyncConnection[tuple[Any, ...]]
type Pool = database.AsyncConnectionPool[Conn]

RETRY_AFTER_SECONDS = 2
_log = telemetry.logger(__name__)


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
        await conn.execute(
            "select set_config('statement_timeout', %s, false)", [f"{statement_ms}ms"]
        )

    return database.AsyncConnectionPool(
        dsn,
        min_size=1,
        max_size=size_max,
        timeout=wait_seconds,
        max_waiting=500,
        reconnect_timeout=30.0,
        kwargs=options,
        configure=configure,
        check=database.AsyncConnectionPool.check_connection,
        open=False,
    )


@asynccontextmanager
async def connection(pool: Pool) -> AsyncGenerator[database.AsyncConnection[tuple[Any, ...]]]:
    """Lend a connection; a database that is away becomes the problem that says so."""
    try:
        async with pool.connection() as conn:
            yield conn
    except database.Error as error:
        raise problem_of(error) from error


def problem_of(error: database.Error) -> problems.Problem:
    """What a failed read or rare write tells the client."""
    if error.sqlstate == "57014":
        return problems.Problem(
            "deadline",
            "the statement ran longer than a read may: ask for less",
            retry_after_seconds=RETRY_AFTER_SECONDS,
        )
    match database.kind_of(error):
        case database.ErrorKind.CONNECTION | database.ErrorKind.CONFLICT:
            return away()
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


def refused(error: database.Error) -> problems.Problem:
    return problems.Problem(
        "refused-by-database",
        "a value breaks a rule of the schema",
        constraint=database.constraint_of(error),
    )
