"""`oncely targets`: where webhooks go, and the secrets that sign them."""

from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import client, lists, output

app = App(name="targets", help="Look at where webhooks go; make, rotate, stop targets.")
COLUMNS = ("id", "name", "url", "disabled_reason", "breaker", "in_flight", "pending", "failures")


@app.command(name="list")
def list_(
    *, archived: bool = False, limit: int = 100, url: str | None = None, json: bool = False
) -> int:
    """List targets, newest first, with how they are doing.

    Parameters
    ----------
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
    most = max(1, min(limit, lists.ROWS_MAX))
    rows, cursor = client.listed("/targets", "targets", url=url, params=params, limit=most)
    if json:
        output.show_json({"targets": rows, "next_cursor": cursor})
        return output.Exit.OK
    shown = [{**row, **client.members(row.get("health"))} for row in rows]
    output.show_table(COLUMNS, [[lists.cell(row.get(name)) for name in COLUMNS] for row in shown])
    if cursor is not None:
        output.console.print(f"[dim]there are more than {len(rows)}: --limit[/]")
    return output.Exit.OK


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Show a target. Values of headers and secrets are never shown.

    Parameters
    ----------
    id_
        The target.
    url
        Address of the api.
    json
        Print JSON.
    """
    return lists.show_one(client.request("GET", _path(id_), url=url).body, json=json)


@app.command
def create(
    name: str,
    address: str,
    *,
    header: Annotated[list[str] | None, Parameter(negative="")] = None,
    timeout_ms: int | None = None,
    rate: float | None = None,
    in_flight: int | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Make a target, e.g. `oncely targets create fraud https://example.com/hooks`.

    Its secret is made by the api and shown this once.

    Parameters
    ----------
    name
        What rules call it.
    address
        Where its webhooks go: http or https.
    header
        Sent with each webhook, as `Name: value`; may be repeated.
    timeout_ms
        How long it may take to answer.
    rate
        How many webhooks per second at most.
    in_flight
        How many at the same time at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished: dict[str, Any] = {
        "name": name,
        "url": address,
        "headers": dict(map(_header, header or [])),
        "timeout_ms": timeout_ms,
        "rate_per_second": rate,
        "in_flight_max": in_flight,
    }
    wished = {key: value for key, value in wished.items() if value is not None}
    body = client.request("POST", "/targets", url=url, json=wished).body
    return _tell_secret(body, f"target {client.members(body).get('id')} is made", json=json)


@app.command
def rotate(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    overlap_seconds: int | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Make a new secret; the present one signs beside it until the overlap is over.

    Parameters
    ----------
    id_
        The target.
    overlap_seconds
        How long both sign; default a day.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished = {} if overlap_seconds is None else {"overlap_seconds": overlap_seconds}
    body = client.request("POST", f"{_path(id_)}/secrets", url=url, json=wished).body
    return _tell_secret(body, f"target {id_} has a new secret", json=json)


@app.command
def enable(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Let a target get deliveries again, and close its circuit breaker.

    Parameters
    ----------
    id_
        The target.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.request("POST", f"{_path(id_)}/enable", url=url).body
    return lists.tell(body, f"target {id_} is enabled", json=json)


@app.command
def disable(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    reason: str,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Stop deliveries to a target; what is due becomes skipped.

    Parameters
    ----------
    id_
        The target.
    reason
        Why; deliveries that are skipped tell it.
    url
        Address of the api.
    json
        Print JSON.
    """
    path = f"{_path(id_)}/disable"
    body = client.request("POST", path, url=url, json={"reason": reason}).body
    return lists.tell(body, f"target {id_} is disabled", json=json)


@app.command
def delete(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Archive a target: it gets nothing more and its name is free; its history stays.

    Parameters
    ----------
    id_
        The target.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.request("DELETE", _path(id_), url=url).body
    return lists.tell(body, f"target {id_} is archived", json=json)


def _path(target_id: str) -> str:
    return f"/targets/{client.segment(target_id)}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise output.Failure(f"--header takes `Name: value`, not {text}", output.Exit.USAGE)
    return name.strip(), value.strip()


def _tell_secret(body: Any, sentence: str, *, json: bool) -> int:
    lists.tell(body, sentence, json=json)
    secret = client.members(body).get("secret")
    if not json and secret is not None:
        output.console.print(f"secret {output.safe(secret)} [dim](it is not shown again)[/]")
    return output.Exit.OK
