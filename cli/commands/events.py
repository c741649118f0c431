"""`oncely events`: send an event, list events, show one's timeline or attempts, replay."""

from typing import Annotated, Any
from uuid import uuid4

import msgspec
from cyclopts import App, Parameter

from cli import client, output
from cli.commands import timelines

app = App(name="events", help="Send, look at and replay events.")
app.command("cli.commands.tail:tail", name="tail", help="Watch what happens to events, live.")
app.command(
    "cli.commands.replays:replay", name="replay", help="Process an event, or many, once more."
)
COLUMNS = ("id", "external_id", "type", "status", "received_count", "received_at")
RULE_COLUMNS = ("rule", "result", "why", "actions", "took")


@app.command
def send(
    type_: Annotated[str, Parameter(name="TYPE")],
    data: str = "{}",
    *,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    source: str | None = None,
    subject: str | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Send one event, e.g. `oncely events send payment.completed '{"amount": 12500}'`.

    Parameters
    ----------
    type_
        Event type.
    data
        The event's data, as JSON.
    id_
        The sender's id; the same id again is a duplicate. Default: a new one.
    source
        Who sends it.
    subject
        Events of one subject keep their order.
    url
        Address of the api.
    json
        Print JSON.
    """
    try:
        payload = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise output.Failure(f"the data is not JSON: {error}", output.Exit.USAGE) from error
    body: dict[str, Any] = {"id": id_ or str(uuid4()), "type": type_, "data": payload}
    body |= {name: value for name, value in (("source", source), ("subject", subject)) if value}
    answer = client.request("POST", "/events", url=url, json=body)
    return _show_one(answer.body, json=json)


@app.command(name="list")
def list_(
    *,
    status: str | None = None,
    type_: Annotated[str | None, Parameter(name="--type")] = None,
    limit: int = 20,
    url: str | None = None,
    json: bool = False,
) -> int:
    """List events, newest first.

    Parameters
    ----------
    status
        pending, processing, processed or failed.
    type_
        Event type.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished = {"status": status, "type": type_, "limit": str(limit)}
    params = {name: value for name, value in wished.items() if value is not None}
    body = client.request("GET", "/events", url=url, params=params).body
    if json:
        output.show_json(body)
        return output.Exit.OK
    rows = [client.members(row) for row in client.items(body)]
    columns = [name for name in COLUMNS if any(name in row for row in rows)] or list(COLUMNS)
    output.show_table(columns, [[row.get(name) for name in columns] for row in rows])
    return output.Exit.OK


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    external: bool = False,
    source: str | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Show everything that happened to an event, as a tree from acceptance to each delivery.

    Times are since the acceptance. What is unknown may have arrived; what is planned stands last.

    Parameters
    ----------
    id_
        Our id, or the sender's with --external.
    external
        The id is the sender's.
    source
        Who sent it, with --external.
    url
        Address of the api.
    json
        Print the timeline as JSON.
    """
    params = _by(external=external, source=source)
    path = f"/events/{client.segment(id_)}/timeline"
    document = client.members(client.request("GET", path, url=url, params=params).body)
    if json:
        output.show_json(document)
    else:
        timelines.show(document)
    return output.Exit.OK


@app.command
def attempts(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    external: bool = False,
    source: str | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Show an event with what each rule said in each attempt, and why.

    Parameters
    ----------
    id_
        Our id, or the sender's with --external.
    external
        The id is the sender's.
    source
        Who sent it, with --external.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = _by(external=external, source=source)
    answer = client.request("GET", f"/events/{client.segment(id_)}", url=url, params=params)
    event = client.members(answer.body)
    path = f"/events/{client.segment(str(event.get('id')))}/attempts"
    told = client.members(client.request("GET", path, url=url).body)
    if json:
        output.show_json({**event, **told})
        return output.Exit.OK
    _show_one(event, json=False)
    for attempt in client.items(told.get("attempts")):
        _show_attempt(client.members(attempt))
    if told.get("rule_executions_cut_off"):
        output.console.print("[dim]there are more rule executions than are told[/]")
    return output.Exit.OK


def _by(*, external: bool, source: str | None) -> dict[str, str] | None:
    if not external:
        return None
    return {"by": "external"} | ({} if source is None else {"source": source})


def _show_attempt(attempt: dict[str, Any]) -> None:
    """One attempt, and under it what each rule said."""
    head = f"attempt {attempt.get('attempt_no')}"
    replay = f", replay {attempt['replay']}" if attempt.get("replay") else ""
    told = f"{attempt.get('trigger')}{replay}, {_rounded(attempt.get('duration_ms'))} ms"
    output.console.print(
        f"\n[bold]{output.safe(head)}[/]: {output.safe(attempt.get('status'))}"
        f" [dim]{output.safe(told)}, {output.safe(attempt.get('finished_at'))}[/]"
    )
    if attempt.get("error_class"):
        told = f"{attempt['error_class']}: {attempt.get('error_message')}"
        output.console.print(f"  [red]{output.safe(told)}[/]")
    executions = [client.members(each) for each in client.items(attempt.get("rule_executions"))]
    if executions:
        output.show_table(RULE_COLUMNS, [_rule_row(each) for each in executions])


def _rule_row(execution: dict[str, Any]) -> list[object]:
    named = f"{execution.get('rule_name')} v{execution.get('version')}"
    actions = [client.members(each) for each in client.items(execution.get("actions"))]
    done = ", ".join(f"{each.get('key')} {each.get('outcome')}" for each in actions)
    return [
        f"{named} (shadow)" if execution.get("shadow") else named,
        execution.get("result"),
        execution.get("reason") or execution.get("reason_note"),
        done,
        f"{_rounded(execution.get('duration_us'))} µs",
    ]


def _rounded(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else ""


def _show_one(body: Any, *, json: bool) -> int:
    if json:
        output.show_json(body)
    else:
        fields = client.members(body).items()
        output.show_fields([(name, _text(value)) for name, value in fields])
    return output.Exit.OK


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return "" if value is None else str(value)
