"""`oncely rules push` and `oncely rules pull`: rules as files, one way and back.

What a push would do is in rule_plans.
"""

import re
import sys
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.progress import Progress
from rich.prompt import Confirm

from cli import client, output
from cli.commands import rule_plans, rules

SLUG_CHARACTERS_MAX = 60
ID_CHARACTERS = 8
COLOURS: dict[rule_plans.Verdict, str] = {
    "create": "green",
    "new version": "yellow",
    "settings": "yellow",
    "unchanged": "dim",
    "refused": "bold red",
}
_NOT_A_LETTER = re.compile(r"[^a-z0-9]+")


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one rule, as `--json` prints it; applied: the api has stored it."""

    file: str
    place: str
    name: str
    verdict: rule_plans.Verdict
    applied: bool
    id: str | None = None
    version: int | None = None
    changes: list[rule_plans.Change] = []
    flaws: list[rule_plans.Flaw] = []


def push(
    files: list[Path],
    *,
    dry_run: bool = False,
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Bring rules to what files say; exit code 1 when any is refused, and then none is touched.

    A file is JSON with one rule or an array of them. A rule is found by its id, else by its name.

    Parameters
    ----------
    files
        Files, or folders of *.json.
    dry_run
        Only show what would be done.
    yes
        Do not ask.
    url
        Address of the api.
    json
        Print JSON; needs --yes or --dry-run.
    """
    if json and not (yes or dry_run):
        raise output.Failure("--json needs --yes or --dry-run", output.Exit.USAGE)
    planned = _plan(files, url)
    refused = any(each.verdict == "refused" for each in planned)
    waiting = [each for each in planned if each.verdict not in {"unchanged", "refused"}]
    if not json:
        _show_plan(planned)
    stop = refused or dry_run or not waiting
    if not stop and not yes:
        _ask(len(waiting))
    done = [
        _done(each) if stop or each not in waiting else _apply(each, url, quiet=json)
        for each in planned
    ]
    if json:
        output.show_json({"rules": done})
    elif refused:
        output.fail("nothing was changed: mend what is refused")
    failed = any(each.verdict == "refused" for each in done)
    return output.Exit.FAILED if failed else output.Exit.OK


def pull(
    *, directory: Annotated[Path, Parameter(name="--dir")] = Path("rules"), url: str | None = None
) -> int:
    """Write each published rule as a file that push takes; a file of that name is replaced.

    Parameters
    ----------
    directory
        Where to; made when it is missing.
    url
        Address of the api.
    """
    directory.mkdir(parents=True, exist_ok=True)
    params = {"state": "published"}
    rows, _ = client.listed("/rules", "rules", url=url, params=params, limit=rules.RULES_MAX)
    slugs = [_slug(str(row.get("name"))) for row in rows]
    named = Counter(slugs)
    counts = {"written": 0, "unchanged": 0}
    for row, slug in zip(rows, slugs, strict=True):
        rule = _as_file(str(row["id"]), url)
        if rule is None:
            continue
        name = f"{slug}-{str(row['id'])[-ID_CHARACTERS:]}" if named[slug] > 1 else slug
        counts[_write(directory / f"{name}.json", rule)] += 1
    output.console.print(
        f"{counts['written']} written, {counts['unchanged']} unchanged in {output.safe(directory)}"
    )
    return output.Exit.OK


def _plan(files: list[Path], url: str | None) -> list[rule_plans.Planned]:
    entries, unread = rule_plans.read_files(files)
    with Progress(
        console=output.errors, transient=True, disable=not output.errors.is_terminal
    ) as progress:
        task = progress.add_task("looking at the rules", total=len(entries))
        found = rule_plans.plan(entries, url=url, on_rule=lambda: progress.advance(task))
    return unread + found


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        message = f"{count} rules would change: say --yes to change them without a question"
        raise output.Failure(message, output.Exit.USAGE)
    if not Confirm.ask(f"Change {count} rules?", console=output.console, default=False):
        raise output.Failure("nothing was changed")


def _apply(planned: rule_plans.Planned, url: str | None, *, quiet: bool) -> Done:
    """Store one rule; a refusal is told and the next one goes on."""
    try:
        body = _send(planned, url)
    except client.Refused as refusal:
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        flaws = rule_plans.flaws_of(refusal)
        if refusal.status == HTTPStatus.PRECONDITION_FAILED:
            detail = "was changed meanwhile by somebody else: push again for a new plan"
            flaws = [rule_plans.Flaw(pointer="", detail=detail)]
        refused = msgspec.structs.replace(planned, verdict="refused", flaws=flaws)
        if not quiet:
            _show_one(refused)
        return _done(refused)
    state = planned.rule.get("state") or rule_plans.STATES[0]
    number = client.members(body.get(state)).get("version")
    if not quiet:
        output.console.print(
            f"[green]✓[/] {output.safe(planned.name)}: version {number} {state}"
            f" [dim]{output.safe(body.get('id'))}[/]"
        )
    stored = msgspec.structs.replace(planned, id=str(body.get("id")), version=number)
    return _done(stored, applied=True)


def _send(planned: rule_plans.Planned, url: str | None) -> dict[str, Any]:
    if planned.verdict == "create":
        return client.members(client.request("POST", "/rules", url=url, json=planned.rule).body)
    body = {name: value for name, value in planned.rule.items() if name != "id"}
    path = rules.path_of(str(planned.id))
    answer = client.request("PUT", path, url=url, json=body, if_match=planned.revision)
    return client.members(answer.body)


def _done(planned: rule_plans.Planned, *, applied: bool = False) -> Done:
    return Done(
        file=planned.file,
        place=planned.place,
        name=planned.name,
        verdict=planned.verdict,
        applied=applied,
        id=planned.id,
        version=planned.version,
        changes=planned.changes,
        flaws=planned.flaws,
    )


def _show_plan(planned: list[rule_plans.Planned]) -> None:
    for each in planned:
        _show_one(each)
    counts = {name: sum(each.verdict == name for each in planned) for name in COLOURS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    output.console.print(f"[bold]plan:[/] {told or 'no rules'}")


def _show_one(planned: rule_plans.Planned) -> None:
    colour = COLOURS[planned.verdict]
    where = output.safe(rule_plans.place_of(planned))
    name = output.safe(planned.name)
    output.console.print(f"[{colour}]{planned.verdict:>11}[/]  {name}  [dim]{where}[/]")
    for flaw in planned.flaws:
        place = output.safe(rule_plans.place_of(planned, flaw.pointer))
        output.console.print(f"    {place}: {output.safe(flaw.detail)}")
    rules.show_changes([msgspec.to_builtins(change) for change in planned.changes])


def _as_file(rule_id: str, url: str | None) -> dict[str, Any] | None:
    """A rule as push takes it; None when it is published no more."""
    body = client.members(client.request("GET", rules.path_of(rule_id), url=url).body)
    version = client.members(body.get("published"))
    if not version or body.get("archived_at") is not None:
        return None
    rule = {name: body[name] for name in ("id", "name")}
    rule |= {name: version[name] for name in rule_plans.CONTENT if version.get(name) is not None}
    return {**rule, "active": body["active"]}


def _slug(name: str) -> str:
    """A file's name of letters and digits only, so that no rule's name leads out of the folder."""
    return _NOT_A_LETTER.sub("-", name.lower())[:SLUG_CHARACTERS_MAX].strip("-") or "rule"


def _write(path: Path, rule: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(rule)) + b"\n"
    if path.is_file() and path.read_bytes() == text:
        return "unchanged"
    path.write_bytes(text)
    return "written"
