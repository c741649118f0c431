import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.stack import services, supervisor

SLEEPER = "import time, sys; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEPER
PARENT = """
import pathlib, sys, time
from cli.stack import supervisor
folder = pathlib.Path(sys.argv[1])
child = supervisor.Child(
    "child", [sys.executable, "-c", "import time; time.sleep(600)", str(folder)],
    log_path=folder / "child.log",
)
child.start()
(folder / "pid").write_text(str(child.pid))
time.sleep(600)
"""


def child_of(folder: Path, code: str = SLEEPER) -> supervisor.Child:
    command = [sys.executable, "-c", code, str(folder)]
    return supervisor.Child("child", command, log_path=folder / "child.log")


def wait_up(child: supervisor.Child) -> None:
    supervisor.wait_until(lambda: "up" in child.tail(), deadline_seconds=10, what="the child")


def test_child_dies_with_its_supervisor(folder: Path, running_on: Callable[[], list[str]]) -> None:
    command = [sys.executable, "-c", PARENT, str(folder)]
    with subprocess.Popen(command, cwd=services.PROJECT) as parent:
        supervisor.wait_until((folder / "pid").exists, deadline_seconds=20, what="the supervisor")
        assert len(running_on()) == 2

        parent.send_signal(signal.SIGKILL)

    supervisor.wait_until(lambda: not running_on(), deadline_seconds=5, what="the child to die")


def test_child_outlives_the_thread_that_started_it(folder: Path) -> None:
    child = child_of(folder)
    thread = threading.Thread(target=child.start)
    thread.start()
    thread.join()
    wait_up(child)

    assert child.alive
    child.kill()


def test_stop_kills_what_ignores_the_signal(folder: Path) -> None:
    child = child_of(folder, STUBBORN)
    child.start()
    wait_up(child)

    assert child.stop(deadline_seconds=0.2) == -signal.SIGKILL
    assert not child.alive


def test_paused_child_can_be_stopped(folder: Path) -> None:
    child = child_of(folder)
    child.start()
    wait_up(child)
    child.pause()

    assert child.stop(deadline_seconds=5) == -signal.SIGTERM


def test_grandchildren_end_with_the_child(
    folder: Path, running_on: Callable[[], list[str]]
) -> None:
    code = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', sys.argv[1]])\n"
        "print('up', flush=True); time.sleep(600)"
    )
    child = child_of(folder, code)
    child.start()
    wait_up(child)
    supervisor.wait_until(lambda: len(running_on()) == 2, deadline_seconds=5, what="the grandchild")

    child.stop(deadline_seconds=5)

    supervisor.wait_until(lambda: not running_on(), deadline_seconds=5, what="both to end")


def test_reaped_pid_is_never_signalled(folder: Path) -> None:
    child = child_of(folder, "pass")
    child.start()
    child.wait(deadline_seconds=10)

    child.send_signal(signal.SIGKILL)
    child.kill()

    assert child.returncode == 0
    assert child.pid is not None
    assert not psutil.pid_exists(child.pid)


def test_missing_program_is_reported_in_the_log(folder: Path) -> None:
    child = supervisor.Child("child", ["/nowhere/program"], log_path=folder / "child.log")
    child.start()

    assert child.wait(deadline_seconds=10) == 127
    with pytest.raises(supervisor.StackError, match="cannot execute /nowhere/program"):
        child.must_be_alive()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop rights")
def test_rights_are_dropped_for_good(folder: Path) -> None:
    identity = supervisor.Identity(uid=65534, gid=65534)
    command = ["/bin/sh", "-c", "id -u; id -g; id -G; sleep 600"]
    child = supervisor.Child("child", command, log_path=folder / "child.log", identity=identity)
    child.start()
    supervisor.wait_until(
        lambda: child.tail().count("\n") == 2, deadline_seconds=10, what="three lines"
    )

    assert child.tail().split() == ["65534"] * 3
    assert child.pid is not None
    assert psutil.Process(child.pid).uids().saved == 65534
    child.kill()


def test_free_ports_are_not_given_twice() -> None:
    ports = [supervisor.free_port() for _ in range(50)]

    assert len(set(ports)) == 50
    assert all(port < 32_768 for port in ports)


def test_wait_until_says_what_it_waited_for() -> None:
    with pytest.raises(supervisor.StackError, match="for the impossible"):
        supervisor.wait_until(lambda: False, deadline_seconds=0.05, what="the impossible")
