from services.consumer.dispatcher import outgoing, schedule

SCHEDULE = schedule.Schedule(waits_seconds=(5, 30, 120), jitter=0.2, retry_after_seconds_max=600.0)


def _failed(status: int | None = None, *, retry_after: float | None = None) -> outgoing.Answer:
    return outgoing.Answer(
        outcome="failed",
        error_class="HttpStatus",
        status_code=status,
        retry_after_seconds=retry_after,
    )


def _wait(attempt_no: int, *, chance: float = 0.5, since: int = 0) -> float | None:
    fate = SCHEDULE.fate_of(_failed(500), attempt_no=attempt_no, schedule_from=since, chance=chance)
    return fate.wait_seconds if fate.state == "pending" else None


def test_waits_follow_the_schedule_with_jitter_and_then_end() -> None:
    assert [_wait(number) for number in (1, 2, 3, 4)] == [5, 30, 120, None]
    assert (_wait(1, chance=0.0), round(_wait(1, chance=1.0) or 0, 6)) == (4, 6)
    assert [_wait(number, since=4) for number in (5, 7, 8)] == [5, 120, None]


def test_a_dispatcher_that_crashes_again_and_again_does_not_use_up_the_schedule_at_once() -> None:
    fates = [SCHEDULE.after_expiry(attempt_no=number, schedule_from=0) for number in (1, 2, 3, 4)]

    assert [fate.wait_seconds for fate in fates[:3]] == [0, 5, 30]
    assert [fate.state for fate in fates] == ["pending", "pending", "pending", "failed"]


def test_retry_after_only_lengthens_a_wait_and_is_clamped() -> None:
    waits = [
        SCHEDULE.fate_of(
            _failed(429, retry_after=asked), attempt_no=1, schedule_from=0, chance=0.5
        ).wait_seconds
        for asked in (None, 1.0, 60.0, 1e9, -5.0)
    ]

    assert waits == [5, 5, 60, 600, 5]


def test_only_what_speaks_about_the_destination_counts_for_its_breaker() -> None:
    refused = outgoing.Answer(outcome="failed", error_class="AddressRefused", permanent=True)
    answers = [
        (None, "webhook", "failed"),
        (500, "webhook", "failed"),
        (429, "webhook", "failed"),
        (404, "webhook", "answered"),
        (302, "webhook", "answered"),
        (421, "email", "failed"),
        (550, "email", "answered"),
    ]

    for status, kind, word in answers:
        assert schedule.word_about(_failed(status), kind=kind) == word
    assert schedule.word_about(refused, kind="webhook") == "silent"
    assert schedule.word_about(outgoing.Answer(outcome="confirmed"), kind="webhook") == "answered"


def test_a_batch_is_judged_by_what_came_after_the_last_answer() -> None:
    good = outgoing.Answer(outcome="confirmed", status_code=200)
    bad = _failed(503, retry_after=7.0)
    batch = [("a", "webhook", one) for one in (bad, good, bad, bad)]

    (found,) = schedule.verdicts(batch, schedule=SCHEDULE)

    assert (found.answered, found.failures, found.pause_seconds) == (True, 2, 7.0)


def test_destinations_that_hang_leave_room_for_the_next_one() -> None:
    held = [0] * 50
    free = 200
    for _ in range(20):  # fifty destinations that take what they are given and return nothing
        shares = schedule.shares(held=held, allowed=[10] * 50, free=free)
        held = [before + share for before, share in zip(held, shares, strict=True)]
        free -= sum(shares)

    assert free > 0
    assert min(held) >= 1
    assert schedule.shares(held=[0], allowed=[10], free=free) != [0]
    assert schedule.shares(held=[0], allowed=[1000], free=200) == [100]
