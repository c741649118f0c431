"""`oncely up`: start the whole local stack and keep it running; `oncely down`: stop it.

The start runs in a thread so that the main thread can answer Ctrl-C at any moment.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast

import msgspec

from cli import output
from cli.commands import first_steps
from cli.stack import local, paths, state, supervisor

WATCH_SECONDS = 0.2
DETACHED_READY_SECONDS = 300.0
DOWN_SECONDS = 60.0
DETACHED = "ONCELY_DETACHED"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What `oncely down --json` prints."""

    stopped: list[str]
    purged: bool


def up(
    *,
    detach: bool = False,
    only: str | None = None,
    brokers: Literal[1, 3] = 1,
    consumers: int = 1,
    dispatchers: int = 1,
    port: int | None = None,
    data: Path | None = None,
    seed: bool = True,
    faults: bool = False,
    logs: Literal["services", "all", "none"] = "services",
) -> int:
    """Start Postgres, Kafka and the services, and keep them running until Ctrl-C.

    Set DATABASE_URL or KAFKA_BOOTSTRAP_SERVERS to use servers that run already.

    Parameters
    ----------
    detach
        Return once everything is ready; `oncely down` stops it.
    only
        Parts to start, comma-separated: postgres, kafka, migrate, api, relay, consumer, dispatcher.
    brokers
        One broker, or three (replication 3, two in-sync replicas needed).
    consumers
        Number of consumer processes.
    dispatchers
        Number of dispatcher processes, which send webhooks and mails.
    port
        Port of the api; default 3000 or the next free one.
    data
        Data folder; default ONCELY_DATA_DIR or .oncely here.
    seed
        Make sample orders and events on the first start.
    faults
        Allow fault injection (`oncely faults on`).
    logs
        Whose log lines to show.
    """
    options = local.Options(
        data_dir=paths.data_dir(data),
        only=_parts(only),
        brokers=brokers,
        consumers=consumers,
        dispatchers=dispatchers,
        port=port,
        faults=faults,
        log_format="json" if os.environ.get(DETACHED) else "pretty",
    )
    options.data_dir.mkdir(parents=True, exist_ok=True)
    _refuse_second(options.data_dir)
    if detach:
        return _detach(options.data_dir)
    lock = options.data_dir / "lock"
    what = f"another `oncely up` uses {options.data_dir}"
    with paths.locked(lock, deadline_seconds=0, what=what):
        return _Foreground(options, seed=seed, logs=logs).run()


def down(*, data: Path | None = None, purge: bool = False, json: bool = False) -> int:
    """Stop the stack of a data folder.

    Parameters
    ----------
    data
        Data folder; default ONCELY_DATA_DIR or .oncely here.
    purge
        Also delete its data: every order and event in it.
    json
        Print JSON.
    """
    folder = paths.data_dir(data)
    current = state.read(folder)
    stopped: list[str] = []
    if current is not None:
        stopped = state.stop_recorded(current, deadline_seconds=DOWN_SECONDS)
        state.forget(folder)
    if purge:
        what = f"another `oncely up` still uses {folder}"
        with paths.locked(folder / "lock", deadline_seconds=DOWN_SECONDS, what=what):
            local.purge(folder)
    if json:
        output.show_json(Answer(stopped=stopped, purged=purge))
    else:
        said = f"stopped {', '.join(stopped)}" if stopped else f"nothing runs on {folder}"
        output.console.print(said + (", data deleted" if purge else ""))
    return output.Exit.OK if stopped or purge else output.Exit.NOT_RUNNING


class _Foreground:
    """One `oncely up` from the first step to the last process that ended."""

    def __init__(
        self, options: local.Options, *, seed: bool, logs: Literal["services", "all", "none"]
    ) -> None:
        self._options = options
        self._seed = seed
        self._signalled = threading.Event()
        self._signal_count = 0
        self._steps = output.Steps()
        self._logs: Literal["services", "all", "none"] = logs
        echo = None if logs == "none" or os.environ.get(DETACHED) else self._echo
        self._stack = local.LocalStack(options, report=self._steps.report, echo=echo)

    def run(self) -> int:
        """Start, serve until a signal, stop; whatever happens, nothing is left running."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        code = output.Exit.OK
        try:
            if self._start():
                self._serve()
        except supervisor.StackError as error:
            if not self._signalled.is_set():
                output.fail(str(error))
                code = output.Exit.FAILED
        finally:
            self._stop()
        if self._signalled.is_set() and not os.environ.get(DETACHED):
            code = output.Exit.INTERRUPTED
        # A download under way cannot be interrupted and would hold the interpreter's exit.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    def _start(self) -> bool:
        failures: list[BaseException] = []

        def body() -> None:
            try:
                self._stack.start()
            except BaseException as error:  # noqa: BLE001 - carried to the main thread
                failures.append(error)

        thread = threading.Thread(target=body, name="start", daemon=True)
        with self._steps:
            thread.start()
            while thread.is_alive() and not self._signalled.is_set():
                thread.join(0.05)
        if failures:
            raise failures[0]
        return not self._signalled.is_set()

    def _serve(self) -> None:
        if self._seed and self._stack.api_url is not None:
            first_steps.seed_once(self._options.data_dir, self._stack.api_url)
        first_steps.show(self._stack)
        while not self._signalled.wait(WATCH_SECONDS):
            self._stack.watch()

    def _stop(self) -> None:
        if self._signalled.is_set() or self._stack.services:
            output.console.print("stopping ...")
        begun = time.monotonic()
        stopper = threading.Thread(target=self._stack.stop, name="stop", daemon=True)
        stopper.start()
        while stopper.is_alive() and self._signal_count < 2:  # noqa: PLR2004 - a second Ctrl-C
            stopper.join(0.05)
        supervisor.kill_all()
        state.forget(self._options.data_dir)
        output.console.print(f"stopped in {time.monotonic() - begun:.1f} s, nothing left running")

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signal_count += 1
        self._signalled.set()

    def _echo(self, name: str, line: str) -> None:
        if self._logs == "all" or not name.startswith(("postgres", "kafka")):
            output.echo(name, line)


def _parts(only: str | None) -> frozenset[local.Part]:
    if only is None:
        return frozenset(local.PARTS)
    names = [name.strip() for name in only.split(",") if name.strip()]
    unknown = [name for name in names if name not in local.PARTS]
    if unknown or not names:
        message = f"--only takes {', '.join(local.PARTS)}; not {', '.join(unknown) or 'nothing'}"
        raise output.Failure(message, output.Exit.USAGE)
    return frozenset(cast("Sequence[local.Part]", names))


def _refuse_second(data_dir: Path) -> None:
    current = state.running(data_dir)
    if current is not None and current.supervisor.pid != os.getpid():
        where = current.api_url or current.data_dir
        message = f"already running: {where} (pid {current.supervisor.pid}); see `oncely status`"
        raise output.Failure(message, output.Exit.ALREADY_RUNNING)
    if current is None and (left := state.read(data_dir)) is not None:
        # The supervisor was killed. On Linux its children went with it, elsewhere they may live.
        state.stop_recorded(left, deadline_seconds=DOWN_SECONDS)
        state.forget(data_dir)


def _detach(data_dir: Path) -> int:
    """Run the same command in a session of its own and wait until it is ready."""
    arguments = [each for each in sys.argv[1:] if each != "--detach"]
    log_path = data_dir / "up.log"
    log_path.touch(mode=0o600)  # it holds the database's address with its password
    with log_path.open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {DETACHED: "1", "PYTHONPATH": _python_path()},
        )
    try:
        with output.console.status("starting ..."):
            supervisor.wait_until(
                lambda: child.poll() is not None or _ready(data_dir, child.pid),
                deadline_seconds=DETACHED_READY_SECONDS,
                what=f"the stack to be ready; log {log_path}",
            )
    except BaseException:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=DOWN_SECONDS)
        raise
    output.console.out(log_path.read_text().rstrip(), highlight=False)
    return output.Exit.OK if child.poll() is None else child.returncode


def _ready(data_dir: Path, pid: int) -> bool:
    current = state.read(data_dir)
    seeded = (data_dir / "up.log").read_text().rstrip().endswith(first_steps.LAST_LINE)
    return current is not None and current.ready and current.supervisor.pid == pid and seeded


def _python_path() -> str:
    project = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join([project, *filter(None, [os.environ.get("PYTHONPATH")])])
