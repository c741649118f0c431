"""`oncely deliveries`: what rules sent, try by try; send again, or say how an unknown one ended."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import client, filters, lists, output

app = App(name="deliveries", help="Look at what rules sent, send again, resolve.")
COLUMNS = (
    "id",
    "kind",
    "destination",
    "state",
    "attempt_no",
    "last_status",
    "last_error",
    "next_attempt_at",
    "created_at",
)
ATTEMPT_COLUMNS = ("no", "outcome", "status", "why", "ms", "address", "finished_at")
EXPLAINED = {"unknown": "unknown: it may have arrived"}

type State = Literal["pending", "sending", "confirmed", "failed", "unknown", "skipped"]


@app.command(name="list")
def list_(
    *,
    state: State | None = None,
    event: str | None = None,
    rule: str | None = None,
    target: str | None = None,
    destination: str | None = None,
    since: str | None = None,
    limit: int = 50,
    url: str | None = None,
    json: bool = False,
) -> int:
    """List deliveries, newest first.

    Parameters
    ----------
    state
        Only those in this state.
    event
        Only those of this event, by its id.
    rule
        Only those of this rule, by its id.
    target
        Only those to this target, by its id.
    destination
        Only those to this place, e.g. https://example.com:443 or email.
    since
        Only those made since: 7d (also m, h, w), or a date or time.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = {
        "state": state,
        "event_id": event,
        "rule_id": rule,
        "target_id": target,
        "destination": destination,
        "created_after": None if since is None else filters.moment(since, "--since"),
    }
    return lists.show(
        "/deliveries", "deliveries", COLUMNS, url=url, params=params, limit=limit, json=json
    )


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Show a delivery: what is sent, and what each attempt taught.

    Parameters
    ----------
    id_
        The delivery; the webhook-id that the receiver sees.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.members(client.request("GET", _path(id_), url=url).body)
    if json:
        output.show_json(body)
        return output.Exit.OK
    shown = {**body, "state": EXPLAINED.get(str(body.get("state")), body.get("state"))}
    attempts = [client.members(each) for each in client.items(shown.pop("attempts", None))]
    lists.show_one(shown, json=False)
    if attempts:
        output.console.print("[dim]attempts[/]")
        output.show_table(ATTEMPT_COLUMNS, [_attempt(each) for each in attempts])
    return output.Exit.OK


@app.command
def retry(
    id_: Annotated[str, Parameter(name="ID")],
    *,
    reason: str | None = None,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Send a delivery again, under the same id and with a new schedule.

    Parameters
    ----------
    id_
        The delivery.
    reason
        Why, for the audit log.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished = {} if reason is None else {"reason": reason}
    body = client.request("POST", f"{_path(id_)}/retry", url=url, json=wished).body
    return lists.tell(body, f"delivery {id_} is due now", json=json)


@app.command
def resolve(
    id_: Annotated[str, Parameter(name="ID")],
    outcome: Literal["confirmed", "failed"],
    *,
    reason: str,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Say how an unknown delivery ended.

    Parameters
    ----------
    id_
        The delivery.
    outcome
        How it ended.
    reason
        How you know.
    url
        Address of the api.
    json
        Print JSON.
    """
    wished = {"outcome": outcome, "reason": reason}
    body = client.request("POST", f"{_path(id_)}/resolve", url=url, json=wished).body
    return lists.tell(body, f"delivery {id_} is {outcome}", json=json)


def _path(delivery_id: str) -> str:
    return f"/deliveries/{client.segment(delivery_id)}"


def _attempt(attempt: dict[str, Any]) -> list[object]:
    total = client.members(attempt.get("phases")).get("total_ms")
    outcome = str(attempt.get("outcome"))
    why = [attempt.get("error_class"), attempt.get("error_message"), attempt.get("late_answer")]
    return [
        attempt.get("attempt_no"),
        EXPLAINED.get(outcome, outcome),
        attempt.get("status_code"),
        ", ".join(str(each) for each in why if each),
        f"{total:.1f}" if isinstance(total, int | float) else "",
        attempt.get("address"),
        attempt.get("finished_at"),
    ]
