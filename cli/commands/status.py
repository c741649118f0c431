"""`oncely status`: what runs on the data folder and whether it is ready."""

from http import HTTPStatus
from pathlib import Path
from typing import Literal

import msgspec

from cli import output
from cli.stack import paths, services, state

KINDS_WITH_HEALTH = ("api", "relay", "consumer", "dispatcher")


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    name: str
    state: Literal["ready", "not ready", "running", "gone"]
    pid: int
    port: int | None
    log: str | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints."""

    running: bool
    ready: bool
    data_dir: str
    started_at: str | None = None
    api_url: str | None = None
    kafka_bootstrap_servers: str | None = None
    processes: list[ProcessStatus] = []


def status(*, data: Path | None = None, json: bool = False) -> int:
    """Show what runs on a data folder; exit code 3 when nothing does, 1 when a part is not ready.

    Parameters
    ----------
    data
        Data folder; default ONCELY_DATA_DIR or .oncely here.
    json
        Print JSON.
    """
    found = look(paths.data_dir(data))
    if json:
        output.show_json(found)
    elif not found.running:
        output.console.print(f"nothing runs on {found.data_dir}")
    else:
        rows = [(each.name, each.state, each.pid, each.port, each.log) for each in found.processes]
        output.show_table(["process", "state", "pid", "port", "log"], rows)
        output.show_fields([("api", found.api_url or "-"), ("data folder", found.data_dir)])
    if not found.running:
        return output.Exit.NOT_RUNNING
    return output.Exit.OK if found.ready else output.Exit.FAILED


def look(folder: Path) -> Status:
    """Read the state file and ask every process."""
    current = state.running(folder)
    if current is None:
        return Status(running=False, ready=False, data_dir=str(folder))
    processes = [_of(record) for record in current.processes]
    bad = any(each.state in {"gone", "not ready"} for each in processes)
    return Status(
        running=True,
        ready=current.ready and not bad,
        data_dir=current.data_dir,
        started_at=current.started_at,
        api_url=current.api_url,
        kafka_bootstrap_servers=current.kafka_bootstrap_servers or None,
        processes=processes,
    )


def _of(record: state.ProcessRecord) -> ProcessStatus:
    return ProcessStatus(
        name=record.name, state=_state(record), pid=record.pid, port=record.port, log=record.log
    )


def _state(record: state.ProcessRecord) -> Literal["ready", "not ready", "running", "gone"]:
    if record.process() is None:
        return "gone"
    if record.port is None or not record.name.startswith(KINDS_WITH_HEALTH):
        return "running"
    answered = services.probe(record.port, "/health/ready")
    return "ready" if answered == HTTPStatus.OK else "not ready"
