"""One operating-system process each, by process id: start, stop, kill, pause, and die with us.

Nothing here knows what a process serves; Postgres, Kafka and the services build on it.
"""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

LOG_SIZE_MAX = 32 * 1024 * 1024
POLL_SECONDS = 0.02
# Outside the kernel's range for outgoing connections (32768 and up): a port that a killed broker
# left is then not taken by somebody's client socket before the broker is back.
PORTS = range(20_000, 32_000)
LAUNCHER = Path(__file__).with_name("launcher.py")

type Echo = Callable[[str, str], None]
"""Receives (name of the process, one line of its output)."""


class StackError(Exception):
    """A part of the local stack did not do what was asked; the message says what to look at."""


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The user that a child runs as, when it must not be ours."""

    uid: int
    gid: int


class Child:
    """One supervised process with a session of its own and a log file.

    The log is written by the process itself, not through a pipe of ours, so that a slow or frozen
    supervisor never blocks it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log_path: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        identity: Identity | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        echo: Echo | None = None,
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log_path = log_path
        self.env = None if env is None else dict(env)
        self.cwd = cwd
        self.identity = identity
        self.stop_signal = stop_signal
        self._echo = echo
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()

    @property
    def pid(self) -> int | None:
        """Process id of the current or the last run."""
        return None if self._process is None else self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status as `subprocess` gives it (negative: killed by that signal)."""
        self._collect()
        return None if self._process is None else self._process.returncode

    @property
    def alive(self) -> bool:
        """True while the process exists, paused or not."""
        return self._process is not None and self.returncode is None

    def start(self) -> None:
        """Start the process; returns when it was executed, not when it is ready."""
        if self.alive:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_SIZE_MAX:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        position = self.log_path.stat().st_size if self.log_path.exists() else 0
        _SPAWNER.submit(self._spawn).result()
        if self._echo is not None:
            follower = threading.Thread(
                target=self._follow, args=(self._echo, position), name=f"echo {self.name}"
            )
            follower.daemon = True
            follower.start()

    def stop(self, *, deadline_seconds: float) -> int:
        """Ask, wait, then SIGKILL after the deadline; returns the exit status."""
        if self.alive:
            self.resume()
            self.send_signal(self.stop_signal)
            with contextlib.suppress(StackError):
                self.wait(deadline_seconds=deadline_seconds)
        self.kill()
        return self.returncode or 0

    def kill(self) -> None:
        """SIGKILL the whole group and reap."""
        with self._lock:
            process = self._process
            if process is not None and process.returncode is None:
                _kill_group(process.pid)
                process.wait()
                _LIVE.discard(self)

    def pause(self) -> None:
        """Freeze the process: sockets stay open and nobody answers."""
        self.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on."""
        self.send_signal(signal.SIGCONT)

    def send_signal(self, number: signal.Signals) -> None:
        """Signal the process if it still exists; a pid that was reaped is never signalled."""
        with self._lock:
            process = self._process
            if process is not None and process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, number)

    def wait(self, *, deadline_seconds: float) -> int:
        """Wait for the end of the process."""
        wait_until(
            lambda: not self.alive,
            deadline_seconds=deadline_seconds,
            what=f"{self.name} to end",
        )
        return self.returncode or 0

    def tail(self, lines: int = 40) -> str:
        """Last lines of the log."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - lines * 400))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def must_be_alive(self) -> None:
        """Raise with the log's tail when the process ended; for readiness loops."""
        if not self.alive:
            message = f"{self.name} ended with status {self.returncode}; log {self.log_path}:\n"
            raise StackError(message + self.tail())

    def _spawn(self) -> None:
        if _closed.is_set():
            raise StackError(f"{self.name} is not started: the stack is stopping")
        who = ["-", "-"]
        if self.identity is not None:
            who = [str(self.identity.uid), str(self.identity.gid)]
        env = self.env
        if env is not None and "LD_LIBRARY_PATH" in os.environ:
            # An interpreter that needs it could not even start the launcher without.
            env = {"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"], **env}
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), *who]
        with self.log_path.open("ab") as log, self._lock:
            self._process = subprocess.Popen(
                [*launcher, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=self.cwd,
                start_new_session=True,
            )
            _LIVE.add(self)

    def _collect(self) -> None:
        """Notice the end, sweep what is left of the group while the pid is still ours, reap."""
        with self._lock:
            process = self._process
            if process is None or process.returncode is not None:
                return
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, process.pid, flags) is None:
                return
            _kill_group(process.pid)
            process.wait()
            _LIVE.discard(self)

    def _follow(self, echo: Echo, position: int) -> None:
        process = self._process
        with self.log_path.open("rb") as log:
            log.seek(position)
            rest = b""
            while True:
                ended = process is None or process.returncode is not None
                chunk = log.read()
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    echo(self.name, line.decode(errors="replace"))
                if ended and not chunk:
                    return
                time.sleep(0.1)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses and that was not handed out before."""
    with _ports_lock:
        for _ in range(1_000):
            port = PORTS.start + secrets.randbelow(len(PORTS))
            if port not in _ports_given and port_is_free(port):
                _ports_given.add(port)
                return port
    raise StackError("no free port between 20000 and 32000")


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def wait_until(condition: Callable[[], bool], *, deadline_seconds: float, what: str) -> None:
    """Poll until true; raises StackError naming `what` after the deadline."""
    deadline = time.monotonic() + deadline_seconds
    pause = POLL_SECONDS / 4
    while not condition():
        if time.monotonic() >= deadline:
            raise StackError(f"waited {deadline_seconds:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, POLL_SECONDS * 4)


def kill_all() -> None:
    """Refuse new children from now on and SIGKILL every living one: the last line of a stop."""
    _closed.set()
    # One more job through the single spawner thread: whatever was being started is in _LIVE then.
    _SPAWNER.submit(lambda: None).result()
    for child in list(_LIVE):
        child.kill()


def refuse_new_children() -> None:
    """From now on `start` raises: a stop that began is not undone by a start still under way."""
    _closed.set()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


# Linux ties PDEATHSIG to the *thread* that forked. All children are therefore started by this one
# thread, which lives as long as the process, and not by whichever thread called `start`.
_SPAWNER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
_LIVE: set[Child] = set()
_closed = threading.Event()
_ports_lock = threading.Lock()
_ports_given: set[int] = set()
