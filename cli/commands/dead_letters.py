"""`oncely dead-letters`: what no retry mends: look at it, redrive or discard it, one or many."""

from typing import Annotated, Any, Literal

from cyclopts import App, Parameter

from cli import client, filters, lists, output

app = App(name="dead-letters", help="Look at what no retry mends, redrive or discard it.")
COLUMNS = (
    "id",
    "stage",
    "state",
    "event_type",
    "error_class",
    "error_message",
    "attempts",
    "created_at",
)
GROUP_COLUMNS = ("stage", "error_class", "event_type", "count", "oldest_at", "newest_at")
FILTERS = (
    "stage",
    "event_type",
    "untyped",
    "topic",
    "error_class",
    "event_id",
    "delivery_id",
    "destination",
    "created_after",
    "created_before",
)

# What is neither is sent as it is: the api says what is wrong with it.
SWITCH = {"true": True, "false": False}

type State = Literal["open", "redrive_requested", "redriven", "discard_requested", "discarded"]
type Filters = Annotated[list[str] | None, Parameter(name="--filter", negative="")]


@app.command(name="list")
def list_(
    *,
    state: State | None = None,
    filter_: Filters = None,
    limit: int = 50,
    url: str | None = None,
    json: bool = False,
) -> int:
    """List dead letters, newest first.

    Parameters
    ----------
    state
        Only those in this state.
    filter_
        E.g. stage=delivery,created_after=7d; untyped=true: those without an event type.
    limit
        How many at most.
    url
        Address of the api.
    json
        Print JSON.
    """
    params: dict[str, str | None] = {"state": state, **filters.parse(filter_ or [], FILTERS)}
    return lists.show(
        "/dead-letters", "dead_letters", COLUMNS, url=url, params=params, limit=limit, json=json
    )


@app.command
def stats(*, filter_: Filters = None, url: str | None = None, json: bool = False) -> int:
    """Count the open ones by what they have in common.

    Parameters
    ----------
    filter_
        As for list.
    url
        Address of the api.
    json
        Print JSON.
    """
    params = filters.parse(filter_ or [], FILTERS)
    body = client.members(client.request("GET", "/dead-letters/stats", url=url, params=params).body)
    if json:
        output.show_json(body)
        return output.Exit.OK
    groups = [client.members(each) for each in client.items(body.get("groups"))]
    rows = [[lists.cell(each.get(name)) for name in GROUP_COLUMNS] for each in groups]
    output.show_table(GROUP_COLUMNS, rows)
    return output.Exit.OK


@app.command
def show(
    id_: Annotated[str, Parameter(name="ID")], *, url: str | None = None, json: bool = False
) -> int:
    """Show a dead letter with its payload.

    Parameters
    ----------
    id_
        The dead letter.
    url
        Address of the api.
    json
        Print JSON.
    """
    body = client.members(client.request("GET", _path(id_), url=url).body)
    if json:
        output.show_json(body)
        return output.Exit.OK
    text = body.get("payload_text")
    payload = body.get("payload_base64") if text is None else text
    return lists.show_one({**client.members(body.get("letter")), "payload": payload}, json=False)


@app.command
def redrive(
    id_: Annotated[str | None, Parameter(name="ID")] = None,
    *,
    filter_: Filters = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    limit: int = 1000,
    dry_run: bool = False,
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Try a dead letter again, or all open ones of a filter, oldest first.

    Parameters
    ----------
    id_
        The dead letter; none: those of the filter.
    filter_
        E.g. stage=delivery,error_class=HttpStatus,created_before=1h.
    all_
        All open ones, whatever they are.
    limit
        How many at most, the oldest first.
    dry_run
        Only tell how many it would be.
    yes
        Do not ask.
    url
        Address of the api.
    json
        Print JSON.
    """
    if id_ is not None:
        _require_alone(filter_, all_=all_, dry_run=dry_run)
        body = client.request("POST", f"{_path(id_)}/redrive", url=url).body
        return lists.tell(body, f"dead letter {id_}: redrive requested", json=json)
    wished = _wished(filter_, all_=all_, limit=limit)
    return _act_on_many("redrive", wished, dry_run=dry_run, yes=yes, url=url, json=json)


@app.command
def discard(
    id_: Annotated[str | None, Parameter(name="ID")] = None,
    *,
    reason: str,
    filter_: Filters = None,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
    limit: int = 1000,
    dry_run: bool = False,
    yes: Annotated[bool, Parameter(alias="-y")] = False,
    url: str | None = None,
    json: bool = False,
) -> int:
    """Give a dead letter up, or all open ones of a filter, oldest first.

    Parameters
    ----------
    id_
        The dead letter; none: those of the filter.
    reason
        Why; it is kept.
    filter_
        E.g. stage=delivery,error_class=HttpStatus,created_before=1h.
    all_
        All open ones, whatever they are.
    limit
        How many at most, the oldest first.
    dry_run
        Only tell how many it would be.
    yes
        Do not ask.
    url
        Address of the api.
    json
        Print JSON.
    """
    if id_ is not None:
        _require_alone(filter_, all_=all_, dry_run=dry_run)
        path = f"{_path(id_)}/discard"
        body = client.request("POST", path, url=url, json={"reason": reason}).body
        return lists.tell(body, f"dead letter {id_}: discard requested", json=json)
    wished = _wished(filter_, all_=all_, limit=limit) | {"reason": reason}
    return _act_on_many("discard", wished, dry_run=dry_run, yes=yes, url=url, json=json)


def _wished(texts: list[str] | None, *, all_: bool, limit: int) -> dict[str, Any]:
    named: dict[str, Any] = {**filters.parse(texts or [], FILTERS)}
    if "untyped" in named:
        named["untyped"] = SWITCH.get(named["untyped"], named["untyped"])
    return {"filter": named, "all": all_, "limit": limit}


def _require_alone(texts: list[str] | None, *, all_: bool, dry_run: bool) -> None:
    if texts or all_ or dry_run:
        message = "name one dead letter by its ID, or many by --filter or --all, not both"
        raise output.Failure(message, output.Exit.USAGE)


def _act_on_many(
    act: str, wished: dict[str, Any], *, dry_run: bool, yes: bool, url: str | None, json: bool
) -> int:
    filters.require_answer(yes=yes, dry_run=dry_run, json=json)
    path = f"/dead-letters/{act}"
    if dry_run or not yes:
        tried = client.request("POST", path, url=url, json=wished | {"dry_run": True}).body
        if dry_run:
            return _tell_counts(tried, f"would {act}", json=json)
        _tell_counts(tried, f"would {act}", json=False)
        filters.ask(f"{act.capitalize()} these dead letters?", yes=yes)
    done = client.request("POST", path, url=url, json=wished).body
    return _tell_counts(done, f"{act} requested", json=json)


def _tell_counts(body: Any, words: str, *, json: bool) -> int:
    members = client.members(body)
    by_stage = client.members(members.get("by_stage"))
    count = sum(int(each) for each in by_stage.values())
    stages = ", ".join(f"{name} {number}" for name, number in by_stage.items())
    told = f"{words}: {count} of {members.get('matched')} open" + (f" ({stages})" if stages else "")
    return lists.tell(body, told, json=json)


def _path(letter_id: str) -> str:
    return f"/dead-letters/{client.segment(letter_id)}"
