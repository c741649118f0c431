"""What the client hears of an error, by how far its request was."""

from enum import StrEnum

from services.api import database_pool, problems
from shared import database, telemetry

_log = telemetry.logger(__name__)


class Stage(StrEnum):
    """How far a request is, which decides what an error of it means. A write runs; a read, which
    can be sent again as it is, is only checked.
    """

    READING = "reading"
    CHECKING = "checking"
    RUNNING = "running"


class Disconnected(Exception):
    """The client left while it was sending: nobody reads the answer."""


def fate_of(error: Exception, *, begun: bool) -> problems.Problem:
    """The one place that says what the client hears of an error."""
    match error:
        case problems.Problem():
            return error
        case database.Error():
            return database_pool.problem_of(error)
        case TimeoutError() if begun:
            return problems.Problem(
                "outcome-unknown",
                f"time ran out before the commit was confirmed: {database_pool.SEND_AGAIN}",
                retry_after_seconds=1,
            )
        case TimeoutError():
            return problems.Problem("deadline", "the request took too long", retry_after_seconds=1)
        case Disconnected():
            return problems.Problem("malformed-request", "the body ended early")
        case _:
            _log.error("request failed", exc_info=error)
            return problems.Problem("internal-error", "the service made a mistake; it is logged")


def fate_at(stage: Stage, error: Exception) -> problems.Problem:
    if stage is Stage.READING and isinstance(error, TimeoutError):
        return problems.Problem("body-too-slow", "the body did not arrive in time")
    return fate_of(error, begun=stage is Stage.RUNNING)
