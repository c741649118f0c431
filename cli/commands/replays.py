"""`oncely events replay` and `oncely replays`: process events once more, watch and steer jobs."""

import time
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import client, filters, jobs, lists, output

app = App(name="replays", help="Look at bulk replays; pause, resume, cancel them.")
COLUMNS = (
    "id",
    "state",
    "mode",
    "effects",
    "examined",
    "total",
    "replayed",
    "reason",
    "created_at",
)
FILTERS = (
    "type",
    "status",
    "source",
    "subject",
    "external_id",
    "q",
    "rule_id",
    "received_after",
    "received_before",
)
WAIT_SECONDS = 60.0
# Where a job stands that nobody has to watch any more.
RESTING = (*jobs.OVER, "paused")

type Mode = Literal["current", "original", "pinned"]
type Effects = Literal["dedupe", "force", "none"]


def replay(
    id_: Annotated[str | None, Parameter(name="ID")] = None,
    *,
    filter_: Annotated[list[str] | None, Parameter(name="--filter", negative="")] = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    mode: Mode = "current",
    effects: Effects = "dedupe",
    rule_version: Annotated[list[str] | None, Parameter(negative="")] = None,
    receipt: int | None = None,
    reason: str | None = None,
    rate: int | None = None,
    most: Annotated[int | None, Parameter(name="--max")] = None,
    dry_run: bool = False,
    wait: bool = False,
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Process an event once more, or all finished ones of a filter, as a job.

    Nothing is sent a second time unless you say --effects force. A job goes on by itself, also
    after Ctrl-C; `oncely replays` shows and steers it.

    Parameters
    ----------
    id_
        The event; none: those of the filter.
    filter_
        E.g. type=payment.completed,status=failed,received_after=7d; q=TEXT is looked for in ids at
        the source, types, subjects and sources.
    all_
        All finished events, whatever they are.
    mode
        By the rules as they are now, as they were (original), or by --rule-version (pinned).
    effects
        dedupe, force (send again; needs --reason), or none (only look what the rules say).
    rule_version
        RULE=N with mode pinned, the rule by its id; may be repeated.
    receipt
        Run another payload that came under the event's id, by its number.
    reason
        Why; needed with --filter and with force.
    rate
        Events per second at most, of a job.
    most
        How many events at most, of a job.
    dry_run
        Only tell what a job would do.
    wait
        Wait for the end.
    yes
        Do not ask before a job.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished: dict[str, Any] = {"mode": mode, "effects": effects, "reason": reason}
    if rule_version:
        wished["rule_versions"] = dict(map(_rule_version, rule_version))
    if id_ is not None:
        if filter_ or all_ or dry_run or rate is not None or most is not None:
            message = "--filter, --all, --dry-run, --rate and --max are for many events: no ID then"
            raise output.Failure(message, output.Exit.USAGE)
        return _replay_one(
            id_, _given(wished | {"receipt": receipt}), wait=wait, url=url, json=json
        )
    wished |= {"filter": filters.parse(filter_ or [], FILTERS), "all": all_, "events_max": most}
    filters.require_answer(yes=yes, dry_run=dry_run, json=json)
    return _replay_many(
        _given(wished),
        _given({"rate_per_second": rate}),
        dry_run=dry_run,
        wait=wait,
        yes=yes,
        url=url,
        json=json,
    )


@app.command(name="list")
def list_(
    *, state: str | None = None, limit: int = 50, url: str | None = None, json: bool = False
) -> int:
    """List bulk replays, newest first.

    Parameters
    ----------
    state
        queued, running, paused, done, cancelled or failed.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = {"state": state}
    return lists.show(
        "/replays", "replays", COLUMNS, url=url, params=params, limit=limit, json=json
    )


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    wait: bool = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Show how far a job is.

    Parameters
    ----------
    id_
        The job.
    wait
        Follow it to its end.
    url
        Address of the api.
    json
        Print JSON.
    """
    job = client.members(client.request("GET", _path(id_), url=url).body)
    return _follow(job, wait=wait, url=url, json=json)


@app.command
def pause(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Let a job rest; what it asked for goes on."""
    return _steer(id_, "pause", url=url, json=json)


@app.command
def resume(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    wait: bool = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Let a job that rests go on where it stood.

    Parameters
    ----------
    id_
        The job.
    wait
        Follow it to its end.
    url
        Address of the api.
    json
        Print JSON.
    """
    return _steer(id_, "resume", wait=wait, url=url, json=json)


@app.command
def cancel(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """End a job; what it has replayed stays so."""
    return _steer(id_, "cancel", url=url, json=json)


def _replay_many(
    job: dict[str, Any],
    pace: dict[str, Any],
    *,
    dry_run: bool,
    wait: bool,
    yes: bool,
    url: str | None,
    json: bool,
) -> int:
    """Tell what a job would do, ask, and begin it."""
    if dry_run or not yes:
        preview = {name: each for name, each in job.items() if name != "reason"}
        found = client.members(
            client.request("POST", "/replays/preview", url=url, json=preview).body
        )
        if dry_run:
            return _tell_preview(found, json=json)
        _tell_preview(found, json=False)
        least = "" if found.get("exact") else "at least "
        filters.ask(f"Replay {least}{found.get('replayable')} events?", yes=yes)
        # The same events that were counted, whatever arrived since.
        job["filter"] = job["filter"] | {"received_before": found.get("received_before")}
    made = client.request("POST", "/replays", url=url, json=job | pace)
    return _follow(client.members(made.body), wait=wait, url=url, json=json)


def _replay_one(
    event_id: str, wished: dict[str, Any], *, wait: bool, url: str | None, json: bool
) -> int:
    path = f"/events/{client.segment(event_id)}"
    made = client.members(client.request("POST", f"{path}/replay", url=url, json=wished).body)
    number = made.get("replay")
    if not wait:
        return lists.tell(made, f"replay {number} of {event_id} is on its way", json=json)
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        told = client.members(client.request("GET", f"{path}/replays/{number}", url=url).body)
        run = client.members(told.get("run"))
        if run.get("applied_at") or run.get("superseded") or time.monotonic() > deadline:
            break
        time.sleep(jobs.POLL_SECONDS)
    if json:
        output.show_json(told)
    else:
        _tell_run(told)
    return output.Exit.OK if run.get("applied_at") else output.Exit.FAILED


def _tell_run(told: dict[str, Any]) -> None:
    run = client.members(told.get("run"))
    comparison = client.members(told.get("comparison"))
    state = "applied" if run.get("applied_at") else "not applied yet"
    verdict = str(comparison.get("verdict"))
    output.console.print(
        f"replay {output.safe(run.get('replay'))} is {state}:"
        f" {output.safe(verdict.replace('_', ' '))}, event {output.safe(told.get('event_status'))}"
    )
    for each in map(client.members, client.items(comparison.get("differences"))):
        output.console.print(f"  {output.safe(each.get('name'))}: {output.safe(each.get('why'))}")
    made = client.items(told.get("deliveries_made"))
    deduped = client.items(told.get("deliveries_deduped"))
    output.console.print(f"deliveries: {len(made)} made, {len(deduped)} sent by an earlier run")


def _tell_preview(found: dict[str, Any], *, json: bool) -> int:
    if json:
        output.show_json(found)
        return output.Exit.OK
    names = ("count", "replayable", "expired", "first", "last", "mode", "effects")
    fields = [(name, lists.cell(found.get(name))) for name in names]
    output.show_fields([*fields, ("sent again", found.get("would_send_again"))])
    for note in client.items(found.get("notes")):
        output.console.print(f"[dim]{output.safe(note)}[/]")
    return output.Exit.OK


def _follow(job: dict[str, Any], *, wait: bool, url: str | None, json: bool) -> int:
    """Show a job, at its end when somebody waits."""
    path = _path(str(job.get("id")))
    if wait and job.get("state") not in RESTING:
        output.errors.print(f"[dim]job {output.safe(job.get('id'))}; Ctrl-C does not end it[/]")
        with jobs.bar() as show_progress:
            while job.get("state") not in RESTING:
                time.sleep(jobs.POLL_SECONDS)
                job = client.members(client.request("GET", path, url=url).body)
                show_progress(job)
    if json:
        output.show_json(job)
    else:
        _tell_job(job)
    bad = job.get("state") == "failed" or (wait and job.get("state") != "done")
    return output.Exit.FAILED if bad else output.Exit.OK


def _tell_job(job: dict[str, Any]) -> None:
    rate = job.get("events_per_second")
    speed = "" if rate is None else f", {rate:,.0f} events/s"
    total = "?" if job.get("total") is None else f"{job['total']:,}"
    output.console.print(
        f"[bold]{output.safe(job.get('state'))}[/]: {job.get('examined', 0):,} of {total} events,"
        f" {job.get('replayed', 0):,} replayed{speed}"
    )
    skipped = {
        name.removeprefix("skipped_"): each
        for name, each in job.items()
        if name.startswith("skipped_") and each
    }
    if skipped:
        told = ", ".join(f"{each:,} {name}" for name, each in skipped.items())
        output.console.print(f"skipped: {output.safe(told)}")
    if job.get("error"):
        output.fail(str(job["error"]))
    for note in client.items(job.get("notes")):
        output.console.print(f"[dim]{output.safe(note)}[/]")
    output.console.print(f"[dim]job {output.safe(job.get('id'))}[/]")


def _steer(job_id: str, act: str, *, url: str | None, json: bool, wait: bool = False) -> int:
    job = client.members(client.request("POST", f"{_path(job_id)}/{act}", url=url).body)
    return _follow(job, wait=wait, url=url, json=json)


def _path(job_id: str) -> str:
    return f"/replays/{client.segment(job_id)}"


def _given(wished: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in wished.items() if each is not None}


def _rule_version(text: str) -> tuple[str, int]:
    rule, equals, number = text.partition("=")
    if not equals or not number.isdecimal():
        message = f"--rule-version takes RULE=N, not {text}"
        raise output.Failure(message, output.Exit.USAGE)
    return rule, int(number)
