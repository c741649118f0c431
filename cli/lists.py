"""Lists and answers of commands: a page after another as a table, or as JSON."""

from collections.abc import Sequence
from typing import Any, cast

from cli import client, output

ROWS_MAX = 100_000


def show(
    path: str,
    member: str,
    columns: Sequence[str],
    *,
    url: str | None,
    params: dict[str, str | None],
    limit: int,
    json: bool,
) -> int:
    """Print a list of the api up to a limit, and say whether there is more."""
    given = {name: value for name, value in params.items() if value is not None}
    most = max(1, min(limit, ROWS_MAX))
    rows, cursor = client.listed(path, member, url=url, params=given, limit=most)
    if json:
        output.show_json({member: rows, "next_cursor": cursor})
        return output.Exit.OK
    output.show_table(columns, [[cell(row.get(name)) for name in columns] for row in rows])
    if cursor is not None:
        output.console.print(f"[dim]there are more than {len(rows)}: --limit[/]")
    return output.Exit.OK


def show_one(body: Any, *, json: bool) -> int:
    """Print an object: its plain members as fields, the others as blocks."""
    if json:
        output.show_json(body)
        return output.Exit.OK
    members = client.members(body)
    plain = {name: each for name, each in members.items() if not isinstance(each, dict | list)}
    output.show_fields([(name, cell(each)) for name, each in plain.items()])
    for name, each in members.items():
        if name not in plain and each:
            output.console.print(f"[dim]{output.safe(name)}[/]")
            output.show_block(each)
    return output.Exit.OK


def tell(body: Any, sentence: str, *, json: bool) -> int:
    """Print what was done, in a sentence or as the api's answer."""
    if json:
        output.show_json(body)
    else:
        output.console.print(output.safe(sentence))
    return output.Exit.OK


def cell(value: Any) -> object:
    """A value as a table shows it."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict() | list():
            return output.json_text(cast("object", value))
        case _:
            return value
