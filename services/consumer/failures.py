"""Why an attempt failed, as the history tells it. Pure."""

import traceback

import msgspec

from services.consumer import dead_letters
from shared import errors

STACK_CHARS_MAX = 4000


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt failed."""

    error_class: str
    message: str
    stack: str | None = None
    injected: bool = False


def of(error: BaseException, *, injected: bool = False) -> Failure:
    """An error as the history tells it."""
    name = error.error_class if isinstance(error, errors.DeadLetter) else type(error).__name__
    stack = "".join(traceback.format_exception(error))[-STACK_CHARS_MAX:]
    return Failure(
        error_class=name,
        message=dead_letters.without_nul(str(error))[: dead_letters.TEXT_CHARS_MAX],
        stack=dead_letters.without_nul(stack),
        injected=injected,
    )
