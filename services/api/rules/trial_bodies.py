"""What POST /rules/test takes, read with all flaws at once. Pure."""

from typing import Any, cast
from uuid import UUID

import msgspec

from services.api import findings, pages, problems
from shared import rules
from shared.rules import actions, patterns, port

_VERSION_MAX = 2**31 - 1
_NAME_CHARACTERS_MAX = 255
_SUBJECT = ("condition", "action", "actions", "engine", "event_type")
_KNOWN = (*_SUBJECT, "rule_id", "version", "event_id", "event", "both_engines")
_EVENT = ("id", "type", "source", "subject", "time", "data")


class TestedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as POST /events takes it; all but data may be missing."""

    data: Any
    id: str | None = None
    type: str | None = None
    source: str | None = None
    subject: str | None = None
    time: str | None = None


class RuleTestBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """condition (with actions, engine, event_type as you like) or rule_id (default: its published
    version, else its newest); event_id or event.
    """

    condition: Any = None
    action: dict[str, Any] | None = None
    actions: list[dict[str, Any]] | None = None
    engine: port.EngineName = port.ENGINE_DEFAULT
    event_type: str | None = None
    rule_id: UUID | None = None
    version: int | None = None
    event_id: UUID | None = None
    event: TestedEvent | None = None
    both_engines: bool = False


class GivenEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that the request brought along."""

    id: str | None
    type: str | None
    source: str | None
    subject: str | None
    data: bytes


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A body that was understood: condition or rule_id, event or event_id."""

    condition: Any
    actions: list[actions.Action]
    engine: port.EngineName
    event_type: str | None
    rule_id: UUID | None
    version: int | None
    event_id: UUID | None
    event: GivenEvent | None
    both_engines: bool


def read(body: Any, *, limits: port.Limits) -> Asked:
    """Read a body, or raise one Problem that points at everything that is wrong with it."""
    if not isinstance(body, dict):
        raise problems.at("", "must be an object")
    reader = _Reader(cast("dict[str, Any]", body), limits)
    reader.refuse_unknown(reader.given, _KNOWN)
    reader.check_choices()
    engine = reader.engine()
    reader.check_condition(engine)
    asked = Asked(
        condition=reader.given.get("condition"),
        actions=reader.actions(),
        engine=engine,
        event_type=reader.event_type(),
        rule_id=reader.uuid("rule_id"),
        version=reader.version(),
        event_id=reader.uuid("event_id"),
        event=reader.event(),
        both_engines=reader.switch("both_engines"),
    )
    reader.raise_if_wrong("nothing was tested")
    return asked


class _Reader(findings.Findings):
    """Reads members and collects what is wrong."""

    def __init__(self, given: dict[str, Any], limits: port.Limits) -> None:
        super().__init__()
        # A condition may be false, which is not the same as none.
        self.given = {name: value for name, value in given.items() if value is not None}
        self._limits = limits

    def flaws(self, prefix: str, flaws: list[port.Flaw]) -> None:
        for flaw in flaws:
            self.wrong(prefix + flaw.pointer, flaw.message)

    def check_choices(self) -> None:
        """One subject, one event."""
        if "rule_id" in self.given:
            for name in _SUBJECT:
                if name in self.given:
                    self.wrong(f"/{name}", "is in the rule's version: leave it out, or rule_id")
        else:
            if "condition" not in self.given:
                self.wrong("/condition", "is required, unless rule_id names a stored rule")
            if "version" in self.given:
                self.wrong("/version", "goes with rule_id only")
        if ("event_id" in self.given) == ("event" in self.given):
            self.wrong("/event", "send either event_id or event")

    def check_condition(self, engine: port.EngineName) -> None:
        if "condition" in self.given:
            condition = self.given["condition"]
            self.flaws("/condition", rules.check(condition, engine=engine, limits=self._limits))

    def engine(self) -> port.EngineName:
        value = self.given.get("engine", port.ENGINE_DEFAULT)
        for engine in port.ENGINES:
            if value == engine:
                return engine
        self.wrong("/engine", f"must be one of {', '.join(port.ENGINES)}")
        return port.ENGINE_DEFAULT

    def actions(self) -> list[actions.Action]:
        if "action" in self.given and "actions" in self.given:
            self.wrong("/action", "send action or actions, not both")
            return []
        for name in ("action", "actions"):
            if name in self.given:
                try:
                    return actions.read(self.given[name], limits=self._limits)
                except port.Refused as refused:
                    self.flaws(f"/{name}", refused.flaws)
        return []

    def event_type(self) -> str | None:
        value = self.given.get("event_type")
        if value is None:
            return None
        if not isinstance(value, str):
            self.wrong("/event_type", "must be a text")
            return None
        self.flaws("/event_type", patterns.check(value))
        return value

    def uuid(self, name: str) -> UUID | None:
        value = self.given.get(name)
        if value is None:
            return None
        found = pages.read_uuid(value) if isinstance(value, str) else None
        if found is None:
            self.wrong(f"/{name}", "must be a UUID, e.g. 0198f3a0-0000-7000-8000-000000000001")
        return found

    def version(self) -> int | None:
        value = self.given.get("version")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _VERSION_MAX:
            self.wrong("/version", f"must be a whole number from 1 to {_VERSION_MAX}")
            return None
        return value

    def switch(self, name: str) -> bool:
        value = self.given.get(name, False)
        if not isinstance(value, bool):
            self.wrong(f"/{name}", "must be true or false")
        return value is True

    def event(self) -> GivenEvent | None:
        value = self.given.get("event")
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong("/event", 'must be an object such as {"type": "t", "data": {}}')
            return None
        given = cast("dict[str, Any]", value)
        self.refuse_unknown(given, _EVENT, "/event")
        if "data" not in given:
            self.wrong("/event/data", "is required")
        texts = {name: self._text(given, name) for name in _EVENT if name not in {"data", "time"}}
        # As POST /events takes it; no rule can see it.
        self._text(given, "time")
        return GivenEvent(data=msgspec.json.encode(given.get("data")), **texts)

    def _text(self, given: dict[str, Any], name: str) -> str | None:
        value = given.get(name)
        if value is None:
            return None
        most = _NAME_CHARACTERS_MAX
        if not isinstance(value, str) or not 1 <= len(value) <= most or not value.isprintable():
            self.wrong(f"/event/{name}", f"must be a printable text of 1 to {most} characters")
            return None
        return value
