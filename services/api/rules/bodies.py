"""What a client may say about a rule, read with all flaws at once. Pure but for ids.

The classes named Body are what the OpenAPI document shows; the reading is by hand, since msgspec
stops at the first flaw.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast
from uuid import UUID

import msgspec

from services.api import findings, guards, pages, problems
from services.api.queries.rule_changes import Content
from services.api.settings import ApiSettings
from shared import rules
from shared.rules import actions, patterns, port

type Draftable = Literal["draft", "shadow", "published"]

NAME_CHARACTERS_MAX = 200
NOTE_CHARACTERS_MAX = 1000
STATES: tuple[Draftable, ...] = ("draft", "shadow", "published")
_LEVELS_AROUND = 4
_CONTENT = ("event_type", "condition", "action", "actions", "engine", "note")

type EventType = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
type Name = Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
type Note = Annotated[str, msgspec.Meta(max_length=NOTE_CHARACTERS_MAX)]
type JsonLogic = Annotated[
    Any, msgspec.Meta(description="JSONLogic on the event's data; true matches every event.")
]


class ActionBody(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when the condition holds. A key is stable: effects are deduped by it."""

    type: actions.Kind
    key: str | None = None
    params: dict[str, Any] = {}


class VersionBody(msgspec.Struct, frozen=True, kw_only=True):
    """A new version; it stays a draft unless a state is named. Send action or actions."""

    event_type: EventType
    condition: JsonLogic
    action: ActionBody | None = None
    actions: list[ActionBody] | None = None
    engine: port.EngineName = port.ENGINE_DEFAULT
    note: Note | None = None
    state: Draftable = "draft"


class RulePutBody(msgspec.Struct, frozen=True, kw_only=True):
    """The whole rule anew; active stays as it is unless it is named. Send action or actions."""

    name: Name
    event_type: EventType
    condition: JsonLogic
    action: ActionBody | None = None
    actions: list[ActionBody] | None = None
    active: bool | None = None
    engine: port.EngineName = port.ENGINE_DEFAULT
    note: Note | None = None
    state: Draftable = "published"


class RuleBody(RulePutBody, frozen=True, kw_only=True):
    """A new rule. An id of your own makes a retry safe. Send action or actions."""

    id: UUID | None = None


class RulePatchBody(msgspec.Struct, frozen=True, kw_only=True):
    """What shall change; a condition and actions are replaced as a whole, never merged."""

    name: Name | None = None
    active: bool | None = None
    event_type: EventType | None = None
    condition: JsonLogic = None
    action: ActionBody | None = None
    actions: list[ActionBody] | None = None
    engine: port.EngineName | None = None
    note: Note | None = None


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was understood and whose content was checked."""

    id: UUID | None
    name: str
    active: bool | None
    content: Content
    state: Draftable


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version that was understood and checked."""

    content: Content
    state: Draftable


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch that was understood; fields is what changes the content, not yet checked."""

    name: str | None
    active: bool | None
    fields: dict[str, Any]


def json_limits(settings: ApiSettings) -> guards.Limits:
    """How large a body with a rule may be: each operator is an object and an array, and the whole
    stands in an object, or in a list of a few levels.
    """
    depth_max = 2 * settings.rule_depth_max + _LEVELS_AROUND
    return guards.Limits(
        depth_max=max(depth_max, settings.json_depth_max), members_max=settings.json_members_max
    )


def read_rule(body: Any, limits: port.Limits, *, with_id: bool) -> NewRule:
    """Read the body of POST (with_id) or PUT."""
    reader = _Reader(body, ("name", "active", *_CONTENT, "state", *(("id",) if with_id else ())))
    name = reader.name()
    rule_id = reader.rule_id() if with_id else None
    active = reader.switch("active")
    state: Draftable = reader.choice("state", STATES, "published")
    content = _read_content(reader, limits)
    reader.raise_if_wrong("nothing was stored")
    assert content is not None  # without a flaw there is content
    return NewRule(id=rule_id, name=name, active=active, content=content, state=state)


def read_version(body: Any, limits: port.Limits) -> NewVersion:
    reader = _Reader(body, (*_CONTENT, "state"))
    state: Draftable = reader.choice("state", STATES, "draft")
    content = _read_content(reader, limits)
    reader.raise_if_wrong("nothing was stored")
    assert content is not None  # without a flaw there is content
    return NewVersion(content=content, state=state)


def read_patch(body: Any) -> Patch:
    """Read a merge patch as far as that is possible without the rule that it changes."""
    reader = _Reader(body, ("name", "active", *_CONTENT))
    for name, value in cast("dict[str, Any]", body).items():
        if value is None and name in {"name", "active", *_CONTENT} - {"note"}:
            reader.wrong(f"/{name}", "cannot be removed: leave it out to keep it as it is")
    name = reader.name() if "name" in reader.given else None
    active = reader.switch("active")
    reader.raise_if_wrong("nothing was stored")
    fields = {key: value for key, value in reader.given.items() if key in _CONTENT}
    return Patch(name=name, active=active, fields=fields)


def patched(base: Mapping[str, Any], patch: Patch, limits: port.Limits) -> Content:
    """The content that a patch makes of another one, checked as a whole."""
    kept = dict(base)
    if "action" in patch.fields or "actions" in patch.fields:
        del kept["actions"]
    reader = _Reader(kept | patch.fields, _CONTENT)
    content = _read_content(reader, limits)
    reader.raise_if_wrong("nothing was stored")
    assert content is not None  # without a flaw there is content
    return content


def _read_content(reader: "_Reader", limits: port.Limits) -> Content | None:
    engine: port.EngineName = reader.choice("engine", port.ENGINES, port.ENGINE_DEFAULT)
    event_type = reader.given.get("event_type")
    if not isinstance(event_type, str):
        reader.wrong("/event_type", "is required: a type such as payment.completed, or payment.*")
    else:
        reader.flaws("/event_type", patterns.check(event_type))
    condition = reader.given.get("condition")
    if condition is None:
        reader.wrong("/condition", "is required: JSONLogic; true matches every event")
    else:
        reader.flaws("/condition", rules.check(condition, engine=engine, limits=limits))
    found = reader.actions(limits)
    note = reader.note()
    if reader.failed:
        return None
    return Content(
        event_type=cast("str", event_type),
        condition=msgspec.json.encode(condition),
        actions=msgspec.json.encode(found),
        engine=engine,
        engine_version=rules.engine_version(engine),
        note=note,
    )


class _Reader(findings.Findings):
    """Reads members and collects what is wrong, so that a client hears all of it at once."""

    def __init__(self, body: Any, known: tuple[str, ...]) -> None:
        super().__init__()
        if not isinstance(body, dict):
            raise problems.at("", "must be an object")
        members = cast("dict[str, Any]", body)
        self.given = {k: v for k, v in members.items() if v is not None}
        self.refuse_unknown(members, known)

    @property
    def failed(self) -> bool:
        return bool(self.faults)

    def flaws(self, prefix: str, flaws: list[port.Flaw]) -> None:
        for flaw in flaws:
            self.wrong(prefix + flaw.pointer, flaw.message)

    def name(self) -> str:
        value = self.given.get("name")
        if not isinstance(value, str) or not 1 <= len(value) <= NAME_CHARACTERS_MAX:
            self.wrong("/name", f"is required: a text of 1 to {NAME_CHARACTERS_MAX} characters")
            return ""
        if not value.isprintable() or value != value.strip():
            self.wrong("/name", "may hold printable characters only, and no space at either end")
        return value

    def note(self) -> str | None:
        value = self.given.get("note")
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > NOTE_CHARACTERS_MAX:
            self.wrong("/note", f"must be a text of at most {NOTE_CHARACTERS_MAX} characters")
            return None
        if not value.replace("\n", "").isprintable():
            self.wrong("/note", "may hold printable characters and line feeds only")
        return value

    def rule_id(self) -> UUID | None:
        value = self.given.get("id")
        if value is None:
            return None
        found = pages.read_uuid(value) if isinstance(value, str) else None
        if found is None:
            self.wrong("/id", "must be a UUID, e.g. 0198f3a0-0000-7000-8000-000000000001")
        return found

    def switch(self, name: str) -> bool | None:
        value = self.given.get(name)
        if value is not None and not isinstance(value, bool):
            self.wrong(f"/{name}", "must be true or false")
            return None
        return value

    def choice[T](self, name: str, known: tuple[T, ...], default: T) -> T:
        value = self.given.get(name)
        if value is None:
            return default
        if value not in known or not isinstance(value, str):
            self.wrong(f"/{name}", f"must be one of {', '.join(map(str, known))}")
            return default
        return cast("T", value)

    def actions(self, limits: port.Limits) -> list[actions.Action]:
        single, several = self.given.get("action"), self.given.get("actions")
        if single is not None and several is not None:
            self.wrong("/action", "send action or actions, not both")
        if single is None and several is None:
            self.wrong("/actions", 'is required: e.g. "action": {"type": "log"}')
            return []
        name, value = ("actions", several) if single is None else ("action", single)
        # An array under "action" and an object under "actions" are slips, not another spelling.
        if isinstance(value, list) is (name == "action"):
            self.wrong(f"/{name}", "must be an object" if name == "action" else "must be an array")
            return []
        try:
            return actions.read(value, limits=limits)
        except port.Refused as refused:
            self.flaws(f"/{name}", refused.flaws)
            return []
