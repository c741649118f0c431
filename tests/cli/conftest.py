import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import psutil
import pytest

# Not `tmp_path`: pytest's folders are closed (0700), and Postgres runs as nobody when we are root.


@pytest.fixture
def folder() -> Generator[Path]:
    made = Path(tempfile.mkdtemp(prefix="oncely-cli-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def running_on(folder: Path) -> Callable[[], list[str]]:
    """Return the command lines of live processes that name the test's folder."""

    def find() -> list[str]:
        found: list[str] = []
        for process in psutil.process_iter(["pid", "status"]):
            try:
                line = " ".join(process.cmdline())
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if str(folder) in line and process.pid != os.getpid():
                found.append(line)
        return found

    return find
