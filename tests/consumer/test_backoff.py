import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.consumer import backoff
from services.consumer.settings import ConsumerSettings
from shared import settings

SCHEDULE = (1.0, 5.0, 30.0)


def _wait(attempt_no: int, chance: float = 0.5, seconds_max: float = 3600.0) -> float:
    return backoff.wait_seconds(
        attempt_no, schedule=SCHEDULE, seconds_max=seconds_max, chance=chance
    )


def test_the_first_waits_are_the_schedule_and_then_the_last_one_doubles() -> None:
    assert [_wait(number) for number in range(1, 7)] == [1, 5, 30, 60, 120, 240]


@given(attempt_no=st.integers(1, 10_000), chance=st.floats(0, 1, exclude_max=True))
def test_a_wait_is_positive_bounded_and_within_its_jitter(attempt_no: int, chance: float) -> None:
    wait = _wait(attempt_no, chance)

    assert 0 < wait <= 3600
    middle = _wait(attempt_no, seconds_max=float("inf"))
    assert min(middle * 0.8, 3600) - 1e-6 <= wait <= middle * 1.2 + 1e-6


@given(attempt_no=st.integers(1, 100))
def test_the_wait_never_falls_as_attempts_go_on(attempt_no: int) -> None:
    assert _wait(attempt_no) <= _wait(attempt_no + 1)


@pytest.mark.parametrize("wait", ["NaN", "Infinity", "-1"])
def test_a_schedule_that_is_no_time_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wait: str
) -> None:
    monkeypatch.setenv("RETRY_SCHEDULE_SECONDS", f"[1, {wait}]")

    with pytest.raises(SystemExit):
        settings.load(ConsumerSettings)

    assert "RETRY_SCHEDULE_SECONDS: Value error, each wait is" in capsys.readouterr().err
