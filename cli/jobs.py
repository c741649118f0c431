"""Jobs of the api as commands show them: a bar while they run."""

import contextlib
from collections.abc import Callable, Generator
from typing import Any

from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from cli import output

POLL_SECONDS = 0.25
OVER = ("done", "failed", "cancelled")


@contextlib.contextmanager
def bar() -> Generator[Callable[[dict[str, Any]], None]]:
    """A progress bar on a terminal; on stderr, so that stdout is the answer alone."""
    progress = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=output.errors,
        transient=True,
        disable=not output.errors.is_terminal,
    )
    with progress:
        task = progress.add_task("queued", total=None, rate="")

        def show(job: dict[str, Any]) -> None:
            rate = job.get("events_per_second")
            progress.update(
                task,
                description=output.safe(job.get("state")),
                completed=job.get("examined", 0),
                total=job.get("total"),
                rate="" if rate is None else f"{rate:,.0f} events/s",
            )

        yield show
