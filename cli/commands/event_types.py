"""`oncely event-types`: the settings of a type: schema, topic, retries, timeout, retention."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import App, Parameter

from cli import client, output

app = App(name="event-types", help="Look at the settings of event types and set them.")
COLUMNS = (
    *("type", "defaults", "key_policy", "retry_limit", "processing_timeout_ms", "has_schema"),
    *("topic", "retention_days", "updated_at"),
)
SETTINGS = (
    *("key_policy", "retry_limit", "processing_timeout_ms", "schema", "topic"),
    "retention_days",
)
TYPES_MAX = 10_000
NONE = "none"

type KeyPolicy = Literal["wait", "pass"]


@app.command(name="list")
def list_(
    *, seen: bool = False, limit: int = 1000, url: str | None = None, json: bool = False
) -> int:
    """List the types that somebody has set, by name.

    Parameters
    ----------
    seen
        Also the types that events have and nobody has set.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = {"seen": "true"} if seen else {}
    rows, cursor = client.listed(
        "/event-types",
        "event_types",
        url=url,
        params=params,
        limit=max(1, min(limit, TYPES_MAX)),
    )
    if json:
        output.show_json({"event_types": rows, "next_cursor": cursor})
        return output.Exit.OK
    output.show_table(COLUMNS, [[row.get(name) for name in COLUMNS] for row in rows])
    if cursor is not None:
        output.console.print(f"[dim]there are more than {len(rows)}: --limit[/]")
    return output.Exit.OK


@app.command
def show(
    type_: Annotated[str, Parameter(name="TYPE")], *, url: str | None = None, json: bool = False
) -> int:
    """Show one type's settings; the defaults when nobody has set any.

    Parameters
    ----------
    type_
        The event type.
    url
        Address of the api.
    json
        Print JSON.
    """
    return _show(client.members(client.request("GET", _path(type_), url=url).body), json=json)


@app.command(name="set")
def set_(
    type_: Annotated[str, Parameter(name="TYPE")],
    *,
    schema: str | None = None,
    timeout_ms: int | None = None,
    retry_limit: int | None = None,
    key_policy: KeyPolicy | None = None,
    topic: str | None = None,
    retention_days: int | Literal["none"] | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Change settings of a type; what is not named stays as it is.

    Parameters
    ----------
    type_
        The event type.
    schema
        A file with the JSON Schema of its data; none takes it away.
    timeout_ms
        How long processing one event may take.
    retry_limit
        How often a failed event is tried again.
    key_policy
        Whether events behind one that failed for good, of the same key, wait or pass.
    topic
        One of EXTRA_TOPICS; none for the topic of all events.
    retention_days
        After how many days the data of finished events is removed; none for never.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished: dict[str, Any] = {
        "processing_timeout_ms": timeout_ms,
        "retry_limit": retry_limit,
        "key_policy": key_policy,
        "topic": topic,
        "retention_days": retention_days,
        "schema": schema if schema in {None, NONE} else _read_schema(Path(str(schema))),
    }
    changes = {
        name: None if value == NONE else value
        for name, value in wished.items()
        if value is not None
    }
    if not changes:
        raise output.Failure("say what to set, e.g. --retry-limit 5", output.Exit.USAGE)
    before = client.members(client.request("GET", _path(type_), url=url).body)
    kept = {name: before.get(name) for name in SETTINGS}
    answer = client.request(
        "PUT", _path(type_), url=url, json=kept | changes, if_match=before["revision"]
    )
    return _show(client.members(answer.body), json=json)


def _read_schema(path: Path) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise output.Failure(message, output.Exit.USAGE) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise output.Failure(f"{path} is not JSON: {error}", output.Exit.USAGE) from error


def _show(body: dict[str, Any], *, json: bool) -> int:
    if json:
        output.show_json(body)
        return output.Exit.OK
    fields = {name: value for name, value in body.items() if name not in {"schema", "has_schema"}}
    output.show_fields([(name, "" if value is None else value) for name, value in fields.items()])
    if body.get("schema") is not None:
        output.console.print("[dim]schema[/]")
        output.show_block(body["schema"])
    return output.Exit.OK


def _path(event_type: str) -> str:
    return f"/event-types/{client.segment(event_type)}"
