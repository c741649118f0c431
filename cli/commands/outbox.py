"""`oncely outbox`: what waits to be published, and how far the consumers are."""

from typing import Any

from cyclopts import App

from cli import client, output

app = App(name="outbox", help="Look at what waits to be published.")


@app.command
def status(*, url: str | None = None, json: bool = False) -> int:
    """Show the counts of events by state, the outbox and the consumers' lag.

    Parameters
    ----------
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.request("GET", "/events/stats", url=url).body
    if json:
        output.show_json(body)
    else:
        output.show_fields(flatten(body))
    return output.Exit.OK


def flatten(value: Any, prefix: str = "") -> list[tuple[str, object]]:
    """Turn nested objects into dotted names."""
    if isinstance(value, dict):
        return [
            field
            for name, member in client.members(value).items()
            for field in flatten(member, f"{prefix}.{name}" if prefix else name)
        ]
    return [(prefix, value)]
