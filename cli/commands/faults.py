"""`oncely faults`: break something on purpose, for a bounded time, and put it right again."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import client, output

app = App(name="faults", help="Break something on purpose (needs `oncely up --faults`).")
HINT = " (faults are off: start with `oncely up --faults`)"
NOT_FOUND = "404"
RULE_COLUMNS = ("knob", "mode", "match", "hits", "seconds_left")
SERVICE_COLUMNS = ("service", "instance", "seen_version", "active")

type Knob = Literal[
    "successOnAttempt", "breakBroker", "breakWorker", "breakConsumer", "duplicateEvents"
]


@app.command
def on(
    knob: Knob,
    value: str = "true",
    *,
    ttl: Annotated[int, Parameter(name="--ttl")] = 300,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Switch one fault on, e.g. `oncely faults on breakBroker after_ack --ttl 30`.

    The other faults are switched off, as the api's body states the whole wish.

    Parameters
    ----------
    knob
        What to break.
    value
        true, a number, or a mode such as before_send, after_ack, timeout.
    ttl
        Seconds until it ends by itself, at most 900.
    url
        Address of the api.
    json
        Print JSON.
    """
    return _show("POST", {knob: _parse(value), "ttl_s": ttl}, url=url, json=json)


@app.command
def off(*, url: str | None = None, json: bool = False) -> int:
    """Switch every fault off."""
    return _show("POST", {}, url=url, json=json)


@app.command(name="list")
def list_(*, url: str | None = None, json: bool = False) -> int:
    """Show the active faults and which services have seen them."""
    return _show("GET", None, url=url, json=json)


def _show(method: str, body: object, *, url: str | None, json: bool) -> int:
    try:
        answer: Any = client.request(method, "/faults", url=url, json=body).body
    except output.Failure as failure:
        hint = HINT if NOT_FOUND in str(failure) else ""
        raise output.Failure(f"{failure}{hint}", failure.code) from failure
    if json:
        output.show_json(answer)
    else:
        _show_state(answer)
    return output.Exit.OK


def _show_state(answer: Any) -> None:
    """Show the active rules, then who has seen them: a fault acts where it was seen."""
    for name, columns in (("rules", RULE_COLUMNS), ("services", SERVICE_COLUMNS)):
        rows = [client.members(each) for each in client.items(client.members(answer).get(name))]
        rows = [row for row in rows if row.get("alive", True)]
        if rows:
            output.show_table(columns, [[row.get(column) for column in columns] for row in rows])
        else:
            output.console.print(f"no {name}" if name == "services" else "no fault is active")


def _parse(value: str) -> str | int | bool:
    if value in {"true", "false"}:
        return value == "true"
    return int(value) if value.isdigit() else value
