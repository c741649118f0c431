"""`oncely rules backtest`: start the job, watch it, show what it found; Ctrl-C cancels it."""

import contextlib
import signal
import threading
import time
from collections.abc import Generator
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from cli import client, filters, jobs, output
from cli.commands import rules

CANCEL_SECONDS = 15.0
EXAMPLES_SHOWN = 3
KINDS = ("gained", "lost", "changed", "candidate_error", "baseline_error", "not_reconstructed")
# Errors are counted under their plural.
COUNTS = {"candidate_error": "candidate_errors", "baseline_error": "baseline_errors"}


def backtest(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    version: int | None = None,
    against: int | Literal["nothing"] | None = None,
    since: str | None = None,
    most: Annotated[int | None, Parameter(name="--max")] = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Run a version over past events and compare it with the published one; Ctrl-C cancels.

    Parameters
    ----------
    id_
        The rule.
    version
        The candidate; default: the newest draft, else the one in shadow, else the newest.
    against
        Another version than the published one, or nothing.
    since
        Only events received since: 7d (also m, h, w), or a date or time; UTC without an offset.
    most
        Only so many of the newest events.
    url
        Address of the api.
    json
        Print JSON.
    """
    body: dict[str, Any] = {"version": version, "events_max": most}
    body["received_after"] = None if since is None else filters.moment(since, "--since")
    body = {name: value for name, value in body.items() if value is not None}
    if against is not None:
        body["against"] = None if against == "nothing" else against
    with _stop_wished() as stop:
        started = client.request("POST", f"{rules.path_of(id_)}/backtests", url=url, json=body)
        job = client.members(started.body)
        path = f"/backtests/{client.segment(str(job['id']))}"
        job = _watch(job, path, url, stop)
        cancelled = job.get("state") not in jobs.OVER
        if cancelled:
            job = _cancel(job, path, url)
    # Without the handler: whoever does not want to wait for examples may leave.
    examples = _examples(path, job, url)
    if json:
        output.show_json({"backtest": job, "examples": examples})
    else:
        _show(job, examples)
    if cancelled:
        return output.Exit.INTERRUPTED
    return output.Exit.OK if job.get("state") == "done" else output.Exit.FAILED


@contextlib.contextmanager
def _stop_wished() -> Generator[threading.Event]:
    """Ctrl-C as an event: raised in the middle of a request it would leave a job behind."""
    wished = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def wish(_number: int, _frame: object) -> None:
        wished.set()

    before = [signal.signal(number, wish) for number in numbers]
    try:
        yield wished
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _watch(
    job: dict[str, Any], path: str, url: str | None, stop: threading.Event
) -> dict[str, Any]:
    """Follow a job to its end, or until somebody wants it to stop."""
    with jobs.bar() as show:
        while job.get("state") not in jobs.OVER and not stop.wait(jobs.POLL_SECONDS):
            job = client.members(client.request("GET", path, url=url).body)
            show(job)
    return job


def _cancel(job: dict[str, Any], path: str, url: str | None) -> dict[str, Any]:
    """End a job; it may have ended by itself meanwhile."""
    with contextlib.suppress(client.Refused):
        client.request("POST", f"{path}/cancel", url=url)
    deadline = time.monotonic() + CANCEL_SECONDS
    while time.monotonic() < deadline:
        job = client.members(client.request("GET", path, url=url).body)
        if job.get("state") in jobs.OVER:
            break
        time.sleep(jobs.POLL_SECONDS)
    return job


def _examples(path: str, job: dict[str, Any], url: str | None) -> dict[str, list[dict[str, Any]]]:
    """A few events of each kind that was counted."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in KINDS:
        if _count(job, kind):
            found[kind], _ = client.listed(
                f"{path}/examples",
                "examples",
                url=url,
                params={"kind": kind},
                limit=EXAMPLES_SHOWN,
            )
    return found


def _show(job: dict[str, Any], examples: dict[str, list[dict[str, Any]]]) -> None:
    against = job.get("against")
    other = "nothing" if against is None else f"version {against}"
    rate = job.get("events_per_second")
    speed = "" if rate is None else f", {rate:,.0f} events/s"
    output.console.print(
        f"[bold]{output.safe(job.get('state'))}[/]: version {job.get('version')} against {other},"
        f" {job.get('examined', 0):,} of {job.get('total') or 0:,} events{speed}"
    )
    if job.get("error"):
        output.fail(str(job["error"]))
    rows: list[tuple[object, ...]] = [("both match", job.get("both"), "")]
    rows.append(("neither matches", job.get("neither"), ""))
    rows += [
        (
            kind.replace("_", " "),
            _count(job, kind),
            ", ".join(map(_example, examples.get(kind, []))),
        )
        for kind in KINDS
    ]
    output.show_table(["", "events", "for example"], rows)
    for note in client.items(job.get("notes")):
        output.console.print(f"[dim]{output.safe(note)}[/]")
    output.console.print(f"[dim]backtest {output.safe(job.get('id'))}[/]")


def _example(example: dict[str, Any]) -> str:
    detail = client.members(example.get("detail"))
    told = detail.get("message")
    return f"{example.get('event_id')}" + (f" ({str(told)[:80]})" if told else "")


def _count(job: dict[str, Any], kind: str) -> int:
    return int(job.get(COUNTS.get(kind, kind)) or 0)
