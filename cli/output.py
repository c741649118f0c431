"""How commands speak: tables or JSON, progress lines, exit codes. NO_COLOR is honoured by rich."""

import re
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import IntEnum
from typing import Any, Self

import msgspec
from rich import markup
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.stack import steps

_LATE_CONTROLS = re.compile("[\x7f-\x9f]")
PREFIX_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_red", "bright_cyan")


class Exit(IntEnum):
    """Exit codes of every command."""

    OK = 0
    FAILED = 1
    """It was tried and did not work; the message says why."""
    USAGE = 2
    """The command line was not understood."""
    NOT_RUNNING = 3
    """Nothing runs on the data folder, or the api does not answer."""
    REFUSED = 4
    """The api answered with a problem."""
    ALREADY_RUNNING = 5
    """Another supervisor owns the data folder."""
    INTERRUPTED = 130
    """Ctrl-C, after everything was stopped."""


class Failure(Exception):
    """Ends a command: the message goes to stderr, the code to the shell."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


# Rich assumes 80 columns where there is no terminal and would break lines of a log file.
console = Console(
    highlight=False, emoji=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200
)
errors = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)


def printable(value: object) -> str:
    """Text of others without what a terminal obeys: ANSI sequences, CR, marks that turn a line."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode()
        for each in str(value)
    )


def safe(value: object) -> str:
    """The same as a part of markup."""
    return markup.escape(printable(value))


def json_text(value: object) -> str:
    """A value as one line of JSON."""
    return msgspec.json.encode(value).decode()


def show_json(value: object) -> None:
    """Print one JSON document, as stable input for other programs."""
    text = msgspec.json.format(msgspec.json.encode(value)).decode()
    # JSON escapes all controls but these, of which some terminals take U+009B for ESC [.
    sys.stdout.write(_LATE_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def show_block(value: object, *, indent: int = 2) -> None:
    """Print one JSON value for people, by the line."""
    for line in msgspec.json.format(msgspec.json.encode(value)).decode().splitlines():
        console.print(" " * indent + safe(line))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows as text; values are never read as markup, nor obeyed by the terminal."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*["" if cell is None else safe(cell) for cell in row])
    console.print(table)


def show_fields(fields: Sequence[tuple[str, object]]) -> None:
    """Print name and value pairs, one a line; a value is never cut, so that it can be copied."""
    width = max((len(name) for name, _ in fields), default=0)
    for name, value in fields:
        console.print(f"[dim]{safe(name.ljust(width))}[/]  {safe(value)}")


def fail(message: str) -> None:
    """Print an error."""
    lines = "\n".join(safe(line) for line in message.split("\n"))
    errors.print(f"[bold red]error:[/] {lines}")


def echo(name: str, line: str) -> None:
    """Print one line of a process with its name in a colour of its own."""
    colour = PREFIX_COLOURS[sum(name.encode()) % len(PREFIX_COLOURS)]
    console.print(f"[{colour}]{markup.escape(name):>12}[/] │ ", end="")
    # The line may carry colours of its own (LOG_FORMAT=pretty) and is passed through.
    console.out(line, highlight=False)


class Steps(AbstractContextManager["Steps"]):
    """Progress of a start: spinners with the elapsed time on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> Self:
        if console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if console.is_terminal:
            self._progress.stop()

    def report(self, step: steps.Step) -> None:
        """Show one step; called from several threads."""
        with self._lock:
            self._show(step)

    def _show(self, step: steps.Step) -> None:
        name = markup.escape(step.name)
        detail = markup.escape(step.detail)
        match step.state:
            case "started":
                self._tasks[step.name] = self._progress.add_task(name, total=None, detail="")
            case "progress":
                self._show_progress(step)
            case "done":
                self._forget(step.name)
                console.print(f"[green]✓[/] {name:<13} {step.seconds:5.1f} s  [dim]{detail}[/]")
            case "failed":
                self._forget(step.name)
                console.print(f"[red]✗[/] {name:<13} {step.seconds:5.1f} s")
            case "note":
                console.print(f"[yellow]![/] {name:<13} {detail}")

    def _show_progress(self, step: steps.Step) -> None:
        task = self._tasks.get(step.name)
        if task is not None:
            self._progress.update(task, completed=step.done, total=step.total, detail=step.detail)
        if not console.is_terminal and step.done in {1, step.total}:
            console.print(f"  {step.name}: {markup.escape(step.detail)} {step.done}/{step.total}")

    def _forget(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            self._progress.remove_task(task)
