"""What `rules push` would do: files read, matched with stored rules, compared. Changes nothing.

The api compares again when it is told to store: what says the same makes no new version there.
"""

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from cli import client, output

type Verdict = Literal["create", "new version", "settings", "unchanged", "refused"]
type Rule = dict[str, Any]

FILES_MAX = 10_000
FILE_BYTES_MAX = 16 * 1024 * 1024
NAME_CHARACTERS_ASKED = 100  # what the list of rules takes as a part of a name
NAMESAKES_MAX = 2000
CONTENT = ("event_type", "condition", "actions", "engine", "note")
SETTINGS = ("name", "active")
KNOWN = (
    *("id", "name", "event_type", "condition", "action", "actions"),
    *("engine", "note", "state", "active"),
)
REQUIRED = ("name", "event_type", "condition")
KINDS: dict[str, tuple[type, str]] = {
    "id": (str, "must be a UUID, e.g. 0198f3a0-0000-7000-8000-000000000001"),
    "name": (str, "must be a text"),
    "action": (dict, "must be an object"),
    "actions": (list, "must be an array"),
}
UUID_TEXT = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ENGINE_DEFAULT = "datalogic"
STATES = ("published", "shadow", "draft")
TRIED = ("event_type", "condition", "action", "actions", "engine")
_ABSENT = object()


class Flaw(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and where in its file (RFC 6901)."""

    pointer: str
    detail: str


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference, in the form of GET /rules/{id}/versions/{n}/diff."""

    pointer: str
    kind: Literal["changed", "added", "removed"]
    before: Any = msgspec.UNSET
    after: Any = msgspec.UNSET


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One rule of a file; place is its pointer there, empty when the file is one rule."""

    file: str
    place: str
    rule: Any


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """What shall become of one entry; revision is the one that the plan was made for."""

    file: str
    place: str
    name: str
    verdict: Verdict
    id: str | None = None
    revision: int | None = None
    version: int | None = None
    changes: list[Change] = []
    flaws: list[Flaw] = []
    rule: Rule = {}


def read_files(paths: list[Path]) -> tuple[list[Entry], list[Planned]]:
    """The rules of files (of a folder: its *.json), and what could not be read."""
    entries: list[Entry] = []
    unread: list[Planned] = []
    for path in _files(paths):
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise output.Failure(f"{path} is larger than {FILE_BYTES_MAX} bytes")
            value: Any = msgspec.json.decode(path.read_bytes())
        except OSError as error:
            message = f"{path} cannot be read: {error.strerror}"
            raise output.Failure(message, output.Exit.USAGE) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            flaw = Flaw(pointer="", detail=f"is not JSON that can be read: {error}")
            unread.append(
                Planned(file=str(path), place="", name="", verdict="refused", flaws=[flaw])
            )
            continue
        if isinstance(value, list):
            rules = cast("list[Any]", value)
            entries += [
                Entry(file=str(path), place=f"/{index}", rule=rule)
                for index, rule in enumerate(rules)
            ]
        else:
            entries.append(Entry(file=str(path), place="", rule=value))
    return entries, unread


def plan(entries: list[Entry], *, url: str | None, on_rule: Callable[[], None]) -> list[Planned]:
    """Look at every entry; two that mean one rule are refused."""
    planned: list[Planned] = []
    by_id: dict[str, Planned] = {}
    by_name: dict[str, Planned] = {}
    for entry in entries:
        found = _plan(entry, url)
        if found.verdict != "refused":
            own_id = (found.id or "").lower()
            twin = by_id.get(own_id) if own_id else None
            namesake = by_name.get(found.name)
            if namesake is not None and None in {found.rule.get("id"), namesake.rule.get("id")}:
                twin = twin or namesake
            if twin is not None:
                detail = f"means the same rule as {place_of(twin)}"
                found = _refused(entry, Flaw(pointer="", detail=detail))
            else:
                by_name[found.name] = found
                by_id[own_id] = found
        planned.append(found)
        on_rule()
    return planned


def place_of(planned: Planned, pointer: str = "") -> str:
    """Where something stands: `rules/fraud.json#/condition/and/0`."""
    where = planned.place + pointer
    return f"{planned.file}#{where}" if where else planned.file


def flaws_of(refusal: client.Refused) -> list[Flaw]:
    """A problem's errors, or the problem itself when it points at nothing."""
    errors = [client.members(each) for each in client.items(refusal.problem.get("errors"))]
    found = [
        Flaw(pointer=str(each.get("pointer") or ""), detail=str(each.get("detail")))
        for each in errors
    ]
    detail = str(refusal.problem.get("detail") or refusal)
    return found or [Flaw(pointer="", detail=detail)]


def compare(before: Any, after: Any, pointer: str = "") -> Iterator[Change]:
    """The differences of two JSON values; 1 and 1.0 are one number, 1 and true are not."""
    if before is _ABSENT:
        yield Change(pointer=pointer, kind="added", after=after)
    elif after is _ABSENT:
        yield Change(pointer=pointer, kind="removed", before=before)
    elif isinstance(before, dict) and isinstance(after, dict):
        left, right = cast("Rule", before), cast("Rule", after)
        for name in left | right:
            below = f"{pointer}/{_escape(name)}"
            yield from compare(left.get(name, _ABSENT), right.get(name, _ABSENT), below)
    elif isinstance(before, list) and isinstance(after, list):
        left = {str(index): item for index, item in enumerate(cast("list[Any]", before))}
        right = {str(index): item for index, item in enumerate(cast("list[Any]", after))}
        yield from compare(left, right, pointer)
    elif before != after or isinstance(before, bool) is not isinstance(after, bool):
        yield Change(pointer=pointer, kind="changed", before=before, after=after)


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found or len(found) > FILES_MAX:
        message = f"{len(found)} files: name 1 to {FILES_MAX}, or folders of *.json"
        raise output.Failure(message, output.Exit.USAGE)
    return found


def _plan(entry: Entry, url: str | None) -> Planned:
    flaws = _flaws_of_shape(entry.rule)
    if isinstance(entry.rule, dict):
        told = {flaw.pointer for flaw in flaws}
        tried = _flaws_of_content(cast("Rule", entry.rule), url)
        flaws += [flaw for flaw in tried if flaw.pointer not in told]
    if flaws:
        return _refused(entry, *flaws)
    rule = cast("Rule", entry.rule)
    if rule.get("id") is not None:
        stored = _find_by_id(str(rule["id"]), url)
    else:
        namesakes = _find_by_name(rule["name"], url)
        if len(namesakes) > 1:
            detail = f"is the name of {len(namesakes)} rules: say which by id"
            return _refused(entry, Flaw(pointer="/name", detail=detail))
        stored = _find_by_id(namesakes[0], url) if namesakes else None
    if stored is None:
        return _planned(entry, rule, "create", id=rule.get("id"))
    if stored.get("archived_at") is not None:
        detail = "is archived: restore it first (POST /rules/{id}/restore)"
        return _refused(entry, Flaw(pointer="/id", detail=detail))
    return _compare(entry, rule, stored)


def _compare(entry: Entry, rule: Rule, stored: Rule) -> Planned:
    """As the api decides: a version is compared with the one that stands in its state."""
    standing = client.members(stored.get(rule.get("state") or STATES[0]))
    shown = [client.members(stored[state]) for state in STATES if stored.get(state)]
    before = standing or (shown[0] if shown else {})
    said = {name: before[name] for name in CONTENT if before.get(name) is not None}
    changes = list(compare(said, _normal(rule)))
    settings = {name: rule[name] for name in SETTINGS if rule.get(name) is not None}
    switched = list(compare({name: stored[name] for name in settings}, settings))
    verdict: Verdict = "settings" if switched else "unchanged"
    if changes or not standing:
        verdict = "new version"
    return _planned(
        entry,
        rule,
        verdict,
        id=str(stored["id"]),
        revision=stored["revision"],
        version=standing.get("version"),
        changes=switched + changes,
    )


def _normal(rule: Rule) -> Rule:
    """The content as the api stores it: actions with keys and params."""
    actions = rule["actions"] if rule.get("actions") is not None else [rule["action"]]
    taken = {action["key"] for action in actions if action.get("key") is not None}
    stored: list[Rule] = []
    for action in actions:
        key = action.get("key") or _free_key(str(action["type"]), taken)
        taken.add(key)
        flat = {name: action[name] for name in action if name not in {"type", "key", "params"}}
        given: Rule = action.get("params", flat)
        params = {name: value for name, value in given.items() if value is not None}
        stored.append({"key": key, "type": action["type"], "params": params})
    content = {
        "event_type": rule["event_type"],
        "condition": rule["condition"],
        "actions": stored,
        "engine": rule.get("engine") or ENGINE_DEFAULT,
    }
    return content if rule.get("note") is None else {**content, "note": rule["note"]}


def _free_key(kind: str, taken: set[str]) -> str:
    number = 1
    name = kind
    while name in taken:
        number += 1
        name = f"{kind}-{number}"
    return name


def _flaws_of_shape(rule: Any) -> list[Flaw]:
    if not isinstance(rule, dict):
        return [Flaw(pointer="", detail="must be a rule: an object with name, event_type ...")]
    given = cast("Rule", rule)
    flaws = [
        Flaw(
            pointer=f"/{_escape(name)}",
            detail=f"is not known here; known: {', '.join(KNOWN)}",
        )
        for name in given
        if name not in KNOWN
    ]
    required = [name for name in REQUIRED if given.get(name) is None]
    if given.get("action") is None and given.get("actions") is None:
        required.append("actions")
    flaws += [Flaw(pointer=f"/{name}", detail="is required") for name in required]
    for name, (kind, detail) in KINDS.items():
        if given.get(name) is not None and not isinstance(given[name], kind):
            flaws.append(Flaw(pointer=f"/{name}", detail=detail))
    if isinstance(given.get("id"), str) and not UUID_TEXT.fullmatch(given["id"].lower()):
        flaws.append(Flaw(pointer="/id", detail=KINDS["id"][1]))
    if given.get("state") not in {None, *STATES}:
        flaws.append(Flaw(pointer="/state", detail=f"must be one of {', '.join(STATES)}"))
    return flaws


def _flaws_of_content(rule: Rule, url: str | None) -> list[Flaw]:
    """What this api, with its limits, says of the content: it tries it on an empty event."""
    tried = {name: rule[name] for name in TRIED if rule.get(name) is not None}
    try:
        client.request("POST", "/rules/test", url=url, json={**tried, "event": {"data": {}}})
    except client.Refused as refusal:
        if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        return flaws_of(refusal)
    return []


def _find_by_id(rule_id: str, url: str | None) -> Rule | None:
    try:
        answer = client.request("GET", f"/rules/{client.segment(rule_id)}", url=url)
    except client.Refused as refusal:
        if refusal.status == HTTPStatus.NOT_FOUND:
            return None
        raise
    return client.members(answer.body)


def _find_by_name(name: str, url: str | None) -> list[str]:
    """The ids of the rules with exactly this name; the api looks for a part of it."""
    if not name:
        return []
    params = {"q": name[:NAME_CHARACTERS_ASKED]}
    rows, _ = client.listed("/rules", "rules", url=url, params=params, limit=NAMESAKES_MAX)
    return [str(row["id"]) for row in rows if row.get("name") == name]


def _planned(entry: Entry, rule: Rule, verdict: Verdict, **members: Any) -> Planned:
    return Planned(
        file=entry.file,
        place=entry.place,
        name=str(rule.get("name") or ""),
        verdict=verdict,
        rule=rule,
        **members,
    )


def _refused(entry: Entry, *flaws: Flaw) -> Planned:
    rule = client.members(entry.rule)
    return _planned(entry, rule, "refused", id=_text(rule.get("id")), flaws=list(flaws))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
