"""Who used the processor during a measurement, in cores: what limits a rate is seen here."""

import contextlib
import os
import time
from collections.abc import Generator

import psutil

from tests.fixtures import stack


class Used:
    """Cores by name; filled when the measured stretch is over."""

    def __init__(self) -> None:
        self.cores: dict[str, float] = {}

    def __str__(self) -> str:
        return ", ".join(f"{name} {cores:.2f}" for name, cores in self.cores.items())


@contextlib.contextmanager
def sampled(servers: stack.Servers, **pids: int | None) -> Generator[Used]:
    """Measure the named processes with their children, Postgres, Kafka, and this one."""
    roots = {name: pid for name, pid in pids.items() if pid is not None}
    roots["postgres"] = servers.postgres.child.pid or 0
    roots["kafka"] = servers.kafka.brokers[0].child.pid or 0
    used = Used()
    began = time.monotonic()
    before = {name: _family_seconds(pid) for name, pid in roots.items()}
    load_before = _own_seconds()
    yield used
    elapsed = time.monotonic() - began
    for name, pid in roots.items():
        used.cores[name] = round((_family_seconds(pid) - before[name]) / elapsed, 2)
    used.cores["load"] = round((_own_seconds() - load_before) / elapsed, 2)


def _family_seconds(pid: int) -> float:
    """Processor seconds of a process and its children, living and reaped; 0 when it is gone."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    total = 0.0
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _own_seconds() -> float:
    """This process and what it has already reaped (load generators)."""
    return sum(os.times()[:4])
