"""When a failed event is tried again. Pure: the caller brings the random number."""

from collections.abc import Sequence

JITTER = 0.2


def wait_seconds(
    attempt_no: int, *, schedule: Sequence[float], seconds_max: float, chance: float
) -> float:
    """The wait after failed attempt `attempt_no` (1 is the first): the schedule, then doubling.

    `chance` in [0, 1) moves it by up to 20 % either way, so that what failed together is not tried
    together.
    """
    past = attempt_no - len(schedule)
    # 2**40 s is beyond any maximum; the cap keeps the power from growing without bound.
    base = schedule[attempt_no - 1] if past <= 0 else schedule[-1] * 2 ** min(past, 40)
    return min(base * (1 - JITTER + 2 * JITTER * chance), seconds_max)
