"""What is running on a data folder, written for `oncely status` and `oncely down`.

A process is named by pid and start time, so that a reused pid is never taken for ours.
"""

import contextlib
import os
from pathlib import Path
from typing import Self

import msgspec
import psutil

from cli.stack import paths, supervisor

FILE_NAME = "state.json"


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the stack."""

    name: str
    pid: int
    started: float
    port: int | None = None
    log: str | None = None

    @classmethod
    def of(
        cls, name: str, pid: int, *, port: int | None = None, log: Path | None = None
    ) -> Self | None:
        """Record a live process; None when it ended in the meantime."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return None
        return cls(name=name, pid=pid, started=started, port=port, log=str(log) if log else None)

    def process(self) -> psutil.Process | None:
        """Return the process if it is still this one and not a later owner of the pid."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 1.0
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The stack as its supervisor last wrote it. Holds a password, so the file has mode 0600."""

    ready: bool
    supervisor: ProcessRecord
    processes: list[ProcessRecord] = []
    data_dir: str
    started_at: str
    database_url: str = ""
    kafka_bootstrap_servers: str = ""
    api_url: str | None = None


def write(folder: Path, state: State) -> None:
    """Replace the state file."""
    paths.write_private(
        folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(state)).decode()
    )


def read(folder: Path) -> State | None:
    """Return the last state, whether or not anything of it still runs."""
    try:
        return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def forget(folder: Path) -> None:
    """Remove the state file after an orderly stop."""
    (folder / FILE_NAME).unlink(missing_ok=True)


def running(folder: Path) -> State | None:
    """Return the state if its supervisor still lives."""
    state = read(folder)
    return state if state is not None and state.supervisor.process() is not None else None


def stop_recorded(state: State, *, deadline_seconds: float) -> list[str]:
    """Stop the supervisor, then whatever of its processes is left; returns the names stopped."""
    stopped: list[str] = []
    for record in [state.supervisor, *reversed(state.processes)]:
        process = record.process()
        if process is None or process.pid == os.getpid():
            continue
        stopped.append(record.name)
        _stop(process, deadline_seconds)
    return stopped


def _stop(process: psutil.Process, deadline_seconds: float) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(timeout=deadline_seconds)
        except psutil.TimeoutExpired:
            process.kill()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(timeout=10)
        return


def remembered_port(folder: Path, name: str, *, preferred: int | None = None) -> int:
    """Return the port that `name` had last time, the preferred one, or a free one."""
    path = folder / "ports.json"
    ports: dict[str, int] = {}
    with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
        ports = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    known = ports.get(name)
    if preferred is not None:
        port = preferred
    elif known is not None and supervisor.port_is_free(known):
        port = known
    else:
        port = supervisor.free_port()
    if port != known:
        path.write_bytes(msgspec.json.encode(ports | {name: port}))
    return port
