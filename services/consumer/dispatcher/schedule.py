"""What becomes of a delivery after an attempt, and what a batch of attempts says about their
destinations. Pure: the caller brings the random number.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from services.consumer.dispatcher import outgoing
from services.consumer.queries import recording

type State = Literal["confirmed", "failed", "pending"]
type Word = Literal["answered", "failed", "silent"]

_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = range(500, 600)
_PAUSES = (429, 503)  # RFC 9110 and RFC 6585 give Retry-After its meaning for these
_SMTP_CLOSING = 421


class Fate(msgspec.Struct, frozen=True, kw_only=True):
    """The next state. Failed is written as unknown when an attempt of the schedule was unknown."""

    state: State
    wait_seconds: float = 0.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """The waits between attempts; there is one attempt more than there are waits."""

    waits_seconds: tuple[float, ...]
    jitter: float
    retry_after_seconds_max: float

    def fate_of(
        self, answer: outgoing.Answer, *, attempt_no: int, schedule_from: int, chance: float
    ) -> Fate:
        """Decide about one answer; chance in [0, 1) moves a wait, so that what failed together is
        not tried together.
        """
        if answer.outcome == "confirmed":
            return Fate(state="confirmed")
        tried = attempt_no - schedule_from
        if answer.gone or answer.permanent or tried > len(self.waits_seconds):
            return Fate(state="failed")
        wait = self.waits_seconds[tried - 1] * (1 - self.jitter + 2 * self.jitter * chance)
        return Fate(state="pending", wait_seconds=max(wait, self.clamped(answer)))

    def after_expiry(self, *, attempt_no: int, schedule_from: int) -> Fate:
        """Nobody knows whether it was sent: again now. From the second attempt on by the schedule:
        a dispatcher that crashes again and again must not use it up within minutes.
        """
        tried = attempt_no - schedule_from
        if tried > len(self.waits_seconds):
            return Fate(state="failed")
        wait = self.waits_seconds[tried - 2] if tried > 1 else 0.0
        return Fate(state="pending", wait_seconds=wait)

    def clamped(self, answer: outgoing.Answer) -> float:
        """What Retry-After asks for, within bounds."""
        return min(max(answer.retry_after_seconds or 0.0, 0.0), self.retry_after_seconds_max)


def word_about(answer: outgoing.Answer, *, kind: str) -> Word:
    """What an answer says about its destination, apart from this one delivery. Silent: nothing."""
    if answer.outcome == "confirmed":
        return "answered"
    code = answer.status_code
    if code is None:
        return "silent" if answer.permanent else "failed"
    if kind == "email":
        return "failed" if code == _SMTP_CLOSING else "answered"
    return "failed" if code == _TOO_MANY_REQUESTS or code in _SERVER_ERRORS else "answered"


def verdicts(
    answers: Iterable[tuple[str, str, outgoing.Answer]], *, schedule: Schedule
) -> list[recording.Verdict]:
    """One verdict for each destination of (destination, kind, answer), which come in their order.

    A silent answer changes no count.
    """
    found: dict[str, recording.Verdict] = {}
    for destination, kind, answer in answers:
        before = found.get(destination) or recording.Verdict(
            destination=destination, answered=False, failures=0, pause_seconds=0.0
        )
        word = word_about(answer, kind=kind)
        pause = schedule.clamped(answer) if answer.status_code in _PAUSES else 0.0
        found[destination] = recording.Verdict(
            destination=destination,
            answered=before.answered or word == "answered",
            failures=_count(before.failures, word),
            pause_seconds=max(before.pause_seconds, pause),
        )
    return list(found.values())


def shares(*, held: Sequence[int], allowed: Sequence[int], free: int) -> list[int]:
    """How many each destination may take now, of `free` places in this process.

    They are filled up to a level that leaves as many places free (the dynamic threshold of shared
    switch buffers): a few that hang hold many places, many that hang hold few each, and there is
    room for the next one until as many hang as there are places.
    """
    level, top = 0, free
    while level < top:
        middle = (level + top + 1) // 2
        if sum(_up_to(middle, held, allowed)) + middle <= free:
            level = middle
        else:
            top = middle - 1
    found = _up_to(level, held, allowed)
    return found if any(found) else _one_each(held, allowed, most=min(max(free // 2, 1), free))


def _up_to(level: int, held: Sequence[int], allowed: Sequence[int]) -> list[int]:
    return [min(most, max(level - holding, 0)) for holding, most in zip(held, allowed, strict=True)]


def _one_each(held: Sequence[int], allowed: Sequence[int], *, most: int) -> list[int]:
    """To those that hold nothing, first come, first served."""
    found: list[int] = []
    for holding, wanted in zip(held, allowed, strict=True):
        one = int(most > 0 and holding == 0 and wanted > 0)
        most -= one
        found.append(one)
    return found


def _count(failures: int, word: Word) -> int:
    match word:
        case "answered":
            return 0
        case "failed":
            return failures + 1
        case "silent":
            return failures
