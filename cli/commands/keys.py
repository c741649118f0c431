"""`oncely keys`: make, list and revoke API keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter

from cli import client, output

app = App(name="keys", help="Make, list and revoke API keys (needs one with the scope admin).")
COLUMNS = ("id", "name", "prefix", "scopes", "state", "expires_at", "last_used_at")
KEYS_MAX = 10_000
DAYS_MAX = 36_500


@app.command
def create(
    name: str,
    *,
    scope: Annotated[list[str], Parameter(name="--scope")],
    days: int | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Make a key and print it: it is shown this once.

    Parameters
    ----------
    name
        What the audit log calls it: a-z, 0-9, dot, dash and underscore.
    scope
        What it may do, e.g. orders:write; once for each.
    days
        How long it is in force; without it, until it is revoked.
    url
        Address of the api.
    json
        Print JSON.
    """
    body: dict[str, Any] = {"name": name, "scopes": scope}
    if days is not None:
        if not 1 <= days <= DAYS_MAX:
            raise output.Failure(f"--days: must be 1 to {DAYS_MAX}", output.Exit.USAGE)
        body["expires_at"] = (datetime.now(UTC) + timedelta(days=days)).isoformat()
    made = client.members(client.request("POST", "/keys", url=url, json=body).body)
    if json:
        output.show_json(made)
        return output.Exit.OK
    output.show_fields(
        [(member, made.get(member)) for member in ("id", "name", "expires_at", "key")]
        + [("scopes", ", ".join(map(str, client.items(made.get("scopes")))))]
    )
    output.errors.print("[dim]keep the key: it cannot be shown again[/]")
    return output.Exit.OK


@app.command(name="list")
def list_(*, limit: int = 200, url: str | None = None, json: bool = False) -> int:
    """List keys, newest first, without what they are.

    Parameters
    ----------
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    rows, cursor = client.listed(
        "/keys", "keys", url=url, params={}, limit=max(1, min(limit, KEYS_MAX))
    )
    if json:
        output.show_json({"keys": rows, "next_cursor": cursor})
        return output.Exit.OK
    output.show_table(COLUMNS, [[_cell(row, name) for name in COLUMNS] for row in rows])
    if cursor is not None:
        output.console.print(f"[dim]there are more than {len(rows)}: --limit[/]")
    return output.Exit.OK


@app.command
def revoke(
    key_id: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Revoke a key for good; refused everywhere within a second.

    Parameters
    ----------
    key_id
        Its id, from `oncely keys list`.
    url
        Address of the api.
    json
        Print JSON.
    """
    client.request("DELETE", f"/keys/{client.segment(key_id)}", url=url)
    if json:
        output.show_json({"revoked": key_id})
    else:
        output.console.print(f"revoked {output.safe(key_id)}")
    return output.Exit.OK


def _cell(row: dict[str, Any], name: str) -> object:
    if name == "scopes":
        return ", ".join(map(str, client.items(row.get("scopes"))))
    if name == "state":
        return "revoked" if row.get("revoked_at") else _alive(row.get("expires_at"))
    return row.get(name)


def _alive(expires_at: Any) -> str:
    """By this machine's clock: the api decides, this only helps to read the list."""
    if isinstance(expires_at, str) and datetime.fromisoformat(expires_at) <= datetime.now(UTC):
        return "expired"
    return "in force"
