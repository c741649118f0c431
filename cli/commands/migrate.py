"""`oncely migrate`: bring the schema up to date, or say where it stands."""

import os
from pathlib import Path
from typing import Literal

from cyclopts import App

from cli import output
from cli.stack import paths, services, state

app = App(name="migrate", help="Bring the schema and the topics up to date.")


@app.command
def up(*, data: Path | None = None, json: bool = False) -> int:
    """Apply the missing migrations to DATABASE_URL or the running stack, and make the topics."""
    return _run("up", data, json=json)


@app.command
def status(*, data: Path | None = None, json: bool = False) -> int:
    """List the migrations and whether each is applied."""
    return _run("status", data, json=json)


def _run(command: Literal["up", "status"], data: Path | None, *, json: bool) -> int:
    folder = paths.data_dir(data)
    current = state.running(folder)
    database_url = os.environ.get("DATABASE_URL") or (current.database_url if current else "")
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or (
        current.kafka_bootstrap_servers if current else ""
    )
    if not database_url:
        message = "no database: set DATABASE_URL or start one with `oncely up --only postgres`"
        raise output.Failure(message, output.Exit.NOT_RUNNING)
    folder.mkdir(parents=True, exist_ok=True)
    printed = services.run_migrations(
        command, database_url=database_url, kafka_bootstrap_servers=servers, log_dir=folder / "logs"
    )
    lines = printed.strip().splitlines()
    if json:
        output.show_json({"lines": lines})
    else:
        output.console.out("\n".join(lines), highlight=False)
    return output.Exit.OK
