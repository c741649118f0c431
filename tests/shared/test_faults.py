import contextlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import errors, faults
from tests.fixtures.deadlines import eventually

POINT = "relay.before_produce"
OTHER_POINT = "relay.after_mark_commit"
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nothing_armed() -> Iterator[None]:
    faults.configure(enabled=True, failpoints="")
    yield
    faults.configure(enabled=False, failpoints="")


def hits(count: int, point: str = POINT) -> list[bool]:
    """Whether each of `count` passes was made to fail."""
    failed: list[bool] = []
    for _ in range(count):
        try:
            faults.hit(point)
        except errors.InjectedFault:
            failed.append(True)
        else:
            failed.append(False)
    return failed


def test_a_point_that_is_not_set_does_nothing() -> None:
    assert hits(3) == [False] * 3


def test_off_by_default() -> None:
    code = "from shared import faults; raise SystemExit(faults.ENABLED)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


def test_counted_term_is_used_up() -> None:
    faults.configure(enabled=True, failpoints=f"{POINT}=2*raise")
    assert hits(4) == [True, True, False, False]


def test_next_term_follows_a_used_up_one() -> None:
    faults.configure(enabled=True, failpoints=f"{POINT}=2*off->1*raise->1*off->raise")
    assert hits(6) == [False, False, True, False, True, True]


def test_percent_is_reproducible_by_its_seed() -> None:
    faults.arm(POINT, "30%raise", seed=7)
    first = hits(500)
    faults.arm(POINT, "30%raise", seed=7)
    assert hits(500) == first
    assert 100 < sum(first) < 200


def test_points_of_one_text_do_not_touch_each_other() -> None:
    faults.configure(enabled=True, failpoints=f"{POINT}=raise; {OTHER_POINT}=off")
    assert hits(1) == [True]
    assert hits(1, OTHER_POINT) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "relay.nowhere=raise",
        f"{POINT}",
        f"{POINT}=explode",
        f"{POINT}=raise->",
        f"{POINT}=-1*raise",
        f"{POINT}=1*2*raise",
    ],
)
def test_a_wrong_text_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(errors.ConfigurationError):
        faults.configure(enabled=True, failpoints=text)


@pytest.mark.parametrize(
    ("term", "status"), [("exit(3)", 3), ("exit", 1), ("kill", -signal.SIGKILL)]
)
def test_ending_actions_end_the_process(term: str, status: int) -> None:
    code = (
        "from shared import faults\n"
        f"faults.configure(enabled=True, failpoints={f'{POINT}={term}'!r})\n"
        f"faults.hit({POINT!r})\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False, timeout=20)
    assert ended.returncode == status


def test_what_must_be_recorded_is_recorded_before_the_kill(tmp_path: Path) -> None:
    record = tmp_path / "record"
    code = (
        "from pathlib import Path\n"
        "from shared import faults\n"
        f"faults.configure(enabled=True, failpoints={f'{POINT}=kill'!r})\n"
        f"faults.hit({POINT!r}, before_action=Path({str(record)!r}).touch)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False, timeout=20)
    assert ended.returncode == -signal.SIGKILL
    assert record.exists()


def test_sleep_delays() -> None:
    action = "sleep"
    faults.arm(POINT, f"{action}(30)")
    started = time.monotonic()
    faults.hit(POINT)
    assert time.monotonic() - started >= 0.03


def test_a_refused_claim_means_no_action() -> None:
    answers = iter([True, False])
    faults.arm(POINT, "raise", claim=lambda: next(answers))
    assert hits(2) == [True, False]


def test_disarmed_point_does_nothing_and_unknown_ones_are_ignored() -> None:
    faults.arm(POINT, "raise")
    assert faults.armed(POINT)
    faults.disarm(POINT)
    faults.disarm(OTHER_POINT)
    assert not faults.armed(POINT)
    assert hits(1) == [False]


@pytest.mark.parametrize("end", ["disarm", "replace"])
def test_hang_ends_when_the_point_is_taken_back(end: str) -> None:
    hanging = threading.Event()

    def claim() -> bool:
        hanging.set()
        return True

    faults.arm(POINT, "hang", claim=claim)
    thread = threading.Thread(target=faults.hit, args=(POINT,), daemon=True)
    thread.start()
    assert hanging.wait(5)
    assert thread.is_alive()
    if end == "disarm":
        faults.disarm(POINT)
    else:
        faults.arm(POINT, "off")
    thread.join(5)
    assert not thread.is_alive()


def test_wait_says_that_it_waits_and_goes_on_when_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILPOINT_DIR", str(tmp_path))
    faults.arm(POINT, "1*wait")
    thread = threading.Thread(target=faults.hit, args=(POINT,), daemon=True)
    thread.start()
    eventually((tmp_path / f"{POINT}.waiting").exists, what="the point waits")
    assert thread.is_alive()
    (tmp_path / f"{POINT}.go").touch()
    thread.join(5)
    assert not thread.is_alive()


def test_every_point_says_what_it_means_and_belongs_to_a_service() -> None:
    for name, meaning in faults.POINTS.items():
        assert name.partition(".")[0] in {
            "api",
            "replay",
            "relay",
            "consumer",
            "dispatcher",
        }
        assert meaning
        with contextlib.suppress(errors.InjectedFault):
            faults.arm(name, "off")
            faults.hit(name)
