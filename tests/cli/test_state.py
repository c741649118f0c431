import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from cli import main, output
from cli.stack import state


@pytest.fixture
def bystander() -> Generator[subprocess.Popen[bytes]]:
    """Yield a process that is not ours but has the pid that an old state file names."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


def write_stale(folder: Path, pid: int) -> None:
    record = state.ProcessRecord(name="api", pid=pid, started=1.0, port=1)
    supervisor = state.ProcessRecord(name="supervisor", pid=pid, started=1.0)
    state.write(
        folder,
        state.State(
            ready=True,
            supervisor=supervisor,
            processes=[record],
            data_dir=str(folder),
            started_at="",
        ),
    )


def test_down_never_signals_a_reused_pid(folder: Path, bystander: subprocess.Popen[bytes]) -> None:
    write_stale(folder, bystander.pid)

    code = main.run(["down", "--data", str(folder)])

    assert code == output.Exit.NOT_RUNNING
    assert bystander.poll() is None
    assert state.read(folder) is None


def test_status_of_a_stale_file_says_that_nothing_runs(
    folder: Path, bystander: subprocess.Popen[bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    write_stale(folder, bystander.pid)

    code = main.run(["status", "--data", str(folder), "--json"])

    assert code == output.Exit.NOT_RUNNING
    assert '"running": false' in capsys.readouterr().out


def test_damaged_state_file_counts_as_none(folder: Path) -> None:
    (folder / state.FILE_NAME).write_text("{")

    assert state.running(folder) is None


def test_state_file_is_private(folder: Path) -> None:
    write_stale(folder, 1)

    assert (folder / state.FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_port_is_remembered(folder: Path) -> None:
    first = state.remembered_port(folder, "relay")

    assert state.remembered_port(folder, "relay") == first
    assert state.remembered_port(folder, "consumer-1") != first
