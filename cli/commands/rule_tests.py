"""`oncely rules test`: what a rule says of an event, node by node. Named after POST /rules/test."""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
from cyclopts import Parameter
from rich.tree import Tree

from cli import client, output
from cli.commands import rule_plans

# 2 and 3 say of every command that it was not understood, or that nothing runs.
MATCHED, NOT_MATCHED, FAILED = 0, 1, 4
CODES = {"matched": MATCHED, "not_matched": NOT_MATCHED, "failed": FAILED}
COLOURS = {"matched": "green", "not_matched": "yellow", "failed": "red"}
# What of the request comes from the command line and not from the rule.
OPTIONS = {
    "/event_id": "--event",
    "/event/type": "--type",
    "/event/": "--data",
    "/version": "--version",
}
VALUE_CHARACTERS_MAX = 100
UUID_CHARACTERS = 36


def try_rule(
    rule: Annotated[str, Parameter(name="RULE")],
    *,
    event: str | None = None,
    data: str | None = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    version: int | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Ask what a rule says of an event; does nothing else.

    Exit codes: 0 matched, 1 not matched, 4 failed or refused.

    Parameters
    ----------
    rule
        A file with one rule, or the id of a stored one.
    event
        The id of a stored event.
    data
        The data of an event that is made up here, as JSON.
    type_
        The type of the event that is made up.
    version
        Which version of a stored rule; default: the published one, else the newest.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = _subject(rule, version) | _event(event, data, type_)
    try:
        answer = client.request("POST", "/rules/test", url=url, json=body)
    except client.Refused as refusal:
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return _show_refusal(rule, refusal, json=json)
    verdict = client.members(answer.body)
    # A type that the rule does not look at is no match, whatever its condition says; unless nobody
    # has named a type.
    passed_by = verdict.get("type_matches") is False and not (event is None and type_ is None)
    if json:
        output.show_json(verdict)
    else:
        _show(verdict, passed_by=passed_by)
    return NOT_MATCHED if passed_by else CODES[str(verdict.get("outcome"))]


def _subject(rule: str, version: int | None) -> dict[str, Any]:
    path = Path(rule)
    if len(rule) == UUID_CHARACTERS and not path.exists():
        return {"rule_id": rule} | ({} if version is None else {"version": version})
    entries, unread = rule_plans.read_files([path])
    for each in unread:
        message = f"{each.file} {each.flaws[0].detail}"
        raise output.Failure(message, output.Exit.USAGE)
    if version is not None or len(entries) != 1 or not isinstance(entries[0].rule, dict):
        message = (
            "--version goes with the id of a stored rule"
            if version is not None
            else f"{rule} has {len(entries)} rules: name a file with one"
        )
        raise output.Failure(message, output.Exit.USAGE)
    given = cast("dict[str, Any]", entries[0].rule)
    return {name: given[name] for name in rule_plans.TRIED if given.get(name) is not None}


def _event(event: str | None, data: str | None, type_: str | None) -> dict[str, Any]:
    if (event is None) == (data is None) or (event is not None and type_ is not None):
        message = "say either --event ID or --data JSON (--type goes with --data)"
        raise output.Failure(message, output.Exit.USAGE)
    if event is not None:
        return {"event_id": event}
    try:
        payload = msgspec.json.decode(data or "")
    except (msgspec.DecodeError, RecursionError) as error:
        raise output.Failure(f"the data is not JSON: {error}", output.Exit.USAGE) from error
    return {"event": {"data": payload} | ({} if type_ is None else {"type": type_})}


def _show_refusal(rule: str, refusal: client.Refused, *, json: bool) -> int:
    if json:
        output.show_json(refusal.problem)
        return FAILED
    lines = ["refused"]
    for flaw in rule_plans.flaws_of(refusal):
        where = next(
            (option for place, option in OPTIONS.items() if flaw.pointer.startswith(place)),
            f"{rule}#{flaw.pointer}" if flaw.pointer else rule,
        )
        lines.append(f"  {where}: {flaw.detail}")
    output.fail("\n".join(lines))
    return FAILED


def _show(verdict: dict[str, Any], *, passed_by: bool) -> None:
    outcome = str(verdict.get("outcome"))
    colour = COLOURS.get(outcome, "red")
    words = outcome.replace("_", " ")
    if passed_by:
        kind = output.safe(verdict.get("event_type"))
        output.console.print(
            f"[bold yellow]not matched[/]: the rule does not look at events of type {kind}"
        )
        words = f"its condition: {words}"
    output.console.print(f"[bold {colour}]{words}[/]: {output.safe(verdict.get('why'))}")
    error = client.members(verdict.get("error"))
    if error:
        where = f" at {error['pointer'] or '/'}" if error.get("pointer") is not None else ""
        told = f"{error.get('class')}{where}: {error.get('message')}"
        output.console.print(f"[red]{output.safe(told)}[/]")
    steps = [client.members(step) for step in client.items(verdict.get("trace"))]
    output.console.print(_tree(steps))
    if verdict.get("trace_cut_off"):
        output.console.print("[dim]steps are missing: the trace was cut off[/]")
    for action in map(client.members, client.items(verdict.get("actions"))):
        told = action.get("error") or output.json_text(action.get("params"))
        name = output.safe(f"{action.get('key')} ({action.get('type')})")
        output.console.print(f"would do  [bold]{name}[/] {output.safe(told)}")
    missing = [output.safe(name) for name in client.items(verdict.get("missing"))]
    if missing:
        output.console.print(f"the event does not have  {', '.join(missing)}")
    engine = f"{verdict.get('engine')} {verdict.get('engine_version')}"
    output.console.print(f"[dim]{output.safe(engine)}, {verdict.get('duration_us')} µs[/]")


def _tree(steps: list[dict[str, Any]]) -> Tree:
    """The steps come innermost first: a node takes what came before it and stands below it, so the
    rounds of a loop stay apart.
    """
    waiting: list[tuple[str, Tree]] = []
    for step in steps:
        pointer = str(step.get("pointer"))
        node = Tree(_label(step, pointer))
        first = len(waiting)
        while first and waiting[first - 1][0].startswith(f"{pointer}/"):
            first -= 1
        node.children += [child for _, child in waiting[first:]]
        waiting[first:] = [(pointer, node)]
    top = Tree("condition", hide_root=True)
    top.children += [node for _, node in waiting]
    return top


def _label(step: dict[str, Any], pointer: str) -> str:
    expression = output.safe(_shortened(_head(step.get("expression"))))
    number = "" if step.get("round") is None else f"[dim]#{step['round']}[/] "
    if step.get("error") is not None:
        result = f"[red]{output.safe(_shortened(str(step['error'])))}[/]"
    else:
        value = output.safe(_shortened(output.json_text(step.get("value"))))
        result = f"[bold]{value}[/]"
    return f"{number}{expression} → {result}  [dim]{output.safe(pointer or '/')}[/]"


def _head(expression: Any) -> str:
    """An operator with what it is given; an operation among that has a line of its own."""
    operation = client.members(expression)
    if len(operation) != 1:
        return output.json_text(expression)
    operator, given = next(iter(operation.items()))
    arguments = cast("list[Any]", given) if isinstance(given, list) else [given]
    told = ["…" if _holds_operation(each) else output.json_text(each) for each in arguments]
    return f"{operator} {' '.join(told)}"


def _holds_operation(value: Any) -> bool:
    """An operation, or an array of them."""
    if isinstance(value, list):
        return any(_holds_operation(each) for each in cast("list[Any]", value))
    return isinstance(value, dict)


def _shortened(text: str) -> str:
    most = VALUE_CHARACTERS_MAX
    return text if len(text) <= most else text[: most - 1] + "…"
