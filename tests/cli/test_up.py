import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from cli import output
from cli.commands import status
from cli.stack import services, state, supervisor


def oncely(*arguments: str) -> subprocess.Popen[str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ONCELY_DATA")}
    env.pop("DATABASE_URL", None)
    env.pop("KAFKA_BOOTSTRAP_SERVERS", None)
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=services.PROJECT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(*arguments: str) -> tuple[int, str]:
    with oncely(*arguments) as process:
        printed, _ = process.communicate(timeout=90)
    return process.returncode, printed


@pytest.mark.parametrize("moment", ["initdb.log", "port"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_the_start_leaves_nothing_running(
    folder: Path, running_on: Callable[[], list[str]], moment: str, number: signal.Signals
) -> None:
    with oncely("up", "--only", "postgres,kafka", "--data", str(folder)) as process:
        supervisor.wait_until(
            (folder / "postgres" / moment).exists, deadline_seconds=30, what=moment
        )
        process.send_signal(number)
        printed, _ = process.communicate(timeout=60)

    assert process.returncode == output.Exit.INTERRUPTED, printed
    assert running_on() == []


def test_detached_stack_is_seen_refused_twice_and_taken_down(
    folder: Path, running_on: Callable[[], list[str]]
) -> None:
    up = ("up", "--only", "postgres", "--detach", "--data", str(folder))

    code, printed = run(*up)
    assert code == output.Exit.OK, printed
    assert run(*up)[0] == output.Exit.ALREADY_RUNNING

    code, printed = run("status", "--json", "--data", str(folder))
    assert code == output.Exit.OK
    seen = msgspec.json.decode(printed, type=status.Status)
    assert [each.name for each in seen.processes] == ["postgres"]

    code, printed = run("down", "--purge", "--data", str(folder))
    assert code == output.Exit.OK, printed
    assert running_on() == []
    assert not folder.exists()


def test_killed_postgres_is_started_again(folder: Path) -> None:
    with oncely("up", "--only", "postgres", "--data", str(folder)) as process:

        def server() -> state.ProcessRecord | None:
            current = state.running(folder)
            ready = current is not None and current.ready
            return current.processes[0] if current and ready and current.processes else None

        supervisor.wait_until(lambda: server() is not None, deadline_seconds=60, what="the start")
        first = server()
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)

        def replaced() -> bool:
            current = server()
            return current is not None and current.pid != first.pid and current.port == first.port

        supervisor.wait_until(replaced, deadline_seconds=30, what="a new server on the same port")
        process.terminate()
        process.communicate(timeout=60)


def test_taken_port_is_an_error_that_names_the_flag(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, printed = run("up", "--only", "api", "--port", str(port), "--data", str(folder))

    assert code == output.Exit.FAILED
    assert f"port {port} is in use: choose another with --port" in printed


def test_unknown_part_is_a_usage_error(folder: Path) -> None:
    code, printed = run("up", "--only", "redis", "--data", str(folder))

    assert code == output.Exit.USAGE
    assert "postgres, kafka, migrate, api, relay, consumer, dispatcher" in printed
