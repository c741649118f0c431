"""What a rule does when its condition holds: log, noop, call_webhook, send_email. Pure.

The shape is checked at save; templates are rendered when the rule applies.
"""

import re
from typing import Any, Literal, cast

import msgspec

from shared import templates
from shared.rules import action_params, port, rendering

type Kind = Literal["log", "noop", "call_webhook", "send_email"]

_KEY = re.compile(r"[a-z0-9_-]{1,64}")
_KINDS = ", ".join(action_params.KINDS)


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One action as it is stored. `key` is stable over versions: a delivery is deduped by it."""

    key: str
    type: Kind
    params: dict[str, Any] = {}


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """An action with its templates filled in, or why that is impossible; missing names variables
    that the event does not have.
    """

    key: str
    type: Kind
    params: dict[str, Any]
    missing: list[str] = []
    error: str | None = None


def read(value: Any, *, limits: port.Limits) -> list[Action]:
    """Read `actions` (a decoded JSON array, or one object: `action`). Raises port.Refused.

    An action without a key gets its type, then type-2, type-3. Pointers count from the value given.
    """
    flaws = action_params.Flaws()
    given, places = _listed(value, flaws, limits)
    keys = _keys(given, places, flaws)
    actions = [
        _action(entry, place, key, flaws, limits)
        for entry, place, key in zip(given, places, keys, strict=True)
    ]
    if flaws.found:
        raise port.Refused(flaws.found)
    return [action for action in actions if action is not None]


def render(action: Action, facts: port.Facts, *, limits: port.Limits) -> Rendered:
    """Fill in an action's templates; pure and bounded, sends nothing."""
    output = templates.Output(bytes_max=limits.output_bytes_max)
    params: dict[str, Any] = {}
    error: str | None = None
    try:
        params = rendering.fill(action.type, action.params, facts, output)
    except templates.TooLarge:
        error = f"the rendered action is larger than {limits.output_bytes_max} bytes"
    except rendering.Impossible as impossible:
        error = str(impossible)
    return Rendered(
        key=action.key, type=action.type, params=params, missing=output.missing, error=error
    )


def _listed(
    value: Any, flaws: action_params.Flaws, limits: port.Limits
) -> tuple[list[dict[str, Any]], list[str]]:
    """The actions that are objects, each with its pointer."""
    if isinstance(value, dict):
        return [cast(dict[str, Any], value)], [""]
    if not isinstance(value, list) or not value:
        flaws.add("", 'must be an action, {"type": "log"}, or an array of actions')
        return [], []
    entries = cast(list[Any], value)
    if len(entries) > limits.actions_max:
        flaws.add("", f"has {len(entries)} actions; at most {limits.actions_max}")
        return [], []
    places = [f"/{position}" for position, _ in enumerate(entries)]
    for place, entry in zip(places, entries, strict=True):
        if not isinstance(entry, dict):
            flaws.add(place, 'must be an object such as {"type": "log"}')
    kept = [place for place, entry in enumerate(entries) if isinstance(entry, dict)]
    return [cast(dict[str, Any], entries[n]) for n in kept], [places[n] for n in kept]


def _keys(given: list[dict[str, Any]], places: list[str], flaws: action_params.Flaws) -> list[str]:
    """The key of each action; those that were given are taken before one is made up."""
    taken: set[str] = set()
    for entry, place in zip(given, places, strict=True):
        key = entry.get("key")
        if key is None:
            continue
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            flaws.add(f"{place}/key", "must have 1 to 64 characters of a-z, 0-9, _ and -")
        elif key in taken:
            flaws.add(f"{place}/key", f"`{key}` is the key of another action of this rule")
        else:
            taken.add(key)
    return [_free_key(entry, taken) for entry in given]


def _free_key(entry: dict[str, Any], taken: set[str]) -> str:
    key = entry.get("key")
    if key is not None:
        return str(key)
    kind = str(entry.get("type"))
    number = 1
    name = kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    taken.add(name)
    return name


def _action(
    entry: dict[str, Any], place: str, key: str, flaws: action_params.Flaws, limits: port.Limits
) -> Action | None:
    kind = entry.get("type")
    if kind not in action_params.KINDS:
        flaws.add(f"{place}/type", f"must be one of {_KINDS}")
        return None
    params, below = _params(entry, place, flaws)
    if params is None:
        return None
    checked = action_params.check(kind, params, pointer=below, flaws=flaws, limits=limits)
    return Action(key=key, type=kind, params=checked)


def _params(
    entry: dict[str, Any], place: str, flaws: action_params.Flaws
) -> tuple[dict[str, Any] | None, str]:
    """Both spellings: params of their own, or beside the type."""
    flat = {name: value for name, value in entry.items() if name not in {"type", "key", "params"}}
    if "params" not in entry:
        return flat, place
    for name in flat:
        flaws.add(
            f"{place}/{port.escape(name)}", "is unknown here: parameters belong into `params`"
        )
    params = entry["params"]
    if not isinstance(params, dict):
        flaws.add(f"{place}/params", "must be an object")
        return None, place
    return cast(dict[str, Any], params), f"{place}/params"
