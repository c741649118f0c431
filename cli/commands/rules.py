"""`oncely rules`: list, show, publish, compare; files, tests and backtests are in modules of their
own.
"""

from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import client, output

app = App(name="rules", help="Look at rules, change them from files, test them on events.")
# By name, for the same reason as in cli.main.
COMMANDS = (
    ("push", "cli.commands.rule_files:push", "Bring rules to what files say, after a plan."),
    ("pull", "cli.commands.rule_files:pull", "Write each published rule as a file for push."),
    ("test", "cli.commands.rule_tests:try_rule", "Ask what a rule says of an event, and why."),
    ("backtest", "cli.commands.backtests:backtest", "Compare a version with past events."),
)
for name, target, text in COMMANDS:
    app.command(target, name=name, help=text)

COLUMNS = ("id", "name", "event_type", "state", "version", "active", "suspended", "updated_at")
FIELDS = ("id", "name", "active", "revision", "archived_at", "created_at", "updated_at")
STANDING = ("published", "shadow", "draft")
VERSION_FIELDS = ("event_type", "engine", "engine_version", "note", "created_at", "published_at")
RULES_MAX = 100_000
MARKS = {"changed": "[yellow]~[/]", "added": "[green]+[/]", "removed": "[red]-[/]"}


@app.command(name="list")
def list_(
    *,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    archived: bool = False,
    limit: int = 100,
    url: str | None = None,
    json: bool = False,
) -> int:
    """List rules, newest first.

    Parameters
    ----------
    type_
        Only rules that look at events of this type, also by a pattern such as payment.*.
    archived
        Only the archived ones.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = {"archived": "true" if archived else "false"}
    params |= {} if type_ is None else {"matching": type_}
    rows, cursor = client.listed(
        "/rules", "rules", url=url, params=params, limit=max(1, min(limit, RULES_MAX))
    )
    if json:
        output.show_json({"rules": rows, "next_cursor": cursor})
        return output.Exit.OK
    output.show_table(COLUMNS, [[_cell(row.get(name)) for name in COLUMNS] for row in rows])
    if cursor is not None:
        output.console.print(f"[dim]there are more than {len(rows)}: --limit[/]")
    return output.Exit.OK


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Show a rule with the versions that count: published, in shadow, the newest draft.

    Parameters
    ----------
    id_
        The rule.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.members(client.request("GET", path_of(id_), url=url).body)
    if json:
        output.show_json(body)
        return output.Exit.OK
    output.show_fields([(name, _cell(body.get(name))) for name in FIELDS])
    for state in STANDING:
        version = client.members(body.get(state))
        if version:
            _show_version(state, version)
    return output.Exit.OK


@app.command
def publish(
    id_: Annotated[str, Parameter(name="ID")],
    version: int,
    *,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Let a version count; an old one is a rollback.

    Parameters
    ----------
    id_
        The rule.
    version
        Its number.
    url
        Address of the api.
    json
        Print JSON.
    """
    path = f"{path_of(id_)}/versions/{version}/publish"
    body = client.members(client.request("POST", path, url=url).body)
    if json:
        output.show_json(body)
    else:
        output.console.print(
            f"version {version} is published (rulebook {output.safe(body.get('rulebook_version'))})"
        )
    return output.Exit.OK


@app.command
def diff(
    id_: Annotated[str, Parameter(name="ID")],
    version: int,
    to: int,
    *,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Show what one version says differently from another, place by place.

    Parameters
    ----------
    id_
        The rule.
    version
        The version before.
    to
        The version after.
    url
        Address of the api.
    json
        Print JSON.
    """
    path = f"{path_of(id_)}/versions/{version}/diff"
    body = client.members(client.request("GET", path, url=url, params={"to": str(to)}).body)
    if json:
        output.show_json(body)
        return output.Exit.OK
    changes = [client.members(change) for change in client.items(body.get("changes"))]
    show_changes(changes, indent=0)
    if not changes:
        output.console.print(f"versions {version} and {to} say the same")
    if body.get("cut_off"):
        output.console.print("[dim]there are more differences than are told[/]")
    return output.Exit.OK


def path_of(rule_id: str) -> str:
    return f"/rules/{client.segment(rule_id)}"


def show_changes(changes: list[dict[str, Any]], *, indent: int = 4) -> None:
    """Print differences, a line each: `~ /condition/>/1  10000 -> 12000`."""
    for change in changes:
        values = [
            output.safe(output.json_text(change[side]))
            for side in ("before", "after")
            if side in change
        ]
        mark = MARKS.get(str(change.get("kind")), "?")
        pointer = output.safe(change.get("pointer") or "/")
        output.console.print(f"{' ' * indent}{mark} {pointer}  {' → '.join(values)}")


def _show_version(state: str, version: dict[str, Any]) -> None:
    output.console.print(f"\n[bold]{state}[/]: version {output.safe(version.get('version'))}")
    fields = [(name, version.get(name)) for name in VERSION_FIELDS if version.get(name) is not None]
    suspension = client.members(version.get("suspension"))
    if suspension:
        fields.append(("suspended", suspension.get("reason")))
    output.show_fields(fields)
    for part in ("condition", "actions"):
        output.console.print(f"[dim]{part}[/]")
        output.show_block(version.get(part))


def _cell(value: Any) -> object:
    return {None: "", True: "yes", False: "no"}[value] if isinstance(value, bool | None) else value
